"""Collecting views from a stream of pictures: takes one by itself where the board is sharp, still and new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.boards import Board
from calib.detection import BoardDetector, edge_width_px
from calib.guidance import Guide, TargetPose
from calib.initial import board_pose
from calib.lens_models import LensModel
from calib.poses import Appearance, appearance, difference
from calib.quality import Verdict, calibrate
from calib.rolling_shutter import MovingViews, shutter_words
from calib.solve import MIN_VIEWS, Solution
from calib.views import View
from handdgp_core.errors import CalibrationError
from handdgp_core.geometry.camera import Camera

__all__ = ["CalibrationSession", "Look", "State", "Taken"]

_REFERENCE_WIDTH = 1280
_MAX_EDGE_PX = 3.7  # at the reference width; a sharp picture has about 2.7
_MAX_SPEED_PX_S = 30.0  # at the reference width: a rolling shutter bends what moves faster
_STILL_LOOKS = 3
_GAP_NS = 500_000_000
_THUMBNAIL_WIDTH = 640
_MIRROR_EVERY = 20  # looks without a board between two checks for a mirror


class State(Enum):
    """What became of a picture; the value says what to do."""

    NO_BOARD = "Show the board to the camera"
    MIRRORED = "The picture is mirrored: switch mirroring off in the camera's own settings"
    BLURRED = "Too blurred: hold still, add light, or move to where it is sharp"
    MOVING = "Hold still"
    KNOWN = "Seen already: move or tilt the board as the outline shows"
    TAKEN = "Taken"


@dataclass(frozen=True)
class Look:
    """What one picture showed.

    Attributes:
        state: what became of it.
        view: the corners, or None.
        edge_px: see `edge_width_px`; NaN without a board.
        speed_px_s: of the corners; infinity where there is nothing to compare with.
    """

    state: State
    view: View | None = None
    edge_px: float = float("nan")
    speed_px_s: float = float("inf")


@dataclass
class Taken:
    """A view that was taken.

    Attributes:
        view: its corners.
        thumbnail: small grey picture.
        used: whether it takes part in the solve.
    """

    view: View
    thumbnail: NDArray[np.uint8]
    used: bool = True


@dataclass
class CalibrationSession:
    """Views of one board by one camera, and the calibration from those in use.

    Attributes:
        board: that is shown.
        lens: the model to fit; None for that which predicts held-out views best.
        taken: views so far, dropped ones included.
        solution, verdict: of the views in use; None before there are enough.
        problem: why there is no solution, or None.
        moving: views in which the board moves; they tell a rolling shutter.
    """

    board: Board
    lens: LensModel | None = None
    taken: list[Taken] = field(default_factory=list)
    solution: Solution | None = None
    verdict: Verdict | None = None
    problem: CalibrationError | None = None
    moving: MovingViews = field(default_factory=MovingViews)

    def __post_init__(self) -> None:
        self._detector = BoardDetector(self.board)
        self._last: tuple[View, int] | None = None
        self._still = 0
        self._empty = 0
        self._appearances_so_far: list[Appearance] = []

    @property
    def used(self) -> list[View]:
        """Views that take part in the solve."""
        return [one.view for one in self.taken if one.used]

    def look(self, grey: NDArray[np.uint8], stamp_ns: int, name: str = "", *, automatic: bool = True) -> Look:
        """Look at one picture of a stream, and take it where it is sharp, still and new.

        Args:
            grey: (height, width) uint8.
            stamp_ns: its time.
            name: kept with the view.
            automatic: False only looks.

        Raises:
            CalibrationError: the picture has another size than those before.
        """
        view = self._detector.detect(grey, name, quick=True)
        self.moving.add(view, stamp_ns)
        if view is None:
            self._last, self._still = None, 0
            return Look(State.MIRRORED if self._check_mirror(grey) else State.NO_BOARD)
        self._empty = 0
        self._check_size(view)
        speed, edge = self._speed(view, stamp_ns), edge_width_px(grey, view)
        scale = view.size[0] / _REFERENCE_WIDTH
        self._still = self._still + 1 if speed <= _MAX_SPEED_PX_S * scale else 0
        state = State.MOVING
        if edge > _MAX_EDGE_PX * max(1.0, scale):
            state = State.BLURRED
        elif self._still >= _STILL_LOOKS:
            state = State.TAKEN if self.is_new(view) else State.KNOWN
        if state is State.TAKEN and automatic:
            view = self.take(view, grey)
        return Look(state, view, edge, speed)

    def take(self, view: View, grey: NDArray[np.uint8]) -> View:
        """Take this view, whatever it is like, with the corners of a thorough search, and solve again."""
        self._check_size(view)
        view = self._detector.better(grey, view)
        height = max(1, round(_THUMBNAIL_WIDTH * grey.shape[0] / grey.shape[1]))
        small = cv2.resize(grey, (_THUMBNAIL_WIDTH, height), interpolation=cv2.INTER_AREA)
        name = view.name or f"view {len(self.taken) + 1}"
        self.taken.append(Taken(replace(view, name=name), np.asarray(small, dtype=np.uint8)))
        self._still = 0
        self.solve()
        return view

    def detect(self, grey: NDArray[np.uint8], name: str = "") -> View | None:
        """The board in a picture of its own, such as a photograph."""
        return self._detector.detect(grey, name)

    def undo(self) -> bool:
        """Take the last view back; False where there is none."""
        if not self.taken:
            return False
        self.taken.pop()
        self.solve()
        return True

    def set_used(self, index: int, used: bool) -> None:
        """Drop a view, or use it again, and re-solve."""
        self.taken[index].used = used
        self.solve()

    def choose_lens(self, lens: LensModel | None) -> None:
        """Fit this lens model from now on, and solve again; None leaves the choice to the views."""
        self.lens = lens
        self.solve()

    def restart(self) -> None:
        """Forget all views."""
        self.taken.clear()
        self.solve()

    def solve(self) -> None:
        """Calibrate from the views in use."""
        used = self.used
        self.solution = self.verdict = self.problem = None
        if len(used) >= MIN_VIEWS:
            try:
                self.solution, verdict = calibrate(self.board, used, lens=self.lens)
                shutter = shutter_words(self.solution, self.moving.kept) if verdict.usable else ""
                self.verdict = replace(verdict, notes=(*verdict.notes, shutter)) if shutter else verdict
            except CalibrationError as error:
                self.problem = error
        self._appearances_so_far = _appearances(self.board, used, self.camera) if used else []

    @property
    def camera(self) -> Camera | None:
        """The best estimate so far: an assumed one until there is a solution; None before the first picture."""
        if self.solution is not None:
            return self.solution.camera
        size = self.taken[0].view.size if self.taken else self._last[0].size if self._last else None
        return None if size is None else Camera.assumed(*size, 62.0)

    def is_new(self, view: View) -> bool:
        """Whether the view differs enough from those in use."""
        camera = self.camera or Camera.assumed(*view.size, 62.0)
        look = _appearances(self.board, [view], camera)
        return all(difference(look[0], other) >= 1.0 for other in self._appearances_so_far)

    def next_pose(self, size: tuple[int, int]) -> TargetPose:
        """The next pose to ask for; `size` is that of the pictures."""
        camera = self.camera or Camera.assumed(*size, 62.0)
        return Guide(self.board, camera).next_pose(self._appearances_so_far, self.solution)

    def _check_size(self, view: View) -> None:
        if self.taken and view.size != self.taken[0].view.size:
            before, now = self.taken[0].view.size, view.size
            raise CalibrationError(
                f"The images changed from {before[0]}x{before[1]} to {now[0]}x{now[1]} during the calibration.",
                hint="Start again: every image size needs its own calibration.",
            )

    def _speed(self, view: View, stamp_ns: int) -> float:
        before, self._last = self._last, (view, stamp_ns)
        if before is None or not 0 < stamp_ns - before[1] <= _GAP_NS:
            return float("inf")
        _, here, there = np.intersect1d(view.ids, before[0].ids, return_indices=True)
        if not len(here):
            return float("inf")
        moved = np.linalg.norm(view.corners_px[here] - before[0].corners_px[there], axis=1)
        return float(np.median(moved)) * 1e9 / (stamp_ns - before[1])

    def _check_mirror(self, grey: NDArray[np.uint8]) -> bool:
        self._empty += 1
        return self._empty % _MIRROR_EVERY == 0 and self._detector.seen_in_mirror(grey)


def _appearances(board: Board, views: Sequence[View], camera: Camera | None) -> list[Appearance]:
    if camera is None:
        return []
    return [appearance(board, board_pose(board.points_m, view, camera)[0], camera) for view in views]
