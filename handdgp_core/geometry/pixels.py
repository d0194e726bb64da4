"""What resizing an image does to its pixels and its camera.

The origin is the centre of the top-left pixel (docs/conventions.md), so a resized image scales about that pixel's
corner: u' = s (u + 0.5) - 0.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from handdgp_core.arrays import Array

__all__ = ["resized_matrix", "resized_pixels"]


def resized_pixels(pixels: Array, scale: ArrayLike) -> Array:
    """Where pixels (..., 2) are once the image is resized by a factor, or by one (2,) for each axis."""
    return np.asarray((pixels + 0.5) * np.asarray(scale) - 0.5, dtype=np.float64)


def resized_matrix(matrix: Array, scale: ArrayLike) -> Array:
    """Intrinsics (3, 3) of the image resized by a factor, or by one (2,) for each axis."""
    by = np.broadcast_to(np.asarray(scale, dtype=np.float64), (2,))
    resized = matrix.copy()
    resized[:2] *= by[:, None]
    resized[:2, 2] += 0.5 * by - 0.5
    return resized
