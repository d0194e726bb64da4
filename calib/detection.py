"""Finding the board in a picture: one answer under OpenCV 4.8 and later and under 5, whose array shapes differ."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.boards import Board
from calib.views import MIN_CORNERS, View
from handdgp_core.arrays import Array
from handdgp_core.errors import ShapeError

__all__ = ["BoardDetector", "edge_width_px", "to_grey"]

_PATCH_PX = 7  # half side of the patch in which an edge is judged
_WINDOW_PX = (2, 5)  # half sides between which corners are refined
_REFINEMENT = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.005)
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

    def detect(self, grey: NDArray[np.uint8], name: str = "") -> View | None:
        """The corners of the board, partly covered or cut off as it may be (a chessboard must be whole).

        Args:
            grey: (height, width) uint8.
            name: kept with the view.

        Returns:
            None where the board is not seen, or too few corners of it, or all but two in one line.

        Raises:
            ShapeError: no grey picture.
        """
        if grey.ndim != 2 or grey.dtype != np.uint8 or 0 in grey.shape:
            raise ShapeError("a grey picture (height, width) of uint8", f"shape {grey.shape} of {grey.dtype}")
        found = self._find_charuco(grey) if self._charuco is not None else self._find_chessboard(grey)
        if found is None:
            return None
        ids, corners = found
        if len(ids) < MIN_CORNERS or _hardly_plane(ids, self.board.grid[0]) or _in_one_line(corners):
            return None
        return View(ids, corners, (grey.shape[1], grey.shape[0]), name)

    def seen_in_mirror(self, grey: NDArray[np.uint8]) -> bool:
        """Whether the board shows up once the picture is flipped: then somebody mirrored it.

        Always False for a chessboard, which looks the same in a mirror.
        """
        return self._charuco is not None and self.detect(np.ascontiguousarray(grey[:, ::-1])) is not None

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
        side = _square_side_px(ids, corners, self.board.grid[0])
        margin = 0.5 * (1.0 - self.board.marker_mm / self.board.square_mm)
        half = int(np.clip(side * margin, *_WINDOW_PX)) if np.isfinite(side) else _WINDOW_PX[0]
        start = corners.astype(np.float32).reshape(-1, 1, 2)
        refined = cv2.cornerSubPix(grey, start.copy(), (half, half), (-1, -1), _REFINEMENT).reshape(-1, 2)
        near = np.linalg.norm(refined - corners, axis=1) < half + 0.5
        return np.where(near[:, None], refined, corners).astype(np.float64)

    def _find_chessboard(self, grey: NDArray[np.uint8]) -> tuple[NDArray[np.int32], Array] | None:
        size = self.board.grid
        # The accurate search takes 120 ms even where there is no board; the old quick check takes 14.
        if not cv2.checkChessboard(grey, size) and not _any_chessboard(grey, size):
            return None
        found, corners = cv2.findChessboardCornersSB(grey, size, flags=cv2.CALIB_CB_NORMALIZE_IMAGE)
        if not found or corners is None or len(corners) != self.board.corner_count:
            return None
        ordered = _upright(np.asarray(corners, dtype=np.float64).reshape(-1, 2), size)
        return np.arange(self.board.corner_count, dtype=np.int32), ordered


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


def _any_chessboard(grey: NDArray[np.uint8], size: tuple[int, int]) -> bool:
    """The quick check again at half size: it misses large, blurred squares."""
    half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return bool(cv2.checkChessboard(half, size))


def _upright(corners: Array, size: tuple[int, int]) -> Array:
    """A chessboard may be found turned by 180 degrees (90 where it is square): start at the end that is further up."""
    grid = corners.reshape(size[1], size[0], 2)
    if grid[0, 0].sum() > grid[-1, -1].sum():
        grid = grid[::-1, ::-1]
    return np.ascontiguousarray(grid).reshape(-1, 2)


def _square_side_px(ids: NDArray[np.int32], corners: Array, across: int) -> float:
    """A short side of the squares in the picture, from corners that are neighbours; NaN where there are none."""
    place = {int(number): index for index, number in enumerate(ids)}
    sides = [
        float(np.linalg.norm(corners[index] - corners[place[neighbour]]))
        for number, index in place.items()
        for neighbour in ([number + 1] if (number + 1) % across else []) + [number + across]
        if neighbour in place
    ]
    return float(np.percentile(sides, 10)) if sides else float("nan")


def _hardly_plane(ids: NDArray[np.int32], across: int) -> bool:
    """Whether fewer than three corners lie off one row or one column: a pose from them is guesswork."""
    lines = (np.bincount(ids // across), np.bincount(ids % across))
    return bool(min(len(ids) - line.max() for line in lines) < 3)


def _in_one_line(points: Array) -> bool:
    """Whether points (N, 2) lie on a line, or on one spot."""
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(spread[1] < 0.03 * spread[0])
