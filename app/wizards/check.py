"""Does the calibration in use still hold? A few looks at a tilted board."""

from __future__ import annotations

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.live.controller import Controller
from app.live.settings_store import SettingsStore
from app.style.theme import css, figures_font, tones
from app.wizards.bridge import Bridge
from app.wizards.calibration_view import CalibrationView
from app.wizards.calibration_worker import CalibrationWorker
from app.wizards.frame_dialog import FrameDialog, size_on_screen
from calib.boards import Board
from calib.check import CalibrationCheck
from calib.profiles import Profile, stored_solution
from handdgp_core.geometry.camera import Camera

_ASK = "Hold the board still, near the camera and tilted by about 30 degrees."


class CheckDialog(FrameDialog):
    """Watches until a tilted board was seen still, and says what it shows.

    Args:
        controller: gives frames and starts the worker.
        settings: which board.
        camera: the calibration to check.
        profile: where it is stored, or None for one from a file.

    Signals:
        calibrate(): the user wants to recalibrate.
    """

    calibrate = pyqtSignal()
    _worker: CalibrationWorker

    def __init__(
        self,
        controller: Controller,
        settings: SettingsStore,
        camera: Camera,
        profile: Profile | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(controller, parent)
        self.setWindowTitle("Check calibration")
        self.resize(size_on_screen(self, 860, 600))
        self.view = CalibrationView(self)
        self.view.show_ghost = False
        self.view.mirrored = controller.status.is_live and settings.current.mirror_webcam
        self.answer = QLabel(_ASK, self)
        self.answer.setFont(figures_font(12, bold=True))
        self.answer.setWordWrap(True)
        self.answer.setMinimumHeight(56)
        again = QPushButton("Recalibrate…", self)
        again.clicked.connect(self._again)
        close = QPushButton("Close", self)
        close.clicked.connect(self.close)
        foot = QHBoxLayout()
        foot.addWidget(self.answer, 1)
        foot.addWidget(again)
        foot.addWidget(close)
        column = QVBoxLayout(self)
        column.addWidget(self.view, 1)
        column.addLayout(foot)
        self.bridge = Bridge(self)
        self.bridge.ready.connect(self._on_ready)
        controller.divert(True)
        board = Board.parse(settings.current.board)
        check = CalibrationCheck(board, camera, None if profile is None else stored_solution(profile))
        self._worker = CalibrationWorker(controller.diverted_frames, board, self.bridge.report, check)
        controller.adopt(self._worker)

    def _on_ready(self) -> None:
        snapshot = self._worker.take_snapshot()
        if snapshot is None:
            return
        self.view.show_snapshot(snapshot)
        check = snapshot.check
        if check is None:
            text = snapshot.error.message if snapshot.error else _ASK
            self.answer.setText(text)
            self.answer.setStyleSheet("")
            return
        colours = {"holds": tones().good, "wrong": tones().error, "doubtful": tones().warning}
        self.answer.setText(check.words)
        self.answer.setStyleSheet(f"color: {css(colours.get(check.outcome, tones().ink))};")

    def _again(self) -> None:
        self.close()
        self.calibrate.emit()
