"""Finding Kalibr's AprilGrid: tags of the family 36h11 with small black squares between their corners.

Which of a tag's corners a detector calls the first, and whether tags are numbered from the top or from the bottom, is
a matter of who wrote the detector and the board. Both are tried: the wrong ones put no plane through the corners.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.boards import Board
from calib.corners import refined
from handdgp_core.arrays import Array

__all__ = ["AprilGridFinder"]

_WINDOW = 0.35  # half side of the window of refinement, of the gap between tags
_FITS = 0.1  # of a tag's side: rms about a homography of corners before refinement; a lens bends them
_LEAST_TAGS = 4
_BORDERS = (2, 1)  # black cells around a tag's bits: Kalibr prints two, others one


class AprilGridFinder:
    """Finds one board. Not thread-safe."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._detectors = [_detector(border) for border in _BORDERS]
        self._places = {way: _corner_ids(board, *way) for way in product((True, False), range(4))}

    def find(self, grey: NDArray[np.uint8]) -> tuple[NDArray[np.int32], Array] | None:
        """Ids and corners (N, 2) of the tags that are seen, four each; None where fewer than four tags are."""
        for detector in self._detectors:
            corners, numbers, _ = detector.detectMarkers(grey)
            if numbers is None:
                continue
            tags = {int(n): np.reshape(c, (4, 2)) for n, c in zip(np.ravel(numbers), corners, strict=True)}
            tags = {number: seen for number, seen in tags.items() if number < self._board.columns * self._board.rows}
            if len(tags) >= _LEAST_TAGS:
                found = self._placed(tags)
                return None if found is None else self._refined(grey, *found)
        return None

    def _placed(self, tags: dict[int, Array]) -> tuple[NDArray[np.int32], Array] | None:
        numbers = np.array(list(tags))
        pixels = np.concatenate(list(tags.values())).astype(np.float64)
        side = float(np.median([np.linalg.norm(np.diff(seen, axis=0), axis=1).mean() for seen in tags.values()]))
        best: tuple[float, NDArray[np.int32]] = (_FITS * side, np.zeros(0, dtype=np.int32))
        for places in self._places.values():
            ids = places[numbers].ravel()
            flat = self._board.points_m[ids, :2]
            matrix, _ = cv2.findHomography(flat, pixels, 0)
            if matrix is None or np.linalg.det(matrix[:2, :2]) <= 0:
                continue
            seen = cv2.perspectiveTransform(flat[:, None], matrix)[:, 0]
            rms = float(np.sqrt(np.mean(np.sum((seen - pixels) ** 2, axis=1))))
            best = min(best, (rms, ids), key=lambda one: one[0])
        return (best[1], pixels) if best[1].size else None

    def _refined(
        self, grey: NDArray[np.uint8], ids: NDArray[np.int32], corners: Array
    ) -> tuple[NDArray[np.int32], Array]:
        sides = np.linalg.norm(np.diff(corners.reshape(-1, 4, 2), axis=1), axis=2)
        gap = float(np.percentile(sides, 10)) * self._board.marker_mm / self._board.square_mm
        order = np.argsort(ids)
        return ids[order], refined(grey, corners[order], _WINDOW * gap)


def _detector(border: int) -> Any:
    settings = cv2.aruco.DetectorParameters()
    settings.markerBorderBits = border
    # Tags touch the squares between them, which the usual search for outlines does not take apart.
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_APRILTAG
    return cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11), settings)


def _corner_ids(board: Board, from_top: bool, turn: int) -> NDArray[np.int32]:
    """(tags, 4) ids of each tag's corners in the order of a detector, for one of its possible habits."""
    across = 2 * board.columns
    ids = np.zeros((board.columns * board.rows, 4), dtype=np.int32)
    around = np.roll([(0, 0), (1, 0), (1, 1), (0, 1)], turn, axis=0)
    for number in range(len(ids)):
        row, column = divmod(number, board.columns)
        row = row if from_top else board.rows - 1 - row
        ids[number] = [(2 * row + down) * across + 2 * column + right for right, down in around]
    return ids
