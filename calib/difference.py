"""What two calibrations of one camera differ by: in where they put a hand, and in pixels over the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calib.rotation import matrix_of
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["HandShift", "PixelShift", "hand_shift", "pixel_shift"]

_GRID = (9, 7)  # places in the picture, across and down
_TURN_STEPS, _TURN_STEP = 6, 1e-6
_HAND_M = 0.1  # side of the square that stands for a hand


@dataclass(frozen=True)
class HandShift:
    """Distances between the positions that two cameras give one hand, over the picture, in millimetres.

    Attributes:
        distance_m: of the hand.
        mean_mm, largest_mm: over the places where both have an answer; NaN where there is none.
        unknown: share of places where one of the lens models has no answer.
        map_mm: (7, 9) over the picture; NaN where unknown.
    """

    distance_m: float
    mean_mm: float
    largest_mm: float
    unknown: float
    map_mm: Array


@dataclass(frozen=True)
class PixelShift:
    """Where one camera sees what another sees at the middles of a grid of cells, less there.

    Attributes:
        shift_px: (rows, columns, 2), NaN where one of the lenses has no answer.
        turn_rad: (3,) rotation vector of the turn that was taken out first, other_from_one.
    """

    shift_px: Array
    turn_rad: Array

    @property
    def distance_px(self) -> Array:
        """(rows, columns)."""
        return np.asarray(np.linalg.norm(self.shift_px, axis=-1), dtype=np.float64)

    @property
    def rms_px(self) -> float:
        """Over the cells with an answer."""
        return float(np.sqrt(np.nanmean(self.distance_px**2)))


def hand_shift(one: Camera, other: Camera, distance_m: float) -> HandShift:
    """Where `other` puts a hand of known size that `one` puts at a distance (z), at places all over the picture.

    The hand is a square of 10 cm that faces the camera. `other` is scaled to the picture size of `one`.

    Raises:
        CameraError: the picture sizes are of different shapes.
    """
    other = other.scaled_to(*one.size)
    side = np.linspace(-0.5, 0.5, 3) * _HAND_M
    hand = np.stack([*np.meshgrid(side, side), np.zeros((3, 3))], axis=-1).reshape(-1, 3)
    u, v = (np.linspace(0, size - 1, count) for size, count in zip(one.size, _GRID, strict=True))
    pixels = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
    shifts = np.array([_shift_m(one, other, hand, place * distance_m) for place in one.rays(pixels)])
    known = 1e3 * shifts[np.isfinite(shifts)]
    mean, largest = (float(known.mean()), float(known.max())) if known.size else (float("nan"), float("nan"))
    return HandShift(distance_m, mean, largest, 1.0 - known.size / len(shifts), 1e3 * shifts.reshape(_GRID[::-1]))


def _shift_m(one: Camera, other: Camera, hand: Array, place: Array) -> float:
    """The hand (N, 3) stands at a place (3,); how far from there the other camera puts it."""
    rays = other.rays(one.project(hand + place))
    if not np.isfinite(rays).all():
        return float("nan")
    # x and y of every point over its depth are those of its ray: linear in where the hand is.
    rows = np.zeros((len(hand), 2, 3))
    rows[:, [0, 1], [0, 1]] = 1.0
    rows[:, :, 2] = -rays[:, :2]
    right = rays[:, :2] * hand[:, 2:] - hand[:, :2]
    found = np.linalg.lstsq(rows.reshape(-1, 3), right.ravel(), rcond=None)[0]
    return float(np.linalg.norm(found - place))


def pixel_shift(one: Camera, other: Camera, turned: bool = True, columns: int = 32, rows: int = 18) -> PixelShift:
    """Where `other` sees what `one` sees, over the picture. `other` is scaled to the picture size of `one`.

    Args:
        one, other: the cameras.
        turned: take out the turn of the whole camera that explains most; whoever uses a camera sees the same scene,
            turned, and calibrations of few views differ by little else.
        columns, rows: cells.

    Raises:
        CameraError: the picture sizes are of different shapes.
    """
    other = other.scaled_to(*one.size)
    across = (np.arange(columns) + 0.5) * one.width / columns - 0.5
    down = (np.arange(rows) + 0.5) * one.height / rows - 0.5
    pixels = np.stack(np.meshgrid(across, down), axis=-1)
    rays, turn = one.rays(pixels), np.zeros(3)

    def shift(by: Array) -> Array:
        return other.project(rays @ matrix_of(by).T) - pixels

    for _ in range(_TURN_STEPS if turned else 0):
        off = shift(turn)
        slopes = np.stack([(shift(turn + step) - off) / _TURN_STEP for step in _TURN_STEP * np.eye(3)], axis=-1)
        known = np.isfinite(off).all(axis=-1) & np.isfinite(slopes).all(axis=(-1, -2))
        if not known.any():
            break
        turn = turn - np.linalg.lstsq(slopes[known].reshape(-1, 3), off[known].ravel(), rcond=None)[0]
    return PixelShift(shift(turn), turn)
