"""Colours that the overlay, the panels and the exported meshes share, as RGB."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array, Handedness

# Blue and magenta: far in hue from skin and from each other, also for people who confuse red and green.
HAND_COLOURS: dict[Handedness, tuple[int, int, int]] = {"right": (70, 150, 255), "left": (235, 95, 215)}
LIGHT = (255, 255, 255)
DARK = (16, 18, 28)
WARNING = (255, 190, 40)


@lru_cache(maxsize=1)
def weight_table() -> NDArray[np.uint8]:
    """(256, 3) uint8 RGB from dark blue-violet to bright yellow (viridis), even in lightness and colour-blind safe."""
    steps = np.arange(256, dtype=np.uint8).reshape(-1, 1)
    bgr = np.asarray(cv2.applyColorMap(steps, cv2.COLORMAP_VIRIDIS), dtype=np.uint8).reshape(256, 3)
    table = np.ascontiguousarray(bgr[:, ::-1])
    table.setflags(write=False)
    return table


def weight_colours(weights: Array, full_scale: float = 1.0) -> NDArray[np.uint8]:
    """The colour of every weight: dark for none, bright yellow for `full_scale` and above.

    Args:
        weights: (K,), not negative; a value that is not finite counts as 0.
        full_scale: the weight that gets the brightest colour; above 0.

    Returns:
        (K, 3) uint8 RGB.
    """
    fractions = np.nan_to_num(np.asarray(weights, dtype=np.float64) / full_scale, nan=0.0, posinf=0.0, neginf=0.0)
    return weight_table()[np.round(np.clip(fractions, 0.0, 1.0) * 255).astype(np.intp)]
