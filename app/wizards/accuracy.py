"""How far off are distances here? A hand flat on the board or a fingertip on its corners tells, on one page."""

from __future__ import annotations

import time
from pathlib import Path

from PyQt6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PyQt6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from app.accuracy.checker import Card
from app.accuracy.page import About, page, write_page
from app.environment import PROGRAM, version_of
from app.live.controller import Controller
from app.live.settings_store import SettingsStore
from app.live.workers import WorkerFailed
from app.notices import notice_of_error
from app.style.theme import css, figures_font, tones
from app.wizards.accuracy_worker import AccuracySnapshot, AccuracyWorker, TouchGuide
from app.wizards.bridge import Bridge
from app.wizards.calibration_worker import Snapshot
from app.wizards.click_sound import ClickSound
from app.wizards.frame_dialog import FrameDialog, size_on_screen
from app.wizards.touch_view import TouchView
from calib.boards import Board
from handdgp_core.errors import HandDGPError
from handdgp_core.geometry.camera import Camera

_ASK = "Lay one hand flat on the board, its back to the camera, and show both from several places and distances."
_ASK_TOUCH = (
    "Touch the ringed corners one after the other with the tip of your index finger; hold still for a second on each."
)
_LOADING = "Loading the model…"


class AccuracyDialog(FrameDialog):
    """Compares as long as it is open, and shows the card of the frames so far.

    Args:
        controller: gives frames and starts the worker; a calibration is in use.
        settings: which board and which model.
    """

    _worker: AccuracyWorker

    def __init__(self, controller: Controller, settings: SettingsStore, parent: QWidget | None = None) -> None:
        super().__init__(controller, parent)
        self.setWindowTitle("Accuracy check")
        self.resize(size_on_screen(self, 1080, 640))
        self._settings = settings
        self.about: About | None = None
        self.cards: tuple[Card, ...] = ()
        self._touches = 0
        self._make_widgets()
        self._lay_out()
        self.bridge = Bridge(self)
        self.bridge.ready.connect(self._on_ready)
        self.bridge.failed.connect(self._on_failed)
        values = settings.current
        self._board = Board.parse(values.board).scaled(values.board_ruler_mm / 100.0)
        controller.divert(True)
        self._worker = AccuracyWorker(
            controller.diverted_frames,
            self._board,
            controller.options,
            lambda: controller.make_estimator(values),
            self.bridge.report,
        )
        controller.adopt(self._worker)

    def _make_widgets(self) -> None:
        self.how = QComboBox(self)
        self.how.addItem("A hand flat on the board", False)
        self.how.addItem("A fingertip on its corners", True)
        self.how.setToolTip("What is compared with the board. The page keeps the results of both.")
        self.how.currentIndexChanged.connect(self._choose_how)
        self.undo = QPushButton("Undo touch", self)
        self.undo.setToolTip("Take the last touch back (Ctrl+Z).")
        self.undo.setAutoDefault(False)  # Enter undoes nothing
        self.undo.setEnabled(False)
        self.undo.clicked.connect(self._undo_touch)
        QShortcut(QKeySequence("Ctrl+Z"), self).activated.connect(self.undo.click)
        self.sound = ClickSound(self)
        self.view = TouchView(self)
        self.view.show_ghost = False
        self.view.mirrored = self._controller.status.is_live and self._settings.current.mirror_webcam
        self.view.set_message(_LOADING, _ASK)
        self.state = QLabel(_ASK, self)
        self.state.setFont(figures_font(11, bold=True))
        self.state.setWordWrap(True)
        self.state.setMinimumHeight(48)
        self.page = QTextBrowser(self)
        self.page.setPlaceholderText("The result appears here after ten frames that can be used.")
        self.save = QPushButton("Save page…", self)
        self.save.setEnabled(False)
        self.save.clicked.connect(self._ask_where)

    def _lay_out(self) -> None:
        close = QPushButton("Close", self)
        close.clicked.connect(self.close)
        foot = QHBoxLayout()
        foot.addWidget(self.state, 1)
        foot.addWidget(self.save)
        foot.addWidget(close)
        middle = QHBoxLayout()
        middle.addWidget(self.view, 3)
        middle.addWidget(self.page, 2)
        head = QHBoxLayout()
        head.addWidget(self.how)
        head.addWidget(self.undo)
        head.addStretch(1)
        column = QVBoxLayout(self)
        column.addLayout(head)
        column.addLayout(middle, 1)
        column.addLayout(foot)

    @property
    def _touching(self) -> bool:
        return bool(self.how.currentData())

    def _choose_how(self) -> None:
        self._worker.compare_touches(self._touching)
        self._say(_ASK_TOUCH if self._touching else _ASK, good=True)
        if not self._touching:
            self.view.show_guide(None)
            self.undo.setEnabled(False)

    def _undo_touch(self) -> None:
        self._worker.undo_touch()

    def _on_ready(self) -> None:
        snapshot = self._worker.take_snapshot()
        if snapshot is not None:
            self._show(snapshot)

    def _show(self, snapshot: AccuracySnapshot) -> None:
        self.view.set_message("", "")
        self.view.show_snapshot(Snapshot(picture=snapshot.picture, corners_px=snapshot.keypoints_px))
        if self._touching == (snapshot.guide is not None) or snapshot.error:  # else of before the choice
            self._say(snapshot.error or snapshot.words, good=snapshot.good and not snapshot.error)
            self._show_guide(snapshot.guide)
        if snapshot.camera is None or [card.frames for card in snapshot.cards] == [card.frames for card in self.cards]:
            return
        self.about, self.cards = self._about(snapshot.camera), snapshot.cards
        self.page.setHtml(page(self.about, *self.cards) if self.cards else "")
        self.save.setEnabled(bool(self.cards))

    def _show_guide(self, guide: TouchGuide | None) -> None:
        self.view.show_guide(guide)
        if guide is None:
            return
        self.undo.setEnabled(guide.taken > 0)
        done = guide.taken - (0.0 < guide.progress < 1.0)  # a touch under way is not one yet
        if done > self._touches:
            self.view.flash()
            self.sound.play()
        self._touches = done

    def _about(self, camera: Camera) -> About:
        options = self._controller.options
        return About(
            date=time.strftime("%Y-%m-%d %H:%M"),
            program=f"{PROGRAM} {version_of()}",
            source=self._controller.status.source_name,
            camera=camera,
            model=self._settings.current.model,
            hand_length_m=options.hand_length_m,
            hand_length_std=options.hand_length_std,
            board=self._board.spec,
        )

    def _on_failed(self, event: object) -> None:
        if isinstance(event, WorkerFailed):
            notice = notice_of_error(event.error, details=event.details)
            self._say(f"{notice.title} {notice.text}", good=False)

    def _ask_where(self) -> None:
        name = str(Path.home() / "accuracy.html")
        path = QFileDialog.getSaveFileName(self, "Save the page", name, "HTML (*.html)")[0]
        if path:
            self.save_page(Path(path))

    def save_page(self, path: Path) -> None:
        """Write the card as it is shown."""
        if self.about is None or not self.cards:
            return
        try:
            write_page(path, self.about, *self.cards)
        except HandDGPError as error:
            self._say(error.message, good=False)
            return
        self._say(f"Saved {path}.", good=True)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self.sound.close()
        super().closeEvent(event)

    def _say(self, text: str, *, good: bool) -> None:
        self.state.setText(text)
        self.state.setStyleSheet(f"color: {css(tones().good if good else tones().warning)};")
