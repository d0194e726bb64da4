"""The Kannala-Brandt lens, which OpenCV calls fisheye and ROS and Kalibr equidistant: both directions, and its range.

A ray at the angle a from the axis appears at the radius a (1 + k1 a^2 + k2 a^4 + k3 a^6 + k4 a^8) on the plane z = 1.
(Kannala and Brandt 2006, equation 6, in OpenCV's form.) Same functions as `distortion`; points are on the plane z = 1
on both sides, so rays at 90 degrees from the axis and beyond have no answer here.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

__all__ = ["COUNT", "distort", "largest_radius", "mirrored", "undistort"]

Array = NDArray[np.float64]

COUNT = 4
_WIDEST_RAD = 0.5 * np.pi - 1e-4  # the plane z = 1 is 10,000 wide there
_INSIDE_FOLD = 1.0 - 1e-6
_MAX_STEPS = 60
_REACHED = 1e-13


def distort(points: Array, coefficients: Array) -> Array:
    """Apply the lens to ideal points.

    Args:
        points: (..., 2) on the plane z = 1, as a pinhole would see them.
        coefficients: (4,) k1 k2 k3 k4.

    Returns:
        (..., 2) on the plane z = 1, as the lens bends them. Also beyond `largest_radius`, where it means nothing.
    """
    points = np.asarray(points, dtype=np.float64)
    radius = np.linalg.norm(points, axis=-1, keepdims=True)
    bent = _bent_radius(coefficients)(np.arctan(radius))
    return points * np.where(radius > 1e-12, bent / np.maximum(radius, 1e-12), 1.0)


def undistort(points: Array, coefficients: Array, limit: float | None = None) -> Array:
    """Invert `distort` to machine precision, by Newton's method between bounds that close in.

    Args:
        points: (..., 2) on the plane z = 1, as the lens bends them.
        coefficients: (4,) k1 k2 k3 k4.
        limit: `largest_radius` of these coefficients, where the caller knows it already.

    Returns:
        (..., 2) on the plane z = 1, as a pinhole would see them. NaN where no ideal point within `largest_radius`
        is bent to the given one.
    """
    points = np.asarray(points, dtype=np.float64)
    limit = largest_radius(coefficients) if limit is None else limit
    bent, target = _bent_radius(coefficients), np.linalg.norm(points, axis=-1, keepdims=True)
    slope, widest = bent.deriv(), np.arctan(limit)
    low, high = np.zeros_like(target), np.full_like(target, widest)
    angle = np.minimum(target, widest)
    for _ in range(_MAX_STEPS):
        over = bent(angle) - target
        if not (np.abs(over) > _REACHED).any():  # NaN counts as done
            break
        low, high = np.where(over <= 0, angle, low), np.where(over > 0, angle, high)
        step = angle - over / np.maximum(slope(angle), 1e-9)
        angle = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
    ideal = points * np.where(target > 1e-12, np.tan(angle) / np.maximum(target, 1e-12), 1.0)
    return np.where(target <= bent(widest), ideal, np.nan)


def largest_radius(coefficients: Array) -> float:
    """Distance from the axis, on the plane z = 1, up to which the image grows with the angle; 10,000 at most.

    Args:
        coefficients: (4,) k1 k2 k3 k4.
    """
    roots = _bent_radius(coefficients).deriv().trim(1e-15).roots()
    folds = roots.real[(np.abs(roots.imag) < 1e-9 * (1 + np.abs(roots.real))) & (roots.real > 0)]
    return float(np.tan(min(_WIDEST_RAD, *(folds * _INSIDE_FOLD))) if folds.size else np.tan(_WIDEST_RAD))


def mirrored(coefficients: Array) -> Array:
    """Coefficients (4,) of the lens seen in a mirror: the same, for it is round."""
    return coefficients.copy()


def _bent_radius(coefficients: Array) -> Polynomial:
    k1, k2, k3, k4 = coefficients
    return Polynomial([0.0, 1.0, 0.0, k1, 0.0, k2, 0.0, k3, 0.0, k4])
