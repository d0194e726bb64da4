"""Things before the hand: pens, cards, phones, cups and balls, as shaded shapes painted over the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array

__all__ = ["paint_occluder"]

# (share, shortest and longest half length, smallest and largest width over length, exponent of the superellipse)
_KINDS = (
    (0.25, (0.12, 0.35), (0.04, 0.10), 6.0),  # pen, cable, stick
    (0.40, (0.06, 0.28), (0.35, 0.75), 8.0),  # card, phone, book
    (0.35, (0.05, 0.22), (0.60, 1.00), 2.0),  # cup, ball, fruit
)


def paint_occluder(
    image: NDArray[np.uint8], center_px: Array, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The picture with a thing in it, and where that thing is.

    Args:
        image: (size, size, 3) sRGB.
        center_px: (2,) where about.
        rng: draws kind, size, colour and pattern.
    """
    size = len(image)
    shares = np.array([kind[0] for kind in _KINDS])
    _, lengths, ratios, exponent = _KINDS[int(rng.choice(len(_KINDS), p=shares / shares.sum()))]
    half = size * np.exp(rng.uniform(*np.log(lengths))) * np.array([1.0, rng.uniform(*ratios)])
    angle = rng.uniform(0, np.pi)
    row, column = np.mgrid[:size, :size].astype(np.float32)
    x, y = column - center_px[0], row - center_px[1]
    along = (x * np.cos(angle) + y * np.sin(angle)) / half[0]
    across = (y * np.cos(angle) - x * np.sin(angle)) / half[1]
    radius = (np.abs(along) ** exponent + np.abs(across) ** exponent) ** (1 / exponent)
    cover = np.clip((1 - radius) * half.min() + 0.5, 0, 1)[..., None]
    paint = _surface(along, across, exponent == 2.0, rng)
    painted = image * (1 - cover) + 255 * np.clip(paint, 0, 1) * cover
    return painted.astype(np.uint8), cover[..., 0] > 0.5


def _surface(
    along: NDArray[np.float32], across: NDArray[np.float32], rounded: bool, rng: np.random.Generator
) -> NDArray[np.float32]:
    colour = np.clip(rng.beta(1.0, 1.2) * (1 + rng.normal(0, 0.35, 3)), 0.02, 1.0)
    shade = 1 + 0.35 * rng.normal() * np.clip(along, -1, 1) + 0.35 * rng.normal() * np.clip(across, -1, 1)
    if rounded:
        shade = shade * np.sqrt(np.clip(1.05 - np.minimum(along**2 + across**2, 1), 0.05, 1))
    pattern = np.zeros_like(along)
    kind = rng.random()
    if kind < 0.3:
        pattern = 0.3 * np.sign(np.sin(along * rng.uniform(5, 25) + rng.uniform(0, 6)))
    elif kind < 0.6:
        cells = int(rng.integers(3, 20))
        grid = rng.normal(0, 0.25, (cells, cells)).astype(np.float32)
        pattern = np.asarray(cv2.resize(grid, along.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray((shade * (1 + pattern))[..., None] * colour, dtype=np.float32)
