"""Colours of the 3D view: one theme for dark and one for light windows, hands and weights as everywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handdgp_core.drawing.colours import HAND_COLOURS, weight_table

__all__ = ["THEMES", "Floats", "Theme", "ThemeName", "weight_colours"]

Floats = NDArray[np.float64]
Rgb = tuple[float, float, float]
ThemeName = Literal["dark", "light"]


def _softened(colour: tuple[int, int, int], towards: float, share: float) -> Rgb:
    """A shared colour, mixed with grey so that light and shade on a mesh can be seen."""
    red, green, blue = ((1.0 - share) * channel / 255.0 + share * towards for channel in colour)
    return (red, green, blue)


@dataclass(frozen=True)
class Theme:
    """Colours (RGB, 0 to 1) that stand on one background."""

    background: Rgb
    floor_line: Rgb
    floor_strong: Rgb
    camera: Rgb
    ghost: Rgb
    ellipsoid: Rgb
    root: Rgb
    truth: Rgb
    arrow: Rgb
    left: Rgb
    right: Rgb
    recorded: Rgb = (0.97, 0.60, 0.13)
    axis_x: Rgb = (0.90, 0.26, 0.28)
    axis_y: Rgb = (0.32, 0.70, 0.30)
    axis_z: Rgb = (0.27, 0.50, 0.95)

    def hand(self, side: str, recorded: bool = False) -> Rgb:
        """The colour of a "left" or "right" hand, or of a recorded one."""
        return self.recorded if recorded else self.left if side == "left" else self.right


THEMES: dict[ThemeName, Theme] = {
    "dark": Theme(
        background=(0.094, 0.106, 0.125),
        floor_line=(0.205, 0.225, 0.255),
        floor_strong=(0.36, 0.39, 0.43),
        camera=(0.86, 0.88, 0.91),
        ghost=(0.62, 0.65, 0.70),
        ellipsoid=(0.98, 0.98, 1.0),
        root=(1.0, 1.0, 1.0),
        truth=(0.96, 0.16, 0.20),
        arrow=(1.0, 0.78, 0.10),
        left=_softened(HAND_COLOURS["left"], 0.85, 0.30),
        right=_softened(HAND_COLOURS["right"], 0.85, 0.30),
    ),
    "light": Theme(
        background=(0.955, 0.960, 0.968),
        floor_line=(0.850, 0.862, 0.878),
        floor_strong=(0.66, 0.68, 0.71),
        camera=(0.20, 0.22, 0.26),
        ghost=(0.50, 0.53, 0.58),
        ellipsoid=(0.12, 0.13, 0.16),
        root=(0.08, 0.09, 0.11),
        truth=(0.86, 0.08, 0.12),
        arrow=(0.72, 0.42, 0.0),
        left=_softened(HAND_COLOURS["left"], 0.75, 0.25),
        right=_softened(HAND_COLOURS["right"], 0.75, 0.25),
    ),
}


def weight_colours(weights: ArrayLike) -> Floats:
    """The shared weight colours (viridis: 0 is dark violet, 1 is yellow), as a renderer wants them.

    Args:
        weights: (...) from 0 to 1; outside it is clipped, NaN counts as 0.

    Returns:
        (..., 3) RGB from 0 to 1.
    """
    fractions = np.clip(np.nan_to_num(np.asarray(weights, dtype=np.float64)), 0.0, 1.0)
    return weight_table()[np.rint(255.0 * fractions).astype(np.intp)] / 255.0
