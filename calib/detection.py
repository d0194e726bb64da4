"""Finding the board in a picture: one answer under OpenCV 4.8 and later and under 5, whose array shapes differ."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.april_grid import AprilGridFinder
from calib.boards import Board
from calib.chessboard import ChessboardFinder
from calib.corners import refined, short_side_px
from calib.views import MIN_CORNERS, View
from handdgp_core.arrays import Array
from handdgp_core.errors import ShapeError

__all__ = ["BoardDetector", "edge_width_px", "to_grey"]

_PATCH_PX = 7  # half side of the patch in which an edge is judged
_CHARUCO_WINDOW_PX = 5.0  # half side of the window in which a corner is refined, at most
_JUDGED = 24  # corners that are enough to judge sharpness


class BoardDetector:
    """Finds one board. Not thread-safe.

    Args:
        board: what to look for.

    Examples:
        view = BoardDetector(Board()).detect(grey)
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self._charuco: Any = cv2.aruco.CharucoDetector(board.charuco()) if board.kind == "charuco" else None
        self._april = AprilGridFinder(board) if board.kind == "aprilgrid" else None
        self._chessboard = ChessboardFinder(board.grid)

    def detect(self, grey: NDArray[np.uint8], name: str = "", *, quick: bool = False) -> View | None:
        """The corners of the board, partly covered or cut off as it may be (a chessboard must be whole).

        Args:
            grey: (height, width) uint8.
            name: kept with the view.
            quick: look for a chessboard with the fast search, which a stream needs; ChArUco is always fast.

        Returns:
            None where the board is not seen, or too few corners of it, or all but two in one line.

        Raises:
            ShapeError: no grey picture.
        """
        if grey.ndim != 2 or grey.dtype != np.uint8 or 0 in grey.shape:
            raise ShapeError(
                f"Expected a grey picture (height, width) of uint8, not one of shape {grey.shape} and {grey.dtype}.",
                hint="Convert it with to_grey.",
            )
        if self._april is not None:
            found = self._april.find(grey)
        else:
            found = self._find_charuco(grey) if self._charuco is not None else self._find_chessboard(grey, quick)
        if found is None:
            return None
        ids, corners = found
        if len(ids) < MIN_CORNERS or _hardly_plane(ids, self.board.grid[0]) or _in_one_line(corners):
            return None
        return View(ids, corners, (grey.shape[1], grey.shape[0]), name)

    def better(self, grey: NDArray[np.uint8], view: View) -> View:
        """A view of the quick search with the corners of the thorough one, where that finds the board too."""
        if self.board.kind != "chessboard":
            return view
        return self.detect(grey, view.name) or view

    def seen_in_mirror(self, grey: NDArray[np.uint8]) -> bool:
        """Whether the board shows up once the picture is flipped: then somebody mirrored it.

        Always False for a chessboard, which looks the same in a mirror.
        """
        return self.board.kind != "chessboard" and self.detect(np.ascontiguousarray(grey[:, ::-1])) is not None

    def _find_charuco(self, grey: NDArray[np.uint8]) -> tuple[NDArray[np.int32], Array] | None:
        corners, ids, *_ = self._charuco.detectBoard(grey)
        if ids is None or corners is None or len(ids) == 0:
            return None
        found = np.asarray(ids, dtype=np.int32).ravel(), np.asarray(corners, dtype=np.float64).reshape(-1, 2)
        return found[0], self._refined(grey, *found)

    def _refined(self, grey: NDArray[np.uint8], ids: NDArray[np.int32], corners: Array) -> Array:
        """Corners once more, in a window that no marker reaches into.

        Some releases of OpenCV 4 give ChArUco corners half a pixel too far right and down; this takes it out.
        """
        across, down = self.board.grid
        grid = np.full((across * down, 2), np.nan)
        grid[ids] = corners
        side = short_side_px(grid.reshape(down, across, 2))
        margin = 0.5 * (1.0 - self.board.marker_mm / self.board.square_mm)
        return refined(grey, corners, min(side * margin, _CHARUCO_WINDOW_PX) if np.isfinite(side) else 0.0)

    def _find_chessboard(self, grey: NDArray[np.uint8], quick: bool) -> tuple[NDArray[np.int32], Array] | None:
        corners = self._chessboard.glance(grey) if quick else self._chessboard.find(grey)
        return None if corners is None else (np.arange(len(corners), dtype=np.int32), corners)


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(height, width) from RGB (height, width, 3), or the picture itself where it is grey already."""
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def edge_width_px(grey: NDArray[np.uint8], view: View) -> float:
    """How wide the edges at the corners are: about 3 pixels in a sharp picture, more where it is blurred.

    The height of the step at a corner, divided by its steepest slope; the median over some corners. NaN where every
    corner is too close to the border of the picture.
    """
    widths = []
    step = max(1, len(view) // _JUDGED)
    for x, y in np.rint(view.corners_px[::step]).astype(int):
        left, top = x - _PATCH_PX, y - _PATCH_PX
        if left < 0 or top < 0:
            continue
        patch = grey[top : y + _PATCH_PX + 1, left : x + _PATCH_PX + 1].astype(np.float32)
        if patch.shape != (2 * _PATCH_PX + 1, 2 * _PATCH_PX + 1):
            continue
        low, high = np.percentile(patch, [5, 95])
        slope_x, slope_y = (
            cv2.Sobel(patch, cv2.CV_32F, 1, 0, scale=0.125),
            cv2.Sobel(patch, cv2.CV_32F, 0, 1, scale=0.125),
        )
        steepest = float(np.percentile(np.hypot(slope_x, slope_y), 98))
        widths.append(float(high - low) / max(steepest, 1e-3))
    return float(np.median(widths)) if widths else float("nan")


def _hardly_plane(ids: NDArray[np.int32], across: int) -> bool:
    """Whether fewer than three corners lie off one row or one column: a pose from them is guesswork."""
    lines = (np.bincount(ids // across), np.bincount(ids % across))
    return bool(min(len(ids) - line.max() for line in lines) < 3)


def _in_one_line(points: Array) -> bool:
    """Whether points (N, 2) lie on a line, or on one spot."""
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(spread[1] < 0.03 * spread[0])
