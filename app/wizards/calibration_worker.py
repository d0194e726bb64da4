"""The thread behind the calibration wizard: looks at frames, collects views, solves, leaves the newest state. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.live.mailbox import Mailbox
from app.live.workers import Report, ResultReady, Worker
from app.wizards.other_board import OtherBoard
from calib.boards import Board
from calib.check import CalibrationCheck, CheckResult
from calib.detection import to_grey
from calib.guidance import FOCAL_GOAL, MAP_GOAL_PX, VIEWS_GOAL
from calib.initial import board_pose
from calib.lens_models import LensModel
from calib.poses import appearance
from calib.quality import Verdict, tilts_rad
from calib.session import CalibrationSession, Look, State
from calib.solve import Solution
from calib.uncertainty import UncertaintyMap
from calib.view_fit import ViewFit, view_fit
from calib.views import View
from handdgp_core.arrays import Array
from handdgp_core.errors import CalibrationError, HandDGPError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.image_transform import stored_from_shown
from handdgp_core.geometry.pixels import resized_pixels
from handdgp_core.sources.cameras import CameraFrame

__all__ = ["Bars", "CalibrationWorker", "Snapshot", "TakenView"]

_SHOWN_WIDTH = 960


@dataclass(frozen=True)
class TakenView:
    """A view as the review shows it.

    Attributes:
        view: every corner that was found.
        thumbnail: small grey picture.
        used: whether it takes part.
        rms_px, tilt_deg: NaN while it takes no part in a solve.
        outlier: it does not fit the others.
        fit: of its corners, or None while it takes no part in a solve.
    """

    view: View
    thumbnail: NDArray[np.uint8]
    used: bool
    rms_px: float
    tilt_deg: float
    outlier: bool
    fit: ViewFit | None = None

    @property
    def name(self) -> str:
        """Of the picture."""
        return self.view.name


@dataclass(frozen=True)
class Bars:
    """How far each goal is reached, 0 to 1."""

    views: float = 0.0
    focal: float = 0.0
    map: float = 0.0
    tilt: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """Everything that the wizard shows at one moment.

    Attributes:
        picture: (height, width, 3) uint8 RGB, scaled down for the display; None before the first frame.
        scale: picture pixels per camera pixel.
        size: (width, height) of the camera's pictures.
        look: what the frame showed.
        corners_px: (N, 2) corners found, picture pixels.
        ghost_px: (M, 2) outline of the next pose, picture pixels.
        words: what to do.
        taken: views so far.
        flash: number of views ever taken by itself or by key: it rises with each.
        bars: progress.
        heat: (rows, columns) standard deviation of the projection, pixels; None before a solve.
        solution, verdict, error: of the views in use.
        check: result of a check, where one is made.
        other_board: a sentence where another board than the chosen one is in the picture.
    """

    picture: NDArray[np.uint8] | None = None
    scale: float = 1.0
    size: tuple[int, int] | None = None
    look: Look | None = None
    corners_px: Array = field(default_factory=lambda: np.zeros((0, 2)))
    ghost_px: Array = field(default_factory=lambda: np.zeros((0, 2)))
    words: str = ""
    taken: tuple[TakenView, ...] = ()
    flash: int = 0
    bars: Bars = Bars()
    heat: Array | None = None
    solution: Solution | None = None
    verdict: Verdict | None = None
    error: HandDGPError | None = None
    check: CheckResult | None = None
    other_board: str = ""


class CalibrationWorker(Worker):
    """Runs one `CalibrationSession`.

    Args:
        frames: gives the box to take frames from, or None where there is none; asked each time.
        board: what is shown.
        report: called in the worker's thread.
        check: checks a calibration with the views, instead of collecting any.
    """

    def __init__(
        self,
        frames: Callable[[], Mailbox[CameraFrame] | None],
        board: Board,
        report: Report,
        check: CalibrationCheck | None = None,
    ) -> None:
        super().__init__("calibration", report)
        self._frames = frames
        self._session = CalibrationSession(board)
        self._check, self._others = check, OtherBoard(board)
        self._states: Mailbox[Snapshot] = Mailbox()
        self._state = Snapshot()
        self._last: tuple[Look, NDArray[np.uint8]] | None = None
        self._collecting = True
        self._flash = 0

    def take_snapshot(self) -> Snapshot | None:
        """The newest state, once."""
        return self._states.take()

    def collect(self, on: bool) -> None:
        """Take views by itself, or only look."""
        self._ask(lambda: setattr(self, "_collecting", on))

    def take_now(self) -> None:
        """Take what is in the picture, whatever the automatic thinks of it."""
        self._ask(self._take_last)

    def undo(self) -> None:
        """Take the last view back."""
        self._ask(self._session.undo)

    def set_used(self, index: int, used: bool) -> None:
        """Drop a view or use it again."""
        self._ask(lambda: self._session.set_used(index, used) if index < len(self._session.taken) else None)

    def choose_lens(self, lens: LensModel | None) -> None:
        """Fit this lens model; None leaves the choice to the views."""
        self._ask(lambda: self._session.choose_lens(lens))

    def restart(self) -> None:
        """Forget all views."""
        self._ask(self._session.restart)

    def _run(self) -> None:
        while not self.stopping:
            if self._obey():
                self._publish(self._with_session(replace(self._state, error=None)))
            frame = self._next_frame(self._frames)
            if frame is not None:
                self._look_at(frame)

    def _take_last(self) -> None:
        if self._last is not None and self._last[0].view is not None:
            self._session.take(self._last[0].view, self._last[1])
            self._flash += 1

    def _look_at(self, frame: CameraFrame) -> None:
        image, turn = frame.image, frame.transform
        if turn is not None:  # a calibration is in the sensor's pixels
            image = stored_from_shown(image, turn.orientation)
        grey = to_grey(image)
        size = (grey.shape[1], grey.shape[0])
        collecting = self._collecting and self._check is None
        try:
            look = self._session.look(grey, frame.stamp_ns, automatic=collecting)
        except CalibrationError as error:
            self._publish(replace(self._state, error=error))
            return
        self._last = (look, grey)
        taken = look.state is State.TAKEN and collecting
        self._flash += taken
        other = self._others.look(grey, look.state is not State.NO_BOARD)
        state = replace(self._state, size=size, look=look, other_board=other, **_shown(image, look))
        if taken or not self._state.ghost_px.size or self._state.size != size:
            state = self._with_session(state)
        if self._check is not None:
            state = replace(state, check=self._checked(look))
        self._publish(state)

    def _checked(self, look: Look) -> CheckResult | None:
        if look.view is None or look.state in (State.MOVING, State.BLURRED) or self._check is None:
            return None if look.view is None else self._state.check
        return self._check.add(look.view)

    def _with_session(self, state: Snapshot) -> Snapshot:
        """What only changes with the views: guidance, progress, list, verdict."""
        session = self._session
        solution, verdict = session.solution, session.verdict
        heat = None if solution is None else UncertaintyMap(solution.camera).std_px(solution.covariance)
        if state.size is not None:
            target = session.next_pose(state.size)
            state = replace(state, ghost_px=resized_pixels(target.outline_px, state.scale), words=target.words)
        return replace(
            state,
            taken=_listed(session),
            flash=self._flash,
            bars=_bars(session, heat),
            heat=heat,
            solution=solution,
            verdict=verdict,
            error=session.problem,
        )

    def _publish(self, state: Snapshot) -> None:
        self._state = state
        self._states.put(state)
        self._report(ResultReady(self))


def _shown(image: NDArray[np.uint8], look: Look) -> dict[str, Any]:
    """Picture and corners at display size."""
    scale = min(1.0, _SHOWN_WIDTH / image.shape[1])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    picture = image if scale == 1.0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    corners = np.zeros((0, 2)) if look.view is None else resized_pixels(look.view.corners_px, scale)
    return {"picture": picture, "scale": scale, "corners_px": corners}


def _listed(session: CalibrationSession) -> tuple[TakenView, ...]:
    solution, verdict = session.solution, session.verdict
    rms = [] if solution is None else solution.view_rms_px.tolist()
    tilts = [] if solution is None else np.rad2deg(tilts_rad(solution)).tolist()
    if not tilts and session.used and session.camera is not None:
        tilts = [_tilt_deg(session, view, session.camera) for view in session.used]
    listed, number = [], 0
    for one in session.taken:
        here = number if one.used else -1
        number += one.used
        listed.append(
            TakenView(
                one.view,
                one.thumbnail,
                one.used,
                rms[here] if one.used and here < len(rms) else float("nan"),
                tilts[here] if one.used and here < len(tilts) else float("nan"),
                verdict is not None and one.used and here in verdict.outliers,
                view_fit(solution, here, one.view) if solution is not None and one.used else None,
            )
        )
    return tuple(listed)


def _tilt_deg(session: CalibrationSession, view: View, camera: Camera) -> float:
    pose = board_pose(session.board.points_m, view, camera)[0]
    return float(np.rad2deg(appearance(session.board, pose, camera).tilt_rad))


def _bars(session: CalibrationSession, heat: Array | None) -> Bars:
    """Goals against what is reached. Standard deviations fall with more views, so the bars show goal over value."""
    count = len(session.used) / VIEWS_GOAL
    if session.solution is None or heat is None:
        return Bars(views=min(1.0, count))
    worst = float(np.max(heat))
    tilted = int((tilts_rad(session.solution) > np.deg2rad(15)).sum()) / 4
    return Bars(
        min(1.0, count),
        min(1.0, FOCAL_GOAL / max(session.solution.focal_std, 1e-9)),
        min(1.0, MAP_GOAL_PX / worst) if np.isfinite(worst) and worst > 0 else 0.0,
        min(1.0, tilted),
    )
