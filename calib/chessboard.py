"""Finding the inner corners of a plain chessboard: thoroughly in a photograph, quickly in a live picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.corners import refined_grid
from handdgp_core.arrays import Array
from handdgp_core.geometry.pixels import resized_pixels

__all__ = ["ChessboardFinder"]

_CLASSIC = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE
_QUICK_WIDTH = 640
_BLANK_TRIES = 5  # live pictures without a board from one search without OpenCV's fast check to the next
_QUADRANT = 0.3  # of the way to the next corner: where the shade of a square is sampled
_LEAST_SHADE = 0.15  # of the usual contrast at a corner
_LEAST_RIGHT, _LEAST_RIGHT_AT_BORDER = 0.85, 0.6  # of the corners


class ChessboardFinder:
    """Finds one chessboard, which must be whole. Not thread-safe.

    Args:
        size: inner corners (across, down).
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._blank = 0

    def find(self, grey: NDArray[np.uint8]) -> Array | None:
        """(N, 2) corners row by row, or None: by the newer finder of OpenCV, where that fails by the classic one."""
        found, corners = cv2.findChessboardCornersSB(grey, self.size, flags=cv2.CALIB_CB_NORMALIZE_IMAGE)
        if found and (grid := self._checked(grey, corners)) is not None:
            return refined_grid(grey, grid, resists_noise=True)
        found, corners = cv2.findChessboardCorners(grey, self.size, flags=_CLASSIC)
        grid = self._checked(grey, corners) if found else None
        return None if grid is None else refined_grid(grey, grid, resists_noise=False)

    def glance(self, grey: NDArray[np.uint8]) -> Array | None:
        """The same in a few milliseconds, for a stream: fewer boards are found, and noise moves the corners more."""
        scale = min(1.0, _QUICK_WIDTH / grey.shape[1])
        small = grey if scale == 1.0 else cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        # The fast check saves most of the time where there is no board, but also misses some boards.
        fast = cv2.CALIB_CB_FAST_CHECK if self._blank % _BLANK_TRIES else 0
        found, corners = cv2.findChessboardCorners(np.asarray(small), self.size, flags=_CLASSIC | fast)
        grid = self._checked(np.asarray(small), corners) if found else None
        self._blank = self._blank + 1 if grid is None else 0
        return None if grid is None else refined_grid(grey, resized_pixels(grid, 1 / scale), resists_noise=False)

    def _checked(self, grey: NDArray[np.uint8], corners: Any) -> Array | None:
        """(rows, columns, 2) in the order of the board's points; None where no chessboard lies under the corners."""
        grid = _upright(np.asarray(corners, dtype=np.float64).reshape(self.size[1], self.size[0], 2))
        return grid if _is_chequered(grey, grid) else None


def _upright(grid: Array) -> Array:
    """A chessboard may be found turned by 180 degrees (90 where it is square), or counted as if seen in a mirror.

    Start at the end that is further up; where the board is square, at the corner from which rows run to the right.
    """
    across, down = (grid[:, -1] - grid[:, 0]).sum(axis=0), (grid[-1] - grid[0]).sum(axis=0)
    if across[0] * down[1] - across[1] * down[0] < 0:
        grid = grid[:, ::-1]
    if grid.shape[0] == grid.shape[1]:
        return max(
            (np.rot90(grid, turns) for turns in range(4)), key=lambda g: float((g[:, -1] - g[:, 0]).sum(axis=0)[0])
        )
    return grid[::-1, ::-1] if grid[0, 0].sum() > grid[-1, -1].sum() else grid


def _is_chequered(grey: NDArray[np.uint8], grid: Array) -> bool:
    """Whether the squares around the corners alternate, beyond the outermost corners too.

    They do not where a finder counted the edge of the board as a row of corners, because a true row is cut off.
    """
    across, down = _QUADRANT * np.gradient(grid, axis=1), _QUADRANT * np.gradient(grid, axis=0)
    places = np.stack([grid + a * across + b * down for a, b in ((1, 1), (-1, -1), (1, -1), (-1, 1))]).astype(
        np.float32
    )
    flat = np.ascontiguousarray(places.reshape(4 * grid.shape[0], grid.shape[1], 2))
    shades = cv2.remap(grey, flat[..., 0], flat[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shades = shades.astype(np.float64).reshape(2, 2, *grid.shape[:2])  # (diagonal, end)
    odd = np.indices(grid.shape[:2]).sum(axis=0) % 2 == 1
    first, second = np.where(odd, shades[::-1], shades)
    bright, dark = (first, second) if np.median(first - second) >= 0 else (second, first)
    # The edge of the board has a white side without any black: its step is a half, its gap is none.
    right = bright.min(axis=0) - dark.max(axis=0) > _LEAST_SHADE * np.median(bright - dark)
    border = min(line.mean() for line in (right[0], right[-1], right[:, 0], right[:, -1]))
    return bool(right.mean() >= _LEAST_RIGHT and border >= _LEAST_RIGHT_AT_BORDER)
