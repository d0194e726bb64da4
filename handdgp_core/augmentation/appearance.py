"""Draws how the pixels of a view vary: plain numbers, which `render` applies on the GPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from handdgp_core.augmentation.settings import AppearanceSettings

__all__ = ["TEXTURE_SIDE", "draw_appearance"]

TEXTURE_SIDE = 6
# A superellipse of this exponent is an ellipse, a rounded box, a box.
_EXPONENTS = (2.0, 4.0, 12.0)
_SLENDEREST = 0.15

Numbers = dict[str, NDArray[np.float32]]


def draw_appearance(settings: AppearanceSettings, rng: np.random.Generator) -> Numbers:
    """Random numbers of one view.

    Returns:
        brightness, contrast, saturation (factors), hue_rad, blur_px, noise (scalars), noise_seed (scalar, whole);
        occluders (N, 8): centre x, y and half lengths as parts of the side, angle (radians), exponent, opacity
        (0 for none), edge softness; textures (N, 3, T, T) from 0 to 1.
    """
    blurred = rng.random() < settings.blur_probability
    numbers = {
        "brightness": 1 + rng.uniform(-settings.brightness, settings.brightness),
        "contrast": 1 + rng.uniform(-settings.contrast, settings.contrast),
        "saturation": 1 + rng.uniform(-settings.saturation, settings.saturation),
        "hue_rad": rng.uniform(-settings.hue_rad, settings.hue_rad),
        "blur_px": rng.uniform(0, settings.blur_px) if blurred else 0.0,
        "noise": rng.uniform(0, settings.noise),
        "noise_seed": float(rng.integers(1 << 24)),
    }
    shapes = [_occluder(settings, rng) for _ in range(settings.occluders)]
    textures = [_texture(rng) for _ in range(settings.occluders)]
    side = TEXTURE_SIDE
    return {name: np.array(value, dtype=np.float32) for name, value in numbers.items()} | {
        "occluders": np.array(shapes, dtype=np.float32).reshape(-1, 8),
        "textures": np.array(textures, dtype=np.float32).reshape(-1, 3, side, side),
    }


def _occluder(settings: AppearanceSettings, rng: np.random.Generator) -> list[float]:
    center = rng.uniform(0.0, 1.0, 2)
    length = float(np.exp(rng.uniform(*np.log(settings.occluder_size))))
    opacity = float(rng.random() < settings.occluder_probability)
    slenderness = rng.uniform(_SLENDEREST, 1.0)
    angle, exponent = rng.uniform(0, np.pi), float(rng.choice(_EXPONENTS))
    return [*center, length, length * slenderness, angle, exponent, opacity, rng.uniform(0.5, 2.0)]


def _texture(rng: np.random.Generator) -> NDArray[np.float64]:
    """(3, T, T): one colour, patterned by coarse noise of its own strength, or striped."""
    side = TEXTURE_SIDE
    base = rng.random() + rng.normal(0.0, 0.15, (3, 1, 1))
    pattern = rng.normal(0.0, 1.0, (3, side, side)) if rng.random() < 0.7 else rng.normal(0.0, 1.0, (3, 1, side))
    return np.broadcast_to(np.clip(base + rng.uniform(0.0, 0.35) * pattern, 0.0, 1.0), (3, side, side))
