"""Where exactly the corners of squares lie: found ones refined on the picture, with noise kept small."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array

__all__ = ["refined", "refined_grid", "short_side_px"]

_TERMS = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-3)
_WINDOW = 0.35  # half side of the window, of the short side of a square
_WINDOW_PX = (2, 11)
_SMOOTH_PX = 1.0  # blur of the picture before; halves what noise does and, being symmetric, moves no corner
_WINDOW_PER_SMOOTH = 3.0  # half side of the window that a blur of one pixel needs
_NOISY_PX = 0.1  # of noise in refined corners; below it they beat a finder's own, which perspective pulls aside
_CALMER = 0.9  # of that noise, or less: then the unrefined corners are the better ones
_CALM_SHARE = 0.8  # of the differences; a few corners that went astray must not decide


def refined(grey: NDArray[np.uint8], corners: Array, half_px: float) -> Array:
    """Corners (N, 2) once more, each in a window; one that leaves its window stays where it was.

    Args:
        grey: (height, width) uint8.
        corners: (N, 2) pixels.
        half_px: half side of the window, which should hold nothing but the corner's four squares; 2 is the least.
    """
    half = max(_WINDOW_PX[0], int(half_px))
    blur = min(_SMOOTH_PX, half_px / _WINDOW_PER_SMOOTH)
    smooth = np.asarray(cv2.GaussianBlur(grey, (0, 0), blur), dtype=np.uint8) if blur > 0.3 else grey
    start = corners.astype(np.float32).reshape(-1, 1, 2)
    moved = cv2.cornerSubPix(smooth, start.copy(), (half, half), (-1, -1), _TERMS).reshape(-1, 2)
    near = np.linalg.norm(moved - corners, axis=1) < half + 0.5
    return np.where(near[:, None], moved, corners).astype(np.float64)


def refined_grid(grey: NDArray[np.uint8], grid: Array, resists_noise: bool) -> Array:
    """(N, 2) the corners of a chessboard refined, row by row.

    Args:
        grey: (height, width) uint8.
        grid: (rows, columns, 2) pixels.
        resists_noise: whether the finder smoothed over so much of the picture that, in a very noisy one, its own
            corners may be the better ones: then those stay that vary more evenly along rows and columns.
    """
    corners = grid.reshape(-1, 2)
    half = float(np.clip(_WINDOW * short_side_px(grid), *_WINDOW_PX))
    better = refined(grey, corners, half)
    noise = _noise_px(better.reshape(grid.shape))
    return corners if resists_noise and noise > _NOISY_PX and _noise_px(grid) < _CALMER * noise else better


def short_side_px(grid: Array) -> float:
    """A short side of the squares between corners (rows, columns, 2), in pixels; NaN corners are left out."""
    sides = [np.linalg.norm(np.diff(grid, axis=axis), axis=-1).ravel() for axis in (0, 1)]
    known = np.concatenate(sides)[np.isfinite(np.concatenate(sides))]
    return float(np.percentile(known, 10)) if known.size else float("nan")


def _noise_px(grid: Array) -> float:
    """Noise of corners (rows, columns, 2) from their third differences, which perspective and lens leave near zero."""
    third = [np.diff(grid, 3, axis=axis).ravel() for axis in (0, 1) if grid.shape[axis] > 3]
    if not third:
        return 0.0
    squares = np.sort(np.concatenate(third) ** 2)
    # The third difference of noise has 1 + 9 + 9 + 1 times its variance.
    return float(np.sqrt(squares[: max(1, int(_CALM_SHARE * squares.size))].mean() / 20))
