"""Brightness, contrast, saturation and hue of a batch as one affine map of RGB per picture.

All four are linear in RGB, so they are one 3x3 matrix and one offset: a single pass over the pixels, where a detour
through HSV takes a dozen. Hue turns RGB about the grey axis; a third of a turn makes red green, exactly.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["vary_colours"]

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def vary_colours(image: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue_rad: Tensor) -> Tensor:
    """Contrast about the picture's mean luma, then hue, saturation and brightness. 0 stays 0 only without contrast.

    Args:
        image: (B, 3, H, W) RGB.
        brightness: (B,) factor.
        contrast: (B,) factor on the distance from the mean luma.
        saturation: (B,) factor on the distance from grey of the same luma.
        hue_rad: (B,) turn.

    Returns:
        (B, 3, H, W), not clamped.
    """
    luma = image.new_tensor(_LUMA)
    mean = torch.einsum("bchw,c->b", image, luma) / (image.shape[2] * image.shape[3])
    grey = luma.expand(3, 3)
    saturating = grey + saturation[:, None, None] * (torch.eye(3, device=image.device, dtype=image.dtype) - grey)
    matrix = brightness[:, None, None] * saturating @ _hue_turns(hue_rad)
    offset = (matrix.sum(-1) * ((1 - contrast) * mean)[:, None])[..., None]
    return torch.baddbmm(offset, contrast[:, None, None] * matrix, image.flatten(2)).view_as(image)


def _hue_turns(angle: Tensor) -> Tensor:
    """(B, 3, 3) rotations about (1, 1, 1), red towards green."""
    cosine, sine = angle.cos(), angle.sin() / math.sqrt(3)
    same = (1 + 2 * cosine) / 3
    following, preceding = (1 - cosine) / 3 + sine, (1 - cosine) / 3 - sine
    rows = ((same, preceding, following), (following, same, preceding), (preceding, following, same))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
