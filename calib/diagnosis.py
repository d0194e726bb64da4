"""What board pictures show, where it is not the one that was named: another dictionary, pattern, size, or a mirror."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.boards import DICTIONARIES, Board
from calib.detection import BoardDetector
from calib.views import View
from handdgp_core.errors import UsageError

__all__ = ["LikelyBoard", "likely_board", "measured_marker_mm"]

Greys = Sequence[NDArray[np.uint8]]

_LARGEST = ("4x4_1000", "5x5_1000", "6x6_1000", "7x7_1000", "original")  # each holds the smaller ones of its kind
_LEAST_MARKERS = 4  # in one picture
_ENOUGH_MARKERS = 10  # different ones: then no other dictionary is tried
_CERTAIN = 0.6  # of all corners: then no other board is tried
_MOST_ACROSS = 25
_OFF_SQUARES = 0.2  # a corner further than this from where the others put it is none of the board's


@dataclass(frozen=True)
class LikelyBoard:
    """What pictures seem to show.

    Attributes:
        board: with the sizes in millimetres as they were named.
        mirrored: seen in a mirror.
        pictures: in how many of those tried.
    """

    board: Board
    mirrored: bool
    pictures: int


def likely_board(named: Board, greys: Greys) -> LikelyBoard | None:
    """The board that most of the pictures (height, width) show; None where none is found. Takes seconds.

    The named one is tried too: where the answer is not mirrored and its `board` is `named`, that is what they show.
    """
    best, most = None, 0
    for mirrored in (False, True):
        if best is not None and best.pictures > len(greys) / 2:
            break
        shown = [np.ascontiguousarray(grey[:, ::-1]) for grey in greys] if mirrored else list(greys)
        for board in _candidates(named, shown, mirrored):
            counts = _corners_found(board, shown)
            if sum(counts) > most:
                best, most = LikelyBoard(board, mirrored, sum(count > 0 for count in counts)), sum(counts)
            if most > _CERTAIN * len(greys) * board.corner_count:
                break
    return best


def measured_marker_mm(board: Board, pictures: Sequence[tuple[NDArray[np.uint8], View]]) -> float:
    """Side of the markers by the squares around them, millimetres: the median; NaN where no marker is seen.

    Args:
        board: a ChArUco board, its squares of the size that was named.
        pictures: grey (height, width) with what was found in it.
    """
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(DICTIONARIES[board.dictionary]))
    sides: list[float] = []
    for grey, view in pictures:
        to_board = cv2.findHomography(view.corners_px, 1e3 * board.points_m[view.ids, :2])[0]
        markers, _, _ = detector.detectMarkers(grey)
        if to_board is None:
            continue
        for marker in markers:
            # OpenCV gives the outermost pixels of a marker, half a pixel inside its edges.
            flat = np.asarray(marker, dtype=np.float64).reshape(4, 1, 2)
            grown = flat + 0.5 * np.sign(flat - flat.mean(axis=0))
            corners = cv2.perspectiveTransform(grown, to_board).reshape(4, 2)
            sides += np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).tolist()
    return float(np.median(sides)) if sides else float("nan")


def _corners_found(board: Board, greys: Greys) -> list[int]:
    """How many corners of the board each picture shows where a plane would put them."""
    detector, counts = BoardDetector(board), []
    for grey in greys:
        view = detector.detect(grey, quick=True)
        counts.append(0 if view is None else _consistent(board, view))
    return counts


def _consistent(board: Board, view: View) -> int:
    to_board, inside = cv2.findHomography(view.corners_px, board.points_m[view.ids, :2], cv2.RANSAC,
                                          _OFF_SQUARES * 1e-3 * board.square_mm)  # fmt: skip
    return 0 if to_board is None else int(np.sum(inside))


def _candidates(named: Board, greys: Greys, mirrored: bool) -> Iterator[Board]:
    """Boards to try, the likeliest first."""
    yield named
    dictionary, ids = _markers(named, greys)
    if dictionary:
        yield from _charucos(named, dictionary, max(ids) + 1)
        return
    if mirrored:  # a chessboard looks the same
        return
    across, down = (named.columns, named.rows) if named.kind == "chessboard" else (named.columns - 1, named.rows - 1)
    for more_across, more_down in ((0, 0), (-1, -1), (1, 1), (-1, 0), (0, -1), (1, 0), (0, 1)):
        if min(across + more_across, down + more_down) >= 2:
            yield Board("chessboard", across + more_across, down + more_down, named.square_mm, 0.0)


def _markers(named: Board, greys: Greys) -> tuple[str, set[int]]:
    """The dictionary of which the pictures show most markers, and the numbers seen; empty where hardly any are."""
    best, seen = "", set[int]()
    for name in sorted(_LARGEST, key=lambda name: name.split("_")[0] != named.dictionary.split("_")[0]):
        detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(DICTIONARIES[name]))
        found = [detector.detectMarkers(grey)[1] for grey in greys]
        numbers = [{int(n) for n in np.ravel(ids)} for ids in found if ids is not None and len(ids) >= _LEAST_MARKERS]
        together = set[int]().union(*numbers)
        if len(together) > len(seen):
            best, seen = name, together
        if len(seen) >= _ENOUGH_MARKERS:
            break
    return best, seen


def _charucos(named: Board, dictionary: str, count: int) -> Iterator[Board]:
    """ChArUco boards of a family of markers: as named, rows and columns swapped, then all with so many markers."""
    sizes = [(named.columns, named.rows), (named.rows, named.columns)]
    sizes += [
        (across, squares // across)
        for squares in (2 * count, 2 * count + 1)
        for across in range(3, _MOST_ACROSS)
        if squares % across == 0 and 3 <= squares // across <= _MOST_ACROSS
    ]
    marker_mm = named.marker_mm if named.kind == "charuco" else 0.75 * named.square_mm
    for across, down in dict.fromkeys(sizes):
        for legacy in (False, True) if down % 2 == 0 else (False,):
            try:
                name = _smallest(named, dictionary, across * down // 2)
                yield Board("charuco", across, down, named.square_mm, marker_mm, name, legacy)
            except UsageError:  # more markers than the dictionary has
                continue


def _smallest(named: Board, dictionary: str, count: int) -> str:
    """The named dictionary where it is of the same kind, else the smallest of its kind with so many markers."""
    kind = dictionary.split("_")[0]
    if named.kind == "charuco" and named.dictionary.split("_")[0] == kind:
        return named.dictionary
    sizes = [name for name in DICTIONARIES if name.split("_")[0] == kind]
    return next((name for name in sizes if name == kind or int(name.split("_")[1]) >= count), dictionary)
