"""The bar below the picture that plays files and recordings: play, step, seek with small pictures, repeat a part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPoint, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from app.live.readout import clock
from app.live.replay_view import ReplayMode
from app.live.workers import Worker
from app.panels.seek_track import SeekPopup, SeekTrack
from app.sessions.playback import Playback
from app.sessions.thumbnails import ThumbnailWorker
from app.style.theme import figures_font
from handdgp_core.sessions import SessionReader
from handdgp_core.sessions.recorder_status import held

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
POLL_MS = 100


def completeness(session: SessionReader) -> str:
    """What is in a recording of what there was, e.g. "268 of 366 frames; results for 22"."""
    missed = session.closing.get("missed_by_source", "")
    return held(session.frame_count, session.result_count, int(missed) if missed.isdecimal() else 0)


class TransportBar(QWidget):
    """Steers the player through `Playback`; hidden for sources that cannot be wound.

    Args:
        playback: what is played.
        actions: the window's commands by name; those of the player get their buttons here.
        adopt: starts a worker (the one that reads small pictures) and stops it in the end.
    """

    _picture = pyqtSignal(int, object)

    def __init__(
        self,
        playback: Playback,
        actions: dict[str, QAction],
        adopt: Callable[[Worker], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._playback, self._adopt = playback, adopt
        self._thumbnails: ThumbnailWorker | None = None
        self.track = SeekTrack(self)
        self.popup = SeekPopup(self)
        self.time = QLabel(self)
        self.time.setFont(figures_font(9))
        self.time.setToolTip("Time and number of the current frame, and total length.")
        self.held = QLabel(self)
        self.held.setToolTip(
            "Frames in the recording, of those that the source had, and how many of them have a result."
        )
        self.speed = QComboBox(self)
        for speed in SPEEDS:
            self.speed.addItem(f"{speed:g}×", speed)
        self.speed.setToolTip("Playback speed; 1× is real time.")
        self.speed.setAccessibleName("Playback speed")
        self.modes = QComboBox(self)
        self.modes.setAccessibleName("Results shown")
        for mode in ReplayMode:
            self.modes.addItem(mode.value, mode)
        self.modes.setToolTip(
            "Recorded: original results. Re-run: the selected model on the recorded frames, with their calibration and "
            "hand length. Both: side by side, the recorded one in orange."
        )
        self._lay_out(actions)
        self.track.sought.connect(playback.seek)
        self.track.hovered.connect(self._hover)
        self.track.left.connect(self.popup.hide)
        self.speed.activated.connect(lambda: playback.set_speed(self.speed.currentData()))
        self.modes.activated.connect(lambda: playback.set_mode(self.modes.currentData()))
        self._picture.connect(self._show_picture)
        playback.opened.connect(self._on_opened)
        playback.changed.connect(self._refresh)
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._refresh_position)
        self.hide()

    def _lay_out(self, actions: dict[str, QAction]) -> None:
        row = QHBoxLayout()
        row.setSpacing(4)
        for name in ("step_back", "pause", "step", "loop", "mark_a", "mark_b"):
            button = QToolButton(self)
            button.setDefaultAction(actions[name])
            button.setAutoRaise(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            if name in ("mark_a", "mark_b"):
                button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
            row.addWidget(button)
        self.clear = QToolButton(self)
        self.clear.setText("A–B ×")
        self.clear.setAutoRaise(True)
        self.clear.setToolTip("Clear A and B.")
        self.clear.clicked.connect(self._playback.clear_part)
        row.addWidget(self.clear)
        row.addStretch(1)
        row.addWidget(self.time)
        row.addStretch(1)
        row.addWidget(self.held)
        self.complete = QToolButton(self)
        self.complete.setDefaultAction(actions["complete"])
        self.complete.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        for widget in (self.complete, self.modes, self.speed):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 2, 8, 4)
        column.setSpacing(2)
        column.addWidget(self.track)
        column.addLayout(row)

    # What the player does

    def _on_opened(self) -> None:
        playback = self._playback
        if self._thumbnails is not None:
            self._thumbnails.request_stop()
            self._thumbnails = None
        if playback.session is not None:
            self._thumbnails = ThumbnailWorker(playback.session, self._picture.emit)
            self._adopt(self._thumbnails)
        shown = playback.count > 1
        self.setVisible(shown)
        self.track.set_count(playback.count)
        session = playback.session
        self.modes.setVisible(session is not None)
        self.held.setText("" if session is None else completeness(session))
        self.complete.setVisible(session is not None and session.result_count < session.frame_count)
        self.popup.hide()
        (self._timer.start if shown else self._timer.stop)()
        self._refresh()

    def _refresh(self) -> None:
        playback = self._playback
        self.track.set_part(*playback.part)
        self.clear.setVisible(playback.part != (None, None))
        self.modes.setCurrentIndex(self.modes.findData(playback.mode))
        if playback.player is not None:
            self.speed.setCurrentIndex(self.speed.findData(playback.player.speed))
        self._refresh_position()

    def _refresh_position(self) -> None:
        player = self._playback.player
        if player is None:
            return
        index = max(player.position - 1, 0)
        self.track.set_position(index)
        fps = player.nominal_fps or 30.0
        text = f"{clock(self._seconds(index, fps))} / {clock(self._seconds(self._playback.count - 1, fps))}"
        text += f"  ·  frame {index} of {self._playback.count}"
        if text != self.time.text():
            self.time.setText(text)

    def _seconds(self, index: int, fps: float) -> float:
        session = self._playback.session
        if session is None:
            return index / fps
        times = session.times_ns
        return float(times[min(index, len(times) - 1)] - times[0]) / 1e9

    # Small pictures

    def _hover(self, index: int, x: float) -> None:
        fps = (self._playback.player.nominal_fps if self._playback.player else None) or 30.0
        self.popup.show_text(f"{clock(self._seconds(index, fps))}  ·  {index}")
        self.popup.place(self.track.mapToGlobal(QPoint(round(x), 0)))
        if self._thumbnails is not None:
            self._thumbnails.ask(index)

    def _show_picture(self, index: int, picture: NDArray[np.uint8]) -> None:
        if self.popup.isVisible():
            self.popup.show_picture(picture)
            self.popup.place(None)

    def shutdown(self) -> None:
        """Stop looking at the player; the window is about to close."""
        self._timer.stop()
        self.popup.hide()
        if self._thumbnails is not None:
            self._thumbnails.request_stop()
