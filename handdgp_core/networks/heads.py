"""The three heads on the backbone's map: keypoints in the image, the mesh, and a weight for every keypoint."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handdgp_core.errors import UsageError
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks.spiral_decoder import SpiralDecoder

__all__ = ["KeypointHead", "MeshHead", "WeightHead", "sample_at"]

_LARGEST_ACTIVATION = 4.0


def sample_at(features: Tensor, keypoints_uv: Tensor) -> Tensor:
    """Features at keypoints, bilinear.

    Args:
        features: (B, C, H, W). The centres of its corner pixels stand for the crop's corners.
        keypoints_uv: (B, K, 2) crop fractions; outside of the crop the border counts.

    Returns:
        (B, C, K), in the finer type of both: half precision would round the places.
    """
    kind = torch.promote_types(features.dtype, keypoints_uv.dtype)
    # On a CPU the gradient of grid_sample at a NaN place is a crash of the process; the NaN itself shows in the loss.
    places = keypoints_uv.nan_to_num(0.5).clamp(0, 1)
    grid = (2 * places - 1).to(kind).unsqueeze(2)
    sampled = F.grid_sample(features.to(kind), grid, mode="bilinear", padding_mode="border", align_corners=True)
    return sampled.squeeze(3)


class KeypointHead(nn.Module):
    """`forward` maps features (B, C, side, side) to keypoints (B, K, 2), crop fractions.

    One channel for every keypoint, and one MLP without biases that reads the place off each channel. The output has no
    bounds: a keypoint may lie outside of the crop.
    """

    def __init__(self, channels: int, side: int, keypoints: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.latent = nn.Conv2d(channels, keypoints, 1)
        self.layers = nn.ModuleList(nn.Linear(*pair, bias=False) for pair in pairwise((side * side, *widths, 2)))

    def forward(self, features: Tensor) -> Tensor:
        x = self.latent(features).flatten(2)
        # In full precision: bfloat16 knows a place in the crop to one pixel only.
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.latent.weight.dtype)
            for layer in self.layers[:-1]:
                x = layer(x).clamp(0, _LARGEST_ACTIVATION)
            return self.layers[-1](x)


class MeshHead(nn.Module):
    """`forward` maps features (B, C, side, side) and keypoints (B, K, 2) to vertices (B, V, 3), root-relative."""

    def __init__(self, channels: int, template: Template, widths: tuple[int, ...], spiral_length: int) -> None:
        super().__init__()
        if len(widths) != len(template.upsampling):
            raise UsageError(f"mesh_widths: this template needs {len(template.upsampling)} values, got {len(widths)}.")
        self.latent = nn.Conv2d(channels, widths[0], 1)
        self.mix = nn.Conv2d(widths[0], widths[0], 1, bias=False)
        self.decoder = SpiralDecoder(template, widths, spiral_length)

    def forward(self, features: Tensor, keypoints_uv: Tensor) -> Tensor:
        latent = self.mix(torch.relu(self.latent(features)))
        return self.decoder(sample_at(latent, keypoints_uv).transpose(1, 2))


class WeightHead(nn.Module):
    """`forward` maps features (B, C, side, side) and keypoints (B, K, 2) to weights (B, K), each from 0 to 1."""

    def __init__(self, channels: int, keypoints: int, latent: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        sampled = channels // keypoints
        if sampled < 1:
            raise UsageError(f"{keypoints} keypoints need a backbone of at least {keypoints} channels, got {channels}.")
        self.latent = nn.Sequential(
            nn.Conv2d(channels, latent, 1), nn.BatchNorm2d(latent), nn.LeakyReLU(), nn.Conv2d(latent, sampled, 1)
        )
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise((sampled * keypoints, *widths, keypoints)))

    def forward(self, features: Tensor, keypoints_uv: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(features, keypoints_uv))

    def logits(self, features: Tensor, keypoints_uv: Tensor) -> Tensor:
        """The weights before the logistic function."""
        x = sample_at(self.latent(features), keypoints_uv).flatten(1)  # the channel varies slowest
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x))
        last: Tensor = self.layers[-1](x)
        return last


class ResidualBlock(nn.Module):
    """Layer norm, then two linear layers with SiLU and dropout between; the input (B, width) is added."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.second(self.dropout(F.silu(self.first(self.norm(x)))))
        return x + inner
