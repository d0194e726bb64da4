"""What two calibrations of one camera differ by, where it counts: in where they put a hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["HandShift", "hand_shift"]

_GRID = (9, 7)  # places in the picture, across and down
_HAND_M = 0.1  # side of the square that stands for a hand


@dataclass(frozen=True)
class HandShift:
    """Distances between the positions that two cameras give one hand, over the picture, in millimetres.

    Attributes:
        distance_m: of the hand.
        mean_mm, largest_mm: over the places where both have an answer; NaN where there is none.
        unknown: share of places where one of the lens models has no answer.
    """

    distance_m: float
    mean_mm: float
    largest_mm: float
    unknown: float


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
    return HandShift(distance_m, mean, largest, 1.0 - known.size / len(shifts))


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
