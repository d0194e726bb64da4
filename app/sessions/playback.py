"""Playing a source in which one can seek: pause, steps, a part that repeats, and what a session shows. GUI thread."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from app.live.controller import Controller
from app.live.replay_view import ReplayMode, ReplayView
from app.live.settings_store import SettingsStore
from app.live.state import Phase
from app.sessions.session_tap import known_settings
from app.settings import usable
from handdgp_core.errors import HandDGPError
from handdgp_core.sessions import SessionReader
from handdgp_core.sources.pacing import PacedSource
from handdgp_core.sources.protocol import Source

log = logging.getLogger(__name__)

# What the result depends on: while a session is open the form shows these as they were when it was taken.
CAPTURED = (
    "model", "assumed_fov_deg", "hand_length_enabled", "hand_length_mm", "hand_length_percent", "max_hands",
    "smoothing_enabled", "steadiness", "depth_steadiness",
)  # fmt: skip


class Playback(QObject):
    """Steers the player of the present source, if it has one, and shows what a session holds.

    Args:
        controller: owns the source.
        settings: while a session is open its values lie over the user's own.
        trial: settings to run the first recording again with.

    Signals:
        opened(): another source, with or without a player, is there.
        changed(): mode, speed or part has changed.
    """

    opened = pyqtSignal()
    changed = pyqtSignal()

    def __init__(
        self, controller: Controller, settings: SettingsStore, trial: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        super().__init__(controller)
        self._trial = dict(trial)
        self._controller, self._settings = controller, settings
        self.player: PacedSource | None = None
        self.session: SessionReader | None = None
        self.mode = ReplayMode.RECORDED
        self.part: tuple[int | None, int | None] = (None, None)
        self.repeats = False
        self._shown: dict[str, Any] = {}
        self._pending: int | None = None  # frame to show once the source is open again
        controller.source_left.connect(self._on_source_left)
        controller.source_opened.connect(self._on_source_opened)

    # Told by the controller

    def _on_source_opened(self, source: Source) -> None:
        """Take over a source that was just opened; one that cannot be taken over is stopped."""
        try:
            self._take_over(source)
        except Exception as error:
            log.exception("cannot play %s", source.name)
            self._controller.fail_source(error)

    def _take_over(self, source: Source) -> None:
        # The demo repeats by itself for ever: there is nothing to steer.
        self.player = source if isinstance(source, PacedSource) and not getattr(source.inner, "loop", False) else None
        session = getattr(getattr(source, "inner", source), "session", None)
        self.session = session if isinstance(session, SessionReader) else None
        self.part, self.repeats = (None, None), False
        if self.session is not None:
            self.mode = ReplayMode.RECORDED if self.session.result_count else ReplayMode.RERUN
            self._lay_over(self.session)
            self._try()
        self._tell_mode()
        pending, self._pending = self._pending, None
        if pending is not None:
            self.seek(pending)
        self.opened.emit()

    def _try(self) -> None:
        """What the first recording is to be run again with, beside what was recorded."""
        trial, self._trial = self._trial, {}
        if trial:
            self.mode = ReplayMode.BOTH if self.mode is ReplayMode.RECORDED else ReplayMode.RERUN
            self._settings.change(**trial)

    def _on_source_left(self) -> None:
        """The source is closed: back to the user's own settings."""
        was_there = self.player is not None
        self.player = self.session = None
        self._tell_mode()
        self._shown = {}
        self._settings.drop_overlay()
        if was_there:
            self.opened.emit()

    # Playing

    @property
    def count(self) -> int:
        """Frames of the source; 0 where one cannot seek in it."""
        return (self.player.frame_count or 0) if self.player is not None else 0

    def toggle_pause(self) -> None:
        """Pause or resume, live sources, too; a source that ended starts over."""
        phase = self._controller.status.phase
        if phase is Phase.RUNNING and self.player is not None and self.player.paused:
            self.player.play()  # it stood at its end
        elif phase is Phase.RUNNING:
            self._controller.pause()
        elif phase is Phase.PAUSED:
            self._controller.resume()
        elif phase is Phase.ENDED:
            self._controller.retry()

    def note_standstill(self) -> None:
        """A recording stands still at its end: show that as a pause."""
        if self.player is not None and self.player.paused:
            self._controller.pause()

    def seek(self, index: int) -> None:
        """Show frame `index`, then play on or stand still as before."""
        if self._controller.status.phase is Phase.ENDED:  # a file that was closed at its end: open it there
            self._pending = index
            self._controller.retry()
        elif self.player is not None and self.count:
            self._guarded(lambda player: player.seek(min(max(index, 0), self.count - 1)))
            self._controller.forget_tracks()

    def step(self, count: int) -> None:
        """Move by so many frames (back where negative), and stand still."""
        if self.player is None:
            return
        self._controller.pause()
        self._guarded(lambda player: player.step(count))
        if count != 1:
            self._controller.forget_tracks()

    def set_speed(self, speed: float) -> None:
        """So many times real time."""
        self._guarded(lambda player: player.set_speed(speed))
        self.changed.emit()

    def set_repeats(self, on: bool) -> None:
        """Play the part (or all, where none is chosen) again and again."""
        self.repeats = on
        self._set_loop()

    def mark(self, end: int, index: int | None) -> None:
        """Set the beginning (end 0) or the end (end 1) of the part to repeat; None clears it."""
        first, last = (index, self.part[1]) if end == 0 else (self.part[0], index)
        if first is not None and last is not None and last < first:
            first, last = (first, None) if end == 0 else (None, last)
        self.part = (first, last)
        self.repeats = self.repeats or index is not None
        self._set_loop()

    def clear_part(self) -> None:
        """Clear both ends."""
        self.part = (None, None)
        self._set_loop()

    def set_mode(self, mode: ReplayMode) -> None:
        """Show recorded results, those of the model re-run, or both."""
        if self.session is None or mode is self.mode:
            return
        self.mode = mode
        self._tell_mode()
        self.changed.emit()

    def show_settings_of(self, index: int) -> None:
        """In recorded mode the controls follow the recording."""
        if self.session is None or self.mode is not ReplayMode.RECORDED:
            return
        captured = self._captured(self.session.settings_at(min(index, self.session.frame_count - 1)))
        if captured != self._shown:
            self._shown = captured
            self._settings.lay_over(**captured)

    # Inside

    def _guarded(self, use: Any) -> None:
        """A player may be closed at any moment by its own thread."""
        if self.player is not None:
            try:
                use(self.player)
            except HandDGPError as error:
                self._controller.tell(error)

    def _set_loop(self) -> None:
        first, last = self.part
        part = (first or 0, self.count - 1 if last is None else last) if self.repeats and self.count else None
        self._guarded(lambda player: player.set_loop(part))
        self.changed.emit()

    def _tell_mode(self) -> None:
        view = None if self.session is None else ReplayView(self.session, self.mode)
        self._controller.set_replay(view)

    def _lay_over(self, session: SessionReader) -> None:
        """The settings as recorded; and the recorded camera, unless the user loads another calibration."""
        self._shown = self._captured(session.settings_at(0))
        own = {name: getattr(self._settings.own, name) for name in CAPTURED}
        self._settings.lay_over(**{**own, "calibration_path": "", "calibration_camera": "", **self._shown})

    def _captured(self, recorded: dict[str, Any]) -> dict[str, Any]:
        good, _ = usable({name: value for name, value in known_settings(recorded).items() if name in CAPTURED})
        if not _is_there(str(good.get("model", ""))):
            good.pop("model", None)
        return good


def _is_there(model: str) -> bool:
    """Whether a recorded model can be run here. Asks the list of models only once somebody has loaded it.

    Of a checkpoint a recording tells the file's name alone, which says nothing of where it lies; older ones the path.
    """
    models = sys.modules.get("handdgp_core.estimation.models")
    # While another thread is importing it, the module is there but still empty.
    return (Path(model).is_absolute() and Path(model).is_file()) or model in getattr(models, "MODEL_NAMES", ())
