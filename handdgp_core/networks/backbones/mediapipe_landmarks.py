"""MediaPipe's hand-landmark network as a PyTorch module with trainable parameters.

The network (Apache-2.0, Google; "MediaPipe Hands: On-device Real-time Hand Tracking", Zhang et al. 2020) lies in
assets/models/hand_landmarker.task, a zip archive, as a TensorFlow Lite file with half-precision weights and batch
normalisation already folded in. It is read at load time: no copy of the weights is kept in another format.

It is a stem and fifteen inverted-residual blocks (the shape of EfficientNet-Lite0: no squeeze-and-excitation, ReLU6), a
tail that widens to 1152 channels, global mean pooling, and four linear heads. It was trained on upright hands, left and
right, that fill most of the picture.

Pixel convention: the network's image landmarks are fractions of the crop times 224, measured from the crop's *edge*:
MediaPipe divides them by 224 and scales the crop rectangle by them, and mirroring a picture turns u into 224 - u (to
0.03 px on 200 photographs; from pixel centres it would be 223 - u). Ours count from the centre of the first pixel: 0.5
less.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handdgp_core.errors import AssetError, ShapeError, WeightsError
from handdgp_core.hands import keypoints
from handdgp_core.networks.backbones.landmark_asset import ASSET, HINT
from handdgp_core.networks.backbones.tflite_graph import Graph, Operator, read_graph

__all__ = ["ASSET", "INPUT_SIZE", "LandmarkFeatures", "LandmarkOutput", "MediaPipeLandmarks"]

MEMBER = "hand_landmarks_detector.tflite"
INPUT_SIZE = 224

STEM_CHANNELS = 24
# (channels in, widened to, kernel, stride, channels out); a block that keeps its shape adds its input; block 0 does not
# widen.
BLOCKS: tuple[tuple[int, int, int, int, int], ...] = (
    (24, 24, 3, 1, 16),
    (16, 64, 3, 2, 24),
    (24, 144, 3, 1, 24),
    (24, 144, 5, 2, 40),
    (40, 240, 5, 1, 40),
    (40, 240, 3, 2, 80),
    (80, 480, 3, 1, 80),
    (80, 480, 3, 1, 80),
    (80, 480, 5, 1, 112),
    (112, 672, 5, 1, 112),
    (112, 672, 5, 1, 112),
    (112, 672, 5, 2, 192),
    (192, 1152, 5, 1, 192),
    (192, 1152, 5, 1, 192),
    (192, 1152, 5, 1, 192),
)
STRIDE_16_BLOCKS = 11  # this many blocks lead to the 14x14 map
POOLED_CHANNELS = 1152


class LandmarkOutput(NamedTuple):
    """What the network predicts for a batch of crops.

    Attributes:
        keypoints_px: (B, 21, 2) crop pixels, origin at the centre of the first pixel.
        keypoints_z: (B, 21) depth relative to the wrist (weak perspective), in units of 2.5 crop pixels, positive away
            from the camera.
        world_m: (B, 21, 3) metres, axes as the crop (x right, y down, z forward), origin near the hand's centre.
        presence: (B,) how sure it is that there is a hand, 0 to 1.
        right: (B,) how sure it is that the picture shows a right hand, 0 to 1.
    """

    keypoints_px: Tensor
    keypoints_z: Tensor
    world_m: Tensor
    presence: Tensor
    right: Tensor


class LandmarkFeatures(NamedTuple):
    """Feature maps for heads of our own.

    Attributes:
        stride_16: (B, 112, 14, 14).
        stride_32: (B, 192, 7, 7).
        pooled: (B, 1152) mean of the tail's map; what MediaPipe's own heads read.
    """

    stride_16: Tensor
    stride_32: Tensor
    pooled: Tensor


class SamePadConv(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding, which at stride 2 puts the odd row and column at the far side.

    For odd kernels, and at stride 2 for images of even sides. There the near side is padded by one stride too much and
    the first output row and column are dropped: the same numbers as uneven padding, without a padded copy of the input
    (which at batch 2 costs as much as half of the network).
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        near = kernel // 2 if stride == 1 else (kernel - stride) // 2 + stride
        super().__init__(channels_in, channels_out, kernel, stride, padding=near, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if self.stride[0] == 1 else y[:, :, 1:, 1:]


class InvertedResidual(nn.Module):
    """Widen (1x1), filter each channel (depthwise), narrow (1x1); the input is added where the shape stays."""

    def __init__(self, channels_in: int, widened: int, kernel: int, stride: int, channels_out: int) -> None:
        super().__init__()
        self.expand = SamePadConv(channels_in, widened, 1) if widened != channels_in else None
        self.depthwise = SamePadConv(widened, widened, kernel, stride, groups=widened)
        self.project = SamePadConv(widened, channels_out, 1)
        self.adds_input = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else _relu6(self.expand(x))
        y = self.project(_relu6(self.depthwise(y)))
        return x + y if self.adds_input else y


class MediaPipeLandmarks(nn.Module):
    """The hand-landmark network. `MediaPipeLandmarks.load()` gives it with MediaPipe's weights, in evaluation mode.

    Examples:
        >>> network = MediaPipeLandmarks.load()
        >>> network(torch.zeros(1, 3, 224, 224)).keypoints_px.shape
        torch.Size([1, 21, 2])
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = SamePadConv(3, STEM_CHANNELS, 3, stride=2)
        self.blocks = nn.ModuleList(InvertedResidual(*shape) for shape in BLOCKS)
        self.tail_expand = SamePadConv(BLOCKS[-1][-1], POOLED_CHANNELS, 1)
        self.tail_depthwise = SamePadConv(POOLED_CHANNELS, POOLED_CHANNELS, 3, groups=POOLED_CHANNELS)
        self.handedness_head = nn.Linear(POOLED_CHANNELS, 1)
        self.presence_head = nn.Linear(POOLED_CHANNELS, 1)
        self.image_head = nn.Linear(POOLED_CHANNELS, 3 * keypoints.COUNT)
        self.world_head = nn.Linear(POOLED_CHANNELS, 3 * keypoints.COUNT)

    @classmethod
    def load(cls, path: Path | str = ASSET) -> MediaPipeLandmarks:
        """Read MediaPipe's weights out of a hand_landmarker.task file.

        Raises:
            AssetError: the file is missing, is no zip archive, is damaged, or lacks the landmark network.
            WeightsError: it holds another network than this module is made for.
        """
        module = cls()
        graph = read_graph(_read_member(Path(path), MEMBER), f"{MEMBER} in {path}")
        try:
            _copy_weights(graph, module)
        except (ValueError, IndexError) as error:  # an operator with other operands than its kind should have
            raise _other_network(str(error)) from error
        return module.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, image: Tensor) -> LandmarkFeatures:
        """Feature maps of `image` (B, 3, 224, 224), RGB in [0, 1].

        Raises:
            ShapeError: `image` has another shape or is not floating point.
        """
        return self.from_trunk(self.trunk(image))

    def trunk(self, image: Tensor) -> Tensor:
        """The stride-16 map (B, 112, 14, 14) of `image`; arguments and errors as of `features`."""
        _check_image(image)
        x = _relu6(self.stem(image.contiguous(memory_format=torch.channels_last)))
        for block in self.blocks[:STRIDE_16_BLOCKS]:
            x = block(x)
        return x

    def from_trunk(self, stride_16: Tensor) -> LandmarkFeatures:
        """All feature maps from the stride-16 map."""
        x = stride_16
        for block in self.blocks[STRIDE_16_BLOCKS:]:
            x = block(x)
        tail = _relu6(self.tail_depthwise(_relu6(self.tail_expand(x))))
        return LandmarkFeatures(stride_16, x, tail.mean(dim=(2, 3)))

    def heads(self, pooled: Tensor) -> LandmarkOutput:
        """MediaPipe's heads on the pooled features (B, 1152)."""
        image = self.image_head(pooled).unflatten(1, (keypoints.COUNT, 3))
        return LandmarkOutput(
            keypoints_px=image[..., :2] - 0.5,
            keypoints_z=image[..., 2],
            world_m=self.world_head(pooled).unflatten(1, (keypoints.COUNT, 3)),
            presence=torch.sigmoid(self.presence_head(pooled)).squeeze(1),
            right=torch.sigmoid(self.handedness_head(pooled)).squeeze(1),
        )

    def forward(self, image: Tensor) -> LandmarkOutput:
        """Landmarks of `image` (B, 3, 224, 224), RGB in [0, 1].

        Raises:
            ShapeError: `image` has another shape or is not floating point.
        """
        return self.heads(self.features(image).pooled)


def _relu6(x: Tensor) -> Tensor:
    return F.relu6(x, inplace=True)  # in place: large fresh tensors cost page faults on a CPU


def _check_image(image: Tensor) -> None:
    if torch.jit.is_tracing():  # an engine freezes the module; shapes are then fixed by its example
        return
    if image.ndim != 4 or tuple(image.shape[1:]) != (3, INPUT_SIZE, INPUT_SIZE) or not image.is_floating_point():
        expected = f"crops (B, 3, {INPUT_SIZE}, {INPUT_SIZE}), floating point, RGB in [0, 1]"
        raise ShapeError(f"The landmark network takes {expected}, got {tuple(image.shape)} {image.dtype}.")


def _read_member(path: Path, name: str) -> bytes:
    problem = f"Could not read MediaPipe's hand landmarker {path}"
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except FileNotFoundError as error:
        raise AssetError(f"{problem}: no such file.", hint=HINT) from error
    except KeyError as error:
        raise AssetError(f"{problem}: an archive without {name}.", hint=HINT) from error
    except (zipfile.BadZipFile, zipfile.zlib.error, EOFError, OSError) as error:  # type: ignore[attr-defined]
        raise AssetError(f"{problem}: a damaged file ({error}).", hint=HINT) from error


def _layers(module: MediaPipeLandmarks) -> Iterator[SamePadConv]:
    """The convolutions in the order in which they run."""
    yield module.stem
    for block in module.blocks:
        assert isinstance(block, InvertedResidual)
        if block.expand is not None:
            yield block.expand
        yield block.depthwise
        yield block.project
    yield module.tail_expand
    yield module.tail_depthwise


def _copy_weights(graph: Graph, module: MediaPipeLandmarks) -> None:
    """Fill the module from the graph, which must be the network that `BLOCKS` describes, operator by operator."""
    convolutions = [operator for operator in graph.operators if operator.kind.endswith("conv_2d")]
    layers = list(_layers(module))
    if len(convolutions) != len(layers):
        raise _other_network(f"{len(convolutions)} convolutions instead of {len(layers)}")
    for operator, layer in zip(convolutions, layers, strict=True):
        if operator.stride != layer.stride or operator.padding != "same":
            raise _other_network(f"a convolution of stride {operator.stride} and {operator.padding} padding")
        _fill(layer, *_constants(graph, operator))
    for number, head in _heads(graph, module):
        _fill(head, *_constants(graph, _source(graph, number)))


def _heads(graph: Graph, module: MediaPipeLandmarks) -> list[tuple[int, nn.Linear]]:
    """(number of the output tensor, head); MediaPipe's order is landmarks, presence, handedness, world landmarks."""
    heads = [module.image_head, module.presence_head, module.handedness_head, module.world_head]
    if len(graph.outputs) != len(heads):
        raise _other_network(f"{len(graph.outputs)} outputs instead of {len(heads)}")
    return list(zip(graph.outputs, heads, strict=True))


def _source(graph: Graph, number: int) -> Operator:
    """The linear layer that a graph output comes from, through the logistic function where there is one."""
    makers = {output: operator for operator in graph.operators for output in operator.outputs}
    maker = makers.get(number)
    if maker is not None and maker.kind == "logistic":
        maker = makers.get(maker.inputs[0])
    if maker is None or maker.kind != "fully_connected":
        raise _other_network("an output that no linear layer computes")
    return maker


def _constants(graph: Graph, operator: Operator) -> tuple[np.ndarray, np.ndarray]:
    """Weights in PyTorch's layout, and biases."""
    weight, bias = (graph.tensors[number].constant for number in operator.inputs[1:3])
    if weight is None or bias is None:
        raise _other_network(f"{operator.kind} without stored weights")
    if operator.kind == "conv_2d":  # (out, height, width, in)
        weight = weight.transpose(0, 3, 1, 2)
    elif operator.kind == "depthwise_conv_2d":  # (1, height, width, channels)
        weight = weight.transpose(3, 0, 1, 2)
    return weight, bias


def _fill(layer: nn.Conv2d | nn.Linear, weight: np.ndarray, bias: np.ndarray) -> None:
    assert layer.bias is not None
    if weight.shape != tuple(layer.weight.shape) or bias.shape != tuple(layer.bias.shape):
        raise _other_network(f"weights of shape {weight.shape} instead of {tuple(layer.weight.shape)}")
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        layer.bias.copy_(torch.from_numpy(bias.copy()))


def _other_network(actual: str) -> WeightsError:
    return WeightsError(f"{MEMBER} is not MediaPipe's hand-landmark network of 2023: it has {actual}.", hint=HINT)
