"""Feature extractors: an image in [0, 1] to one square map of features.

| name | map of a 224 px image | what it is |
| --- | --- | --- |
| resnet18, resnet34 | 512 x 7 x 7 | ResNet |
| resnet50, resnet101 | 2048 x 7 x 7 | ResNet |
| mediapipe | 192 x 7 x 7 | MediaPipe's hand-landmark network, which was trained on real hands |
| mediapipe-fine | 304 x 14 x 14 | the same, with the stride-16 map beside the (enlarged) stride-32 map |
| mediapipe-guided | 304 x 14 x 14 | the same, with MediaPipe's own landmarks beside it, for `GuidedHandDGP` |
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handdgp_core.errors import ShapeError, UsageError, WeightsError
from handdgp_core.files import expanded
from handdgp_core.networks.backbones.mediapipe_landmarks import (
    BLOCKS,
    STRIDE_16_BLOCKS,
    LandmarkOutput,
    MediaPipeLandmarks,
)
from handdgp_core.networks.backbones.resnet import DEPTHS, ResNet
from handdgp_core.networks.checkpoints.foreign_weights import read_state_dict
from handdgp_core.networks.config import GUIDED, RESNET_WIDTH

__all__ = ["BACKBONES", "GUIDED", "Backbone", "MediaPipeGuideBackbone", "load_imagenet", "make_backbone"]

BACKBONES = (*(f"resnet{depth}" for depth in DEPTHS), "mediapipe", "mediapipe-fine", GUIDED)

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_STRIDE = 32
_MEDIAPIPE_SIZE = 224
_COLOURS = 3


class Backbone(nn.Module):
    """`forward` maps (B, 3, S, S), RGB in [0, 1], to (B, channels, side, side)."""

    channels: int
    side: int


class ResNetBackbone(Backbone):
    """A ResNet with ImageNet's normalisation inside."""

    mean: Tensor
    std: Tensor

    def __init__(self, depth: int, image_size: int, width: int = RESNET_WIDTH) -> None:
        super().__init__()
        if image_size < _STRIDE or image_size % _STRIDE:
            raise UsageError(f"image_size: a ResNet needs a multiple of {_STRIDE}, got {image_size}.")
        self.body = ResNet(depth, width=width)
        self.channels = self.body.channels
        self.side = image_size // _STRIDE
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return self.body((image - self.mean) / self.std)


class MediaPipeBackbone(Backbone):
    """The stem and blocks of MediaPipe's landmark network, all trainable."""

    def __init__(self, fine: bool, image_size: int, pretrained: bool) -> None:
        super().__init__()
        _check_mediapipe_size(image_size)
        network = MediaPipeLandmarks.load() if pretrained else MediaPipeLandmarks()
        self.stem, self.blocks = network.stem, network.blocks
        self.fine = fine
        stride_16, stride_32 = BLOCKS[STRIDE_16_BLOCKS - 1][-1], BLOCKS[-1][-1]
        self.channels = stride_16 + stride_32 if fine else stride_32
        self.side = image_size // (16 if fine else 32)

    def forward(self, image: Tensor) -> Tensor:
        coarse = F.relu6(self.stem(image.contiguous(memory_format=torch.channels_last)), inplace=True)
        for block in self.blocks[:STRIDE_16_BLOCKS]:
            coarse = block(coarse)
        fine = coarse
        for block in self.blocks[STRIDE_16_BLOCKS:]:
            coarse = block(coarse)
        return _beside(fine, coarse) if self.fine else coarse


class MediaPipeGuideBackbone(Backbone):
    """The whole of MediaPipe's landmark network: its maps as features, and its own heads' landmarks."""

    def __init__(self, image_size: int, pretrained: bool) -> None:
        super().__init__()
        _check_mediapipe_size(image_size)
        network = MediaPipeLandmarks.load() if pretrained else MediaPipeLandmarks()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.channels = BLOCKS[STRIDE_16_BLOCKS - 1][-1] + BLOCKS[-1][-1]
        self.side = image_size // 16

    def forward(self, image: Tensor) -> Tensor:
        return self.read(image)[0]

    def read(self, image: Tensor) -> tuple[Tensor, LandmarkOutput]:
        """Features and landmarks of crops (B, 3, 224, 224), or of what `network.trunk` made of them."""
        trunk = self.network.trunk(image) if image.shape[1] == _COLOURS else image.to(self.network.stem.weight.dtype)
        found = self.network.from_trunk(trunk)
        return _beside(found.stride_16, found.stride_32), self.network.heads(found.pooled)


def _beside(fine: Tensor, coarse: Tensor) -> Tensor:
    enlarged = F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
    return torch.cat([fine, enlarged.to(fine.dtype)], dim=1)


def _check_mediapipe_size(image_size: int) -> None:
    if image_size != _MEDIAPIPE_SIZE:
        raise UsageError(f"image_size: MediaPipe's backbone needs {_MEDIAPIPE_SIZE}, got {image_size}.")


def make_backbone(name: str, image_size: int, pretrained: str = "", width: int = RESNET_WIDTH) -> Backbone:
    """A backbone by name.

    Args:
        name: out of `BACKBONES`.
        image_size: side of the image, pixels.
        pretrained: "" for random weights; "assets" for MediaPipe's own (the mediapipe backbones only); else a file with
            a ResNet's weights under torchvision's names (.pth or .safetensors; a classifier in it is skipped).
        width: of a ResNet.

    Raises:
        UsageError: unknown name, an image size that does not fit, "assets" for a ResNet.
        AssetError, WeightsError: pretrained weights that are missing, damaged or of another network.
    """
    if name not in BACKBONES:
        raise UsageError(f"There is no backbone {name!r}; the backbones are {', '.join(BACKBONES)}.")
    if name.startswith("mediapipe"):
        if pretrained not in ("", "assets"):
            raise UsageError(f'pretrained: MediaPipe\'s backbone takes "assets" or nothing, got {pretrained!r}.')
        if name == GUIDED:
            return MediaPipeGuideBackbone(image_size, pretrained == "assets")
        return MediaPipeBackbone(name == "mediapipe-fine", image_size, pretrained == "assets")
    backbone = ResNetBackbone(int(name.removeprefix("resnet")), image_size, width)
    if pretrained == "assets":
        hint = "Give the path of torchvision's weights, or none."
        raise UsageError(f'pretrained: {name} takes a file; "assets" are MediaPipe\'s weights alone.', hint=hint)
    if pretrained:
        load_imagenet(backbone.body, expanded(pretrained), name)
    return backbone


def load_imagenet(body: ResNet, file: Path, name: str, classifier: nn.Linear | None = None) -> None:
    """Start a ResNet, and a layer in the place of its classifier, from a file under torchvision's names.

    Raises:
        WeightsError: weights that are missing, damaged or of another network.
    """
    hint = f"Download {name}'s weights from https://download.pytorch.org/models/ (see torchvision's page of models)."
    weights = read_state_dict(file, hint)
    last = {key.removeprefix("fc."): weights.pop(key) for key in list(weights) if key.startswith("fc.")}
    if not hasattr(body, "conv1"):
        weights = {key: value for key, value in weights.items() if key.startswith("layer")}
    own = body.state_dict()
    for key, value in weights.items():
        if key in own and value.shape != own[key].shape:
            shapes = f"{tuple(value.shape)} instead of {tuple(own[key].shape)}"
            raise WeightsError(f"{file} does not fit {name}: {key} of shape {shapes}.", hint=hint)
    missing = [key for key in own if key not in weights and not key.endswith("num_batches_tracked")]
    extra = [key for key in weights if key not in own]
    if missing or extra:
        raise WeightsError(f"{file} does not fit {name}: missing {missing[:3]}, unknown {extra[:3]}.", hint=hint)
    body.load_state_dict(weights, strict=False)
    if classifier is not None and {key: value.shape for key, value in last.items()} == {
        key: value.shape for key, value in classifier.state_dict().items()
    }:
        classifier.load_state_dict(last)


def check_image(image: Tensor, size: int) -> None:
    """
    Raises:
        ShapeError: not (B, 3, size, size) of floating point.
    """
    if torch.jit.is_tracing():
        return
    if image.ndim != 4 or tuple(image.shape[1:]) != (3, size, size) or not image.is_floating_point():
        expected = f"crops (B, 3, {size}, {size}), floating point, RGB in [0, 1]"
        raise ShapeError(f"The network takes {expected}, got {tuple(image.shape)} {image.dtype}.")
