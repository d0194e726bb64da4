"""Renders drawn views from patches: one warp for each view, then occluders, blur, colours and noise. On any device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from kornia.enhance import (
    adjust_brightness_accumulative,
    adjust_contrast_with_mean_subtraction,
    adjust_hue,
    adjust_saturation,
)
from kornia.filters import gaussian_blur2d
from kornia.geometry.transform import warp_perspective
from torch import Tensor
from torch.nn import functional

__all__ = ["render_views"]

_USED_UP = ("view_from_patch", "brightness", "contrast", "saturation", "hue_rad", "blur_px", "noise", "noise_seed")
_SHAPES = ("occluders", "textures")
_LEAST_BLUR_PX = 0.1  # kornia wants a positive one; this changes no pixel


def render_views(batch: Mapping[str, Any], size: int) -> dict[str, Any]:
    """The training batch of a loaded batch of `ViewPairs`.

    Args:
        batch: collated samples, on the device that shall do the work.
        size: side S of the views, pixels.

    Returns:
        "view1" (and "view2"): image (B, 3, S, S) float32 from 0 to 1, with the labels of the batch; "index",
        "uv2_from_uv1" as they came. Pixels that the camera did not see are 0.
    """
    patch = batch["patch"].to(torch.float32) / 255
    inside = _inside(batch["filled"], patch.shape[-1])
    source = torch.cat([patch, inside], dim=1)
    result = {name: value for name, value in batch.items() if name not in ("patch", "filled")}
    for name in ("view1", "view2"):
        if name in batch:
            view = batch[name]
            labels = {key: value for key, value in view.items() if key not in (*_USED_UP, *_SHAPES)}
            result[name] = {"image": _render(source, view, size), **labels}
    return result


def _inside(filled: Tensor, side: int) -> Tensor:
    """(B, 1, P, P) 1 where the patch holds picture."""
    steps = torch.arange(side, device=filled.device)
    across, down = steps[None, :] < filled[:, :1], steps[None, :] < filled[:, 1:]
    return (down[:, None, :, None] & across[:, None, None, :]).to(torch.float32)


def _render(source: Tensor, view: Mapping[str, Tensor], size: int) -> Tensor:
    """(B, 3, S, S). Kornia's align_corners means that pixel (0, 0) has its centre at (0, 0), as everywhere here."""
    warped = warp_perspective(source, view["view_from_patch"], (size, size), align_corners=True)
    image, inside = warped[:, :3], warped[:, 3:]
    image = _occluded(image, view["occluders"], view["textures"])
    image = _blurred(image, view["blur_px"])
    image = adjust_contrast_with_mean_subtraction(image, view["contrast"])
    image = adjust_brightness_accumulative(image, view["brightness"])
    image = adjust_saturation(image, view["saturation"])
    image = adjust_hue(image, view["hue_rad"])
    image = _noisy(image, view["noise"], view["noise_seed"])
    return image.clamp(0, 1) * inside


def _occluded(image: Tensor, shapes: Tensor, textures: Tensor) -> Tensor:
    """Superellipses with a texture each, in their order, over the picture."""
    size = image.shape[-1]
    steps = (torch.arange(size, device=image.device, dtype=image.dtype) + 0.5) / size
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1)
    for shape, texture in zip(shapes.unbind(1), textures.unbind(1), strict=True):
        center, half, angle, exponent, opacity, softness = shape.split([2, 2, 1, 1, 1, 1], dim=1)
        offset = grid - center[:, None, None]
        cosine, sine = angle.cos()[:, None], angle.sin()[:, None]
        along = offset[..., 0] * cosine + offset[..., 1] * sine
        across = offset[..., 1] * cosine - offset[..., 0] * sine
        local = torch.stack([along, across], dim=-1) / half[:, None, None]
        power = exponent[:, :, None]
        radius = local.abs().clamp(1e-4, 1e3).log().mul(power[..., None]).logsumexp(-1).div(power).exp()
        edge_px = (1 - radius) * half.amin(1)[:, None, None] * size / softness[:, :, None]
        cover = (opacity[:, :, None] * torch.sigmoid(4 * edge_px))[:, None]
        colour = functional.grid_sample(texture, local, padding_mode="reflection", align_corners=True)
        image = image * (1 - cover) + colour * cover
    return image


def _blurred(image: Tensor, blur_px: Tensor) -> Tensor:
    sigma = blur_px.clamp(min=_LEAST_BLUR_PX)
    kernel = 13  # three standard deviations of 2 px
    return gaussian_blur2d(image, kernel, sigma[:, None].expand(-1, 2), border_type="reflect")


def _noisy(image: Tensor, noise: Tensor, seeds: Tensor) -> Tensor:
    """Grain; the batch's first seed sets it, so a batch always looks the same on one kind of device."""
    generator = torch.Generator(image.device).manual_seed(int(seeds[0]))
    grain = torch.randn(image.shape, generator=generator, device=image.device, dtype=image.dtype)
    return image + noise[:, None, None, None] * grain
