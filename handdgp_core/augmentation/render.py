"""Renders drawn views from patches: one warp for each view, then occluders, blur, colours and noise. On any device.

Occluders and blur are computed for those pictures of a batch that were drawn to have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from kornia.filters import gaussian_blur2d
from kornia.geometry.transform import warp_perspective
from torch import Tensor
from torch.nn import functional

from handdgp_core.augmentation.colours import vary_colours

__all__ = ["render_views"]

_USED_UP = ("view_from_patch", "brightness", "contrast", "saturation", "hue_rad", "blur_px", "noise", "noise_seed")
_SHAPES = ("occluders", "textures")
_LEAST_BLUR_PX = 0.1  # below it no pixel changes
_KERNEL = 13  # three standard deviations of 2 px


def render_views(batch: Mapping[str, Any], size: int) -> dict[str, Any]:
    """The training batch of a loaded batch of `ViewPairs`.

    Args:
        batch: collated samples, on the device that shall do the work.
        size: side S of the views, pixels.

    Returns:
        "view1" (and "view2"): image (B, 3, S, S) float32 from 0 to 1, with the labels of the batch, and
        silhouette (B, 1, S / 2, S / 2) where the patches have a fourth channel; "index",
        "uv2_from_uv1" as they came. Pixels that the camera did not see are 0.
    """
    with torch.autocast(batch["patch"].device.type, enabled=False):  # half precision would move pixels
        return _views(batch, size)


def _views(batch: Mapping[str, Any], size: int) -> dict[str, Any]:
    patch = batch["patch"].to(torch.float32) / 255
    inside = _inside(batch["filled"], patch.shape[-1])
    source = torch.cat([patch, inside], dim=1)
    result = {name: value for name, value in batch.items() if name not in ("patch", "filled")}
    for name in ("view1", "view2"):
        if name in batch:
            view = batch[name]
            labels = {key: value for key, value in view.items() if key not in (*_USED_UP, *_SHAPES)}
            result[name] = {**_render(source, view, size), **labels}
    return result


def _inside(filled: Tensor, side: int) -> Tensor:
    """(B, 1, P, P) 1 where the patch holds picture."""
    steps = torch.arange(side, device=filled.device)
    across, down = steps[None, :] < filled[:, :1], steps[None, :] < filled[:, 1:]
    return (down[:, None, :, None] & across[:, None, None, :]).to(torch.float32)


def _render(source: Tensor, view: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
    """The image, and the silhouette where there is one.

    Kornia's align_corners means that pixel (0, 0) has its centre at (0, 0), as everywhere here.
    """
    warped = warp_perspective(source, view["view_from_patch"], (size, size), align_corners=True)
    image, inside = warped[:, :3], warped[:, -1:]
    drawn = {"silhouette": functional.avg_pool2d(warped[:, 3:4], 2)} if source.shape[1] > 4 else {}
    for shape, texture in zip(view["occluders"].unbind(1), view["textures"].unbind(1), strict=True):
        shown = (shape[:, 6] > 0).nonzero()[:, 0]
        if len(shown):
            image = image.index_copy(0, shown, _covered(image[shown], shape[shown], texture[shown]))
    blurred = (view["blur_px"] > _LEAST_BLUR_PX).nonzero()[:, 0]
    if len(blurred):
        image = image.index_copy(0, blurred, _blurred(image[blurred], view["blur_px"][blurred]))
    image = vary_colours(image, view["brightness"], view["contrast"], view["saturation"], view["hue_rad"])
    image = _noisy(image, view["noise"], view["noise_seed"])
    return {"image": image.clamp(0, 1) * inside, **drawn}


def _covered(image: Tensor, shape: Tensor, texture: Tensor) -> Tensor:
    """A superellipse with its own texture over every picture."""
    size = image.shape[-1]
    steps = (torch.arange(size, device=image.device, dtype=image.dtype) + 0.5) / size
    center, half, angle, exponent, opacity, softness = shape[..., None].split([2, 2, 1, 1, 1, 1], dim=1)
    across, down = (steps - center).unbind(1)
    across, down = across[:, None, :], down[:, :, None]
    cosine, sine = angle.cos(), angle.sin()
    local = (
        torch.stack([across * cosine + down * sine, down * cosine - across * sine], dim=-1) / half[:, None, None, :, 0]
    )
    radius = (local.abs().clamp(1e-4, 1e3).log() * exponent[..., None]).logsumexp(-1).div(exponent).exp()
    edge_px = (1 - radius) * half.amin(1, keepdim=True) * size / softness
    cover = (opacity * torch.sigmoid(4 * edge_px))[:, None]
    colour = functional.grid_sample(texture, local, padding_mode="reflection", align_corners=True)
    return torch.lerp(image, colour, cover)


def _blurred(image: Tensor, blur_px: Tensor) -> Tensor:
    return gaussian_blur2d(image, _KERNEL, blur_px[:, None].expand(-1, 2), border_type="reflect")


def _noisy(image: Tensor, noise: Tensor, seeds: Tensor) -> Tensor:
    """Grain; the batch's first seed sets it, so a batch always looks the same on one kind of device."""
    generator = torch.Generator(image.device).manual_seed(int(seeds[0]))
    grain = torch.randn(image.shape, generator=generator, device=image.device, dtype=image.dtype)
    return image + noise[:, None, None, None] * grain
