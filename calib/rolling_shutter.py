"""How long does the camera take to read the rows of a picture? A board that moves shows it.

Where rows are read one after the other, a corner is seen where it is when its row is read. From neighbouring pictures
of a stream it is known how fast each corner moves, so what is left of a picture, once the board's pose is fitted, tells
the time between its first and its last row: one number, the same in every picture, whichever way the board moves.
Errors of the lens and of the board stay where they are as the board moves to and fro.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calib.board_shape import shaped_points
from calib.initial import board_pose
from calib.solve import Solution
from calib.views import View
from handdgp_core.arrays import Array

__all__ = ["MovingView", "MovingViews", "Readout", "readout", "shutter_words"]

_GAP_NS = 150_000_000  # between neighbours; over a longer time a hand does not move evenly
_LEAST_SPEED, _MOST_SPEED = 0.02, 1.5  # of the corners, picture widths a second
_LEAST_CORNERS = 12
_MOST_VIEWS, _LEAST_VIEWS = 40, 8
_FAR = 3.0  # times the usual misfit: such a picture is blurred, or its corners are mixed up
_SIGMAS = 4.0
_LEAST_S = 0.002  # less is no shutter that matters
_HAND_M_S = 0.5


@dataclass(frozen=True)
class MovingView:
    """A view between two others, and how fast its corners move.

    Attributes:
        view: its corners, those alone that are seen in all three.
        px_per_s: (N, 2) of each corner.
    """

    view: View
    px_per_s: Array

    @property
    def weight(self) -> float:
        """How much a second of readout would show, px^2."""
        return float(np.sum((_rows(self.view)[:, None] * self.px_per_s) ** 2))


@dataclass(frozen=True)
class Readout:
    """The time between the first and the last row of a picture.

    Attributes:
        seconds: negative where the last row is read first.
        std: its standard deviation.
        views: from so many pictures of a moving board.
    """

    seconds: float
    std: float
    views: int

    @property
    def is_rolling(self) -> bool:
        """Whether it is more than chance, and long enough to matter."""
        return abs(self.seconds) > max(_SIGMAS * self.std, _LEAST_S)

    @property
    def words(self) -> str:
        """One sentence; empty where neither a rolling shutter was seen nor one can be excluded."""
        shown = f"{1e3 * abs(self.seconds):.0f} ± {2e3 * self.std:.0f} ms"
        if self.is_rolling:
            return (
                f"Rolling shutter: the rows of a picture are read over {shown}, so what moves at {_HAND_M_S} m/s is "
                f"{1e3 * _HAND_M_S * abs(self.seconds):.0f} mm out of shape between the picture's top and bottom. "
                "Views of a board that is held still are not affected."
            )
        if abs(self.seconds) + 2 * self.std <= 2 * _LEAST_S:
            return f"No rolling shutter was seen: rows are read within {shown}."
        return ""


class MovingViews:
    """Collects the views of a stream in which the board moves: those that would show the most."""

    def __init__(self) -> None:
        self._last: list[tuple[View, int]] = []
        self._kept: list[MovingView] = []

    @property
    def kept(self) -> tuple[MovingView, ...]:
        """Those that would show the most."""
        return tuple(self._kept)

    def add(self, view: View | None, stamp_ns: int) -> None:
        """The view in the next picture of the stream, or None where there is none, and its time."""
        if view is None or (self._last and not 0 < stamp_ns - self._last[-1][1] <= _GAP_NS):
            self._last = []
        if view is None:
            return
        self._last = [*self._last[-2:], (view, stamp_ns)]
        if len(self._last) < 3 or len({one.size for one, _ in self._last}) > 1:
            return
        moving = _between(*self._last)
        if moving is not None:
            self._kept = sorted([*self._kept, moving], key=lambda one: -one.weight)[:_MOST_VIEWS]


def readout(solution: Solution, moving: Sequence[MovingView]) -> Readout | None:
    """The time that the rows of a picture take; None with too few pictures of a moving board.

    Each picture's pose is fitted; the part of its residuals that no pose explains is compared with what a second of
    readout would add. What a corner shows in all pictures alike is the lens's or the board's and is taken out, so a
    board that moves one way alone tells nothing. The standard deviation comes from leaving out single pictures.
    """
    points = shaped_points(solution.board, solution.shape)
    count = len(solution.board.points_m)
    off: list[Array] = []
    late: list[Array] = []
    misfits: list[float] = []
    for one in moving:
        pose, rms = board_pose(points, one.view, solution.camera)
        if one.view.size != solution.camera.size or not np.isfinite(rms):
            continue
        pixels, _, by_pose = solution.lens.project(
            points[one.view.ids], pose, solution.shared[: solution.lens.intrinsics]
        )
        by_pose = by_pose.reshape(-1, 6)
        free, _ = np.linalg.qr(by_pose / np.linalg.norm(by_pose, axis=0))
        both = np.stack([one.view.corners_px - pixels, _rows(one.view)[:, None] * one.px_per_s]).reshape(2, -1)
        both -= (both @ free) @ free.T
        everywhere = np.full((2, count, 2), np.nan)
        everywhere[:, one.view.ids] = both.reshape(2, -1, 2)
        off.append(everywhere[0])
        late.append(everywhere[1])
        misfits.append(rms)
    near = np.array(misfits) <= _FAR * np.median(misfits) if misfits else np.zeros(0, dtype=np.bool_)
    if near.sum() < _LEAST_VIEWS:
        return None
    return _regression(np.array(late)[near], np.array(off)[near])


def shutter_words(solution: Solution, moving: Sequence[MovingView]) -> str:
    """What these views tell of the shutter, for the user; empty where they tell nothing."""
    found = readout(solution, moving)
    return "" if found is None else found.words


def _regression(late: Array, off: Array) -> Readout:
    """The one slope of `off` over `late`, both (V, N, 2) with NaN where a corner was not seen."""
    seen = np.isfinite(off)
    often = np.maximum(1, seen.sum(axis=0))
    late, off = (np.where(seen, one - np.where(seen, one, 0.0).sum(axis=0) / often, 0.0) for one in (late, off))
    product, square = (late * off).sum(axis=(1, 2)), (late * late).sum(axis=(1, 2))
    without = (product.sum() - product) / (square.sum() - square)
    count = len(off)
    std = float(np.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2)))
    return Readout(float(product.sum() / square.sum()), std, count)


def _rows(view: View) -> Array:
    """(N,) how far down each corner is, as a part of the picture's height; 0 in the middle."""
    return np.asarray(view.corners_px[:, 1] / view.size[1] - 0.5, dtype=np.float64)


def _between(before: tuple[View, int], now: tuple[View, int], after: tuple[View, int]) -> MovingView | None:
    """The one in the middle with the corners' speed, where they move neither too slowly nor too fast."""
    view = now[0]
    common = np.intersect1d(np.intersect1d(before[0].ids, view.ids), after[0].ids)
    if len(common) < _LEAST_CORNERS:
        return None
    first, middle, last = (one.corners_px[np.searchsorted(one.ids, common)] for one in (before[0], view, after[0]))
    speed = (last - first) * 1e9 / (after[1] - before[1])
    usual = float(np.median(np.linalg.norm(speed, axis=1))) / view.size[0]
    if not _LEAST_SPEED <= usual <= _MOST_SPEED:
        return None
    return MovingView(View(np.asarray(common, dtype=np.int32), middle, view.size, view.name), speed)
