"""OpenCV's lens distortion on the plane z = 1: both directions, and how far out the model holds.

Coefficients are in OpenCV's order, 0, 4, 5, 8, 12 or 14 of them: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4 [tx ty]]]]
(radial, tangential, rational radial, thin prism, tilted sensor in radians). Those left out are 0.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

__all__ = ["COUNTS", "distort", "largest_radius", "mirrored", "undistort"]

Array = NDArray[np.float64]

COUNTS = (0, 4, 5, 8, 12, 14)
_ALL = 14
_MAX_STEPS = 50
# On the plane z = 1. Newton's error is about the square of the last residual: one step below this is exact.
_LAST_STEP_BELOW = 1e-8
_REACHED = 1e-11
# Just inside the fold, where the derivative is still safely above 0.
_INSIDE_FOLD = 1.0 - 1e-6
# Where other than radial terms fold is looked for at so many angles from the axis, in so many directions around it.
_WIDEST_RAD, _ANGLES, _DIRECTIONS = np.deg2rad(89.5), 129, 24
_BETWEEN_DIRECTIONS = 0.99  # of the radius: the worst direction may lie between two of them


def distort(points: Array, coefficients: Array) -> Array:
    """Apply the lens to ideal points.

    Args:
        points: (..., 2) on the plane z = 1, as a pinhole would see them.
        coefficients: (N,) as in the module's docstring.

    Returns:
        (..., 2) on the plane z = 1, as the lens bends them. Also beyond `largest_radius`, where it means nothing.
    """
    if coefficients.size == 0:
        return np.array(points, dtype=np.float64)
    full = _padded(coefficients)
    bent, _ = _bend(points, full, with_jacobian=False)
    return _apply_homography(_tilt(full[12], full[13]), bent) if full[12:].any() else bent


def undistort(points: Array, coefficients: Array, limit: float | None = None) -> Array:
    """Invert `distort` by Newton's method, to machine precision.

    Args:
        points: (..., 2) on the plane z = 1, as the lens bends them.
        coefficients: (N,) as in the module's docstring.
        limit: `largest_radius` of these coefficients, where the caller knows it already.

    Returns:
        (..., 2) on the plane z = 1, as a pinhole would see them. NaN where no ideal point within `largest_radius`
        is bent to the given one.
    """
    if coefficients.size == 0:
        return np.array(points, dtype=np.float64)
    full = _padded(coefficients)
    target = np.asarray(points, dtype=np.float64)
    if full[12:].any():
        target = _apply_homography(_inverse(_tilt(full[12], full[13])), target)
    limit = largest_radius(coefficients) if limit is None else limit
    ideal = _within(target, limit)
    for _ in range(_MAX_STEPS):
        bent, jacobian = _bend(ideal, full, with_jacobian=True)
        residual = bent - target
        ideal = _within(ideal - _solve_2x2(jacobian, residual), limit)
        if not (np.abs(residual) > _LAST_STEP_BELOW).any():  # NaN counts as done
            break
    missed = np.abs(_bend(ideal, full, with_jacobian=False)[0] - target).max(axis=-1, keepdims=True)
    return np.where(missed < _REACHED, ideal, np.nan)


def largest_radius(coefficients: Array) -> float:
    """Distance from the axis, on the plane z = 1, up to which the model is one to one: beyond it the image folds back.

    Args:
        coefficients: (N,) as in the module's docstring.

    Returns:
        The radius of the ideal point; infinity where the model never folds. Tangential and prism terms fold in some
        directions sooner than in others: it is the shortest of them.
    """
    full = _padded(coefficients)
    radial = _radial_fold(full)
    return _first_fold(full, radial) if full[[2, 3, 8, 9, 10, 11]].any() else radial


def _radial_fold(full: Array) -> float:
    k1, k2, _, _, k3, k4, k5, k6 = full[:8]
    above, below = Polynomial([1.0, k1, k2, k3]), Polynomial([1.0, k4, k5, k6])
    q = Polynomial([0.0, 1.0])  # q = r^2, and r above(q) / below(q) is the bent radius
    slope = (above + 2 * q * above.deriv()) * below - 2 * q * above * below.deriv()
    roots = np.concatenate([slope.trim(1e-15).roots(), below.trim(1e-15).roots()])
    positive = roots.real[(np.abs(roots.imag) < 1e-9 * (1 + np.abs(roots.real))) & (roots.real > 0)]
    return float(np.sqrt(positive.min()) * _INSIDE_FOLD) if positive.size else np.inf


def _first_fold(full: Array, limit: float) -> float:
    """The last radius below a limit up to which the Jacobian keeps its sign in every direction; found by sampling."""
    low, high = 0.0, min(np.arctan(limit), _WIDEST_RAD)
    around = np.linspace(0.0, 2.0 * np.pi, _DIRECTIONS, endpoint=False)
    for _ in range(2):  # coarse, then fine
        angles = np.linspace(low, high, _ANGLES)
        radii = np.tan(angles)[:, None, None]
        determinant = _determinant(radii * np.stack([np.cos(around), np.sin(around)], axis=-1), full)
        folded = np.flatnonzero(~(determinant > 0).all(axis=1))
        if not folded.size:
            return limit
        first = max(1, int(folded[0]))
        low, high = angles[first - 1], angles[first]
    return float(_BETWEEN_DIRECTIONS * np.tan(low))


def mirrored(coefficients: Array) -> Array:
    """Coefficients (N,) of the lens seen in a mirror (x becomes -x): p2, s1, s2 and the tilt about y change sign."""
    sign = np.ones(_ALL)
    sign[[3, 8, 9, 13]] = -1.0
    return coefficients * sign[: coefficients.size]


def _padded(coefficients: Array) -> Array:
    full = np.zeros(_ALL)
    full[: coefficients.size] = coefficients
    return full


def _within(points: Array, limit: float) -> Array:
    if not np.isfinite(limit):
        return points
    radius = np.linalg.norm(points, axis=-1, keepdims=True)
    return points * np.minimum(1.0, limit / np.maximum(radius, 1e-300))


_Jacobian = tuple[Array, Array, Array, Array]  # row by row, each (...)


def _bend(points: Array, full: Array, with_jacobian: bool) -> tuple[Array, _Jacobian | None]:
    """Radial, tangential and prism terms, with their derivatives."""
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = full[:12]
    x, y = points[..., 0], points[..., 1]
    q = x * x + y * y
    below = 1 + q * (k4 + q * (k5 + q * k6))
    radial = (1 + q * (k1 + q * (k2 + q * k3))) / below
    bent_x = x * radial + 2 * p1 * x * y + p2 * (q + 2 * x * x) + q * (s1 + q * s2)
    bent_y = y * radial + p1 * (q + 2 * y * y) + 2 * p2 * x * y + q * (s3 + q * s4)
    bent = np.stack([bent_x, bent_y], axis=-1)
    if not with_jacobian:
        return bent, None
    radial_q = (k1 + q * (2 * k2 + 3 * q * k3) - radial * (k4 + q * (2 * k5 + 3 * q * k6))) / below
    prism_x, prism_y = s1 + 2 * q * s2, s3 + 2 * q * s4
    dxx = radial + 2 * x * x * radial_q + 2 * p1 * y + 6 * p2 * x + 2 * x * prism_x
    dxy = 2 * x * y * radial_q + 2 * p1 * x + 2 * p2 * y + 2 * y * prism_x
    dyx = 2 * x * y * radial_q + 2 * p1 * x + 2 * p2 * y + 2 * x * prism_y
    dyy = radial + 2 * y * y * radial_q + 6 * p1 * y + 2 * p2 * x + 2 * y * prism_y
    return bent, (dxx, dxy, dyx, dyy)


def _determinant(points: Array, full: Array) -> Array:
    jacobian = _bend(points, full, with_jacobian=True)[1]
    assert jacobian is not None
    a, b, c, d = jacobian
    return a * d - b * c


def _solve_2x2(jacobian: _Jacobian | None, right: Array) -> Array:
    assert jacobian is not None
    a, b, c, d = jacobian
    determinant = a * d - b * c
    determinant = np.where(np.abs(determinant) > 1e-9, determinant, 1e-9)
    x, y = right[..., 0], right[..., 1]
    return np.stack([d * x - b * y, a * y - c * x], axis=-1) / determinant[..., None]


def _tilt(about_x: float, about_y: float) -> Array:
    """The homography of a tilted sensor, as OpenCV defines it (Louhichi et al. 2007)."""
    cx, sx, cy, sy = np.cos(about_x), np.sin(about_x), np.cos(about_y), np.sin(about_y)
    turn = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]]) @ np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    keep_depth = np.array([[turn[2, 2], 0, -turn[0, 2]], [0, turn[2, 2], -turn[1, 2]], [0, 0, 1]])
    return keep_depth @ turn


def _inverse(matrix: Array) -> Array:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _apply_homography(matrix: Array, points: Array) -> Array:
    homogeneous = points @ matrix[:, :2].T + matrix[:, 2]
    return homogeneous[..., :2] / homogeneous[..., 2:]
