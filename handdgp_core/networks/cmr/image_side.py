"""CMR's image side (Chen et al., CVPR 2021): three stacked encoders, each of which sees what the one before it found.

Sides are for crops of 224 px: the stem's map has 112, the stages' maps 56, 28, 14 and 7.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handdgp_core.hands.keypoints import COUNT, FINGERS
from handdgp_core.networks.backbones.resnet import ResNet
from handdgp_core.networks.config import RESNET_WIDTH

__all__ = ["ImageFeatures", "ImageSide", "soft_argmax"]

_VECTOR = 1000  # of ResNets of the usual width
_TIPS = tuple(chain[-1] for chain in FINGERS.values())


class ImageFeatures(NamedTuple):
    """What the image side finds. B batch, K keypoints, S side of the crop, W 64 or the ResNets' width.

    Attributes:
        latent: (B, 8 W, S / 32, S / 32) the last stage's map.
        vector: (B, 1000 W / 64) of the last stage.
        first_silhouette: (B, 1, S / 2, S / 2) logits, by the first stage.
        first_maps: (B, K, S / 2, S / 2) logits, by the second.
        silhouette: (B, 1, S / 2, S / 2) logits, by the last.
        maps: (B, K, S / 2, S / 2) logits, by the last.
    """

    latent: Tensor
    vector: Tensor
    first_silhouette: Tensor
    first_maps: Tensor
    silhouette: Tensor
    maps: Tensor


class ImageSide(nn.Module):
    """`forward` maps images (B, 3, S, S), normalised by half, to `ImageFeatures`.

    Args:
        depth: of the ResNets, 18 or 34.
        keypoints: K.
        width: of the ResNets, W.
    """

    def __init__(self, depth: int, keypoints: int, width: int = RESNET_WIDTH) -> None:
        super().__init__()
        self.first = ResNet(depth, width=width)
        self.second, self.third = (ResNet(depth, with_stem=False, width=width) for _ in range(2))
        self.silhouette = MapDecoder(1, width)
        self.prior = MapDecoder(keypoints, width)
        self.final = MapDecoder(keypoints + 1, width)
        self.into_second = _reduction(width + 1, width)
        # Sums of two finger tips' maps tell where both are ("semantic aggregation"); a body has no finger tips.
        self.pairs = list(combinations(_TIPS, 2)) if keypoints == COUNT else []
        self.into_third = _reduction(width + keypoints + len(self.pairs), width)
        self.vector = nn.Linear(self.third.channels, _VECTOR * width // RESNET_WIDTH)

    def forward(self, image: Tensor) -> ImageFeatures:
        stem = self.first.stem(image)
        silhouette = self.silhouette(self.first.stages(stem))
        second = self.into_second(torch.cat([stem, silhouette.sigmoid()], dim=1))
        prior = self.prior(self.second.stages(second))
        seen = prior.sigmoid()
        sums = [seen[:, [a]] + seen[:, [b]] for a, b in self.pairs]
        third = self.third.stages(self.into_third(torch.cat([second, seen, *sums], dim=1)))
        final = self.final(third)
        vector = self.vector(third[-1].mean((2, 3)))
        return ImageFeatures(third[-1], vector, silhouette, prior, final[:, -1:], final[:, :-1])


class MapDecoder(nn.Module):
    """`forward` maps the four maps of an encoder, coarsest last, to (B, `out`, S / 2, S / 2) logits."""

    def __init__(self, out: int, width: int) -> None:
        super().__init__()
        decoded = (4 * width, 2 * width, width, width)
        skips = (*decoded[:3], 0)
        entering = (8 * width, *decoded)
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Conv2d(below + skip, wide, 3, padding=1), nn.BatchNorm2d(wide), nn.ReLU(inplace=True))
            for below, skip, wide in zip(entering, skips, decoded, strict=False)
        )
        self.out = nn.Conv2d(width, out, 3, padding=1)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        x, skips = maps[-1], [*maps[-2::-1], None]
        for step, skip in zip(self.steps, skips, strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = step(x if skip is None else torch.cat([x, skip], dim=1))
        logits: Tensor = self.out(x)
        return logits


def soft_argmax(logits: Tensor) -> Tensor:
    """(B, K, 2) crop fractions of maps (B, K, H, W): the mean place under the softmax of each map.

    Of the logits, not of their logistic function: its background would pull every place to the middle.
    """
    chances = logits.flatten(2).float().softmax(-1).unflatten(2, logits.shape[2:])
    down, across = ((torch.arange(n, device=logits.device) + 0.5) / n for n in logits.shape[2:])
    return torch.stack([chances.sum(2) @ across, chances.sum(3) @ down], dim=-1)


def _reduction(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)),
        *(nn.Conv2d(channels, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(inplace=True)),
        *(nn.Conv2d(2 * width, width, 1, bias=False), nn.BatchNorm2d(width)),
    )
