"""The calibration wizard: board, capture, review. Shows what its worker leaves, tells it what the user wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.live.controller import Controller
from app.live.settings_store import SettingsStore
from app.live.state import Phase, Status
from app.live.workers import WorkerFailed
from app.notices import Notice, Severity, notice_of_error
from app.style.theme import css, figures_font, tones
from app.wizards.board_page import BoardPage
from app.wizards.board_tools import BoardTools
from app.wizards.bridge import Bridge
from app.wizards.calibration_view import CalibrationView
from app.wizards.calibration_worker import CalibrationWorker, Snapshot
from app.wizards.capture_page import CapturePage
from app.wizards.click_sound import ClickSound
from app.wizards.frame_dialog import size_on_screen
from app.wizards.review_page import ReviewPage
from app.wizards.view_picture import ViewPicture
from calib.profiles import Profile, ProfileStore, new_profile
from handdgp_core.errors import HandDGPError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources import WebcamInfo

BOARD, CAPTURE, REVIEW = range(3)
_STEPS = ("1  Camera and board", "2  Capture", "3  Review and save")
_FORMATS = {"ROS camera_info (*.yaml)": "ros", "OpenCV (*.yml)": "opencv", "Kalibr camchain (*.yaml)": "kalibr"}


class CalibrationDialog(QDialog):
    """Calibrates the camera of the controller's source.

    Args:
        controller: gives frames and starts the worker.
        settings: the board is remembered there.
        webcams: what can be chosen.
        store: where profiles are kept; None for the user's own place.

    Signals:
        saved(object): the `Profile` that was saved.
        file_written(str): a camera file that shall be used from now on (sources that are files).
        told(object): a `Notice` for the window.
    """

    saved = pyqtSignal(object)
    file_written = pyqtSignal(str)
    told = pyqtSignal(object)

    def __init__(
        self,
        controller: Controller,
        settings: SettingsStore,
        webcams: Sequence[WebcamInfo] = (),
        store: ProfileStore | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Calibrate the camera")
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        self.resize(size_on_screen(self, 1180, 720))
        self._controller, self._settings, self._store = controller, settings, store or ProfileStore()
        self._worker: CalibrationWorker | None = None
        self._snapshot = Snapshot()
        self._spec = controller.status.spec
        self._ended = self._unsaved = False
        self.view = CalibrationView(self)
        self.view.set_message("Waiting for the camera", "", dim=False)
        self.picture = ViewPicture(self)
        self.left = QStackedWidget(self)
        self.boards = BoardPage(settings, webcams, self)
        self.capture = CapturePage(self)
        self.review = ReviewPage(self)
        self.tools = BoardTools(self.boards, lambda text, is_error: self._say(text, error=is_error), self)
        self.sound = ClickSound(self)
        self.bridge = Bridge(self)
        self._lay_out()
        self._connect()
        controller.divert(True)
        self._show_status(controller.status)
        self._start_worker()
        self.show_step(BOARD)

    def _lay_out(self) -> None:
        self.steps = [QLabel(text, self) for text in _STEPS]
        head = QHBoxLayout()
        for label in self.steps:
            label.setFont(figures_font(10.5, bold=True))
            head.addWidget(label)
            head.addSpacing(18)
        head.addStretch(1)
        self.pages = QStackedWidget(self)
        self.pages.setFixedWidth(340)
        for page in (self.boards, self.capture, self.review):
            self.pages.addWidget(page)
        middle = QHBoxLayout()
        middle.setSpacing(14)
        self.left.addWidget(self.view)
        self.left.addWidget(self.picture)
        middle.addWidget(self.left, 1)
        middle.addWidget(self.pages)
        self.message = QLabel("", self)
        self.message.setWordWrap(True)
        self.back, self.next = QPushButton("Back", self), QPushButton("Next", self)
        self.close_button = QPushButton("Close", self)
        self.next.setDefault(True)
        foot = QHBoxLayout()
        foot.addWidget(self.message, 1)
        for button in (self.back, self.next, self.close_button):
            foot.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(10)
        column.addLayout(head)
        column.addLayout(middle, 1)
        column.addLayout(foot)

    def _connect(self) -> None:
        self.bridge.ready.connect(self._on_ready)
        self.bridge.failed.connect(self._on_failed)
        self.back.clicked.connect(lambda: self.show_step(self.pages.currentIndex() - 1))
        self.next.clicked.connect(lambda: self.show_step(self.pages.currentIndex() + 1))
        self.close_button.clicked.connect(self.close)
        self.boards.source_chosen.connect(self._controller.open_source)
        self.boards.focus_lock.connect(self._lock_focus)
        self.boards.changed.connect(self._on_board)
        self.capture.take.connect(lambda: self._tell_worker(lambda worker: worker.take_now()))
        self.capture.undo.connect(lambda: self._tell_worker(lambda worker: worker.undo()))
        self.capture.automatic.connect(lambda on: self._tell_worker(lambda worker: worker.collect(on)))
        self.review.used_changed.connect(
            lambda index, used: self._tell_worker(lambda worker: worker.set_used(index, used))
        )
        self.review.lens_chosen.connect(lambda lens: self._tell_worker(lambda worker: worker.choose_lens(lens)))
        self.review.view_chosen.connect(self._show_view)
        self.review.save.connect(self.save)
        self.review.export.connect(self._export)
        self._controller.status_changed.connect(self._show_status)
        self._controller.job_done.connect(self._on_job_done)

    # Steps

    def show_step(self, step: int) -> None:
        """Go to a page."""
        self.pages.setCurrentIndex(step)
        for number, label in enumerate(self.steps):
            colour = tones().accent if number == step else tones().faint_ink
            label.setStyleSheet(f"color: {css(colour)};")
        self.back.setEnabled(step > BOARD)
        self.view.show_ghost = step == CAPTURE
        (self.review.save_button if step == REVIEW else self.next).setDefault(True)
        self.left.setCurrentWidget(self.picture if step == REVIEW and self.picture.has_picture else self.view)
        if self._worker is not None:
            self._worker.collect(step == CAPTURE and self.capture.auto.isChecked())
        if step == CAPTURE:
            self.capture.setFocus()
        self._enable_next()

    def _show_view(self, index: int) -> None:
        """On the review page the picture of a view takes the place of the camera's."""
        there = 0 <= index < len(self._snapshot.taken)
        self.picture.show_view(self._snapshot.taken[index] if there else None)
        review = self.pages.currentIndex() == REVIEW
        self.left.setCurrentWidget(self.picture if review and there else self.view)

    def _enable_next(self) -> None:
        step = self.pages.currentIndex()
        ready = {
            BOARD: self.boards.chosen_board() is not None and self._controller.status.phase is Phase.RUNNING,
            CAPTURE: self._snapshot.solution is not None,
            REVIEW: False,
        }
        self.next.setEnabled(ready[step])
        self.next.setVisible(step != REVIEW)
        tip = {BOARD: "Needs a board and a running camera.", CAPTURE: "Needs three views; eight are better."}
        self.next.setToolTip("" if ready[step] else tip.get(step, ""))

    # The worker

    def _start_worker(self) -> None:
        board = self.boards.chosen_board()
        if self._worker is not None:
            self._controller.dismiss(self._worker)
            self._worker = None
        self._snapshot, self._unsaved = Snapshot(), False
        self.review.lens.setCurrentIndex(0)  # a new session leaves the choice to the views
        if board is None or self._ended:
            return
        self._worker = CalibrationWorker(self._controller.diverted_frames, board, self.bridge.report)
        self._worker.collect(self.pages.currentIndex() == CAPTURE and self.capture.auto.isChecked())
        self._controller.adopt(self._worker)

    def _tell_worker(self, tell: Callable[[CalibrationWorker], None]) -> None:
        if self._worker is not None:
            tell(self._worker)

    def _on_ready(self) -> None:
        snapshot = self._worker.take_snapshot() if self._worker is not None else None
        if snapshot is None:
            return
        before, self._snapshot = self._snapshot, snapshot
        self.view.set_message("")
        self.view.show_snapshot(snapshot)
        if snapshot.flash > before.flash:
            self._unsaved = True
            self.view.flash()
            self.sound.play()
        if self.pages.currentIndex() == CAPTURE:
            self.capture.show_snapshot(snapshot)
        elif self.pages.currentIndex() == REVIEW:
            self.review.show_snapshot(snapshot)
        self._enable_next()

    def _on_failed(self, event: object) -> None:
        if isinstance(event, WorkerFailed) and event.worker is self._worker:
            notice = notice_of_error(event.error, details=event.details, topic="calibration")
            self._say(f"{notice.title} {notice.text}", error=True)
            self._start_worker()

    def _on_board(self) -> None:
        if self.pages.currentIndex() == BOARD:
            self._start_worker()
        self._enable_next()

    # The source

    def _show_status(self, status: Status) -> None:
        if self._ended:
            return
        if status.spec != self._spec or (status.phase is Phase.OPENING and self._worker is not None):
            self._spec = status.spec
            self._start_worker()
        self.boards.show_camera(status, self._controller.profile.key)
        mirrored = status.is_live and self._settings.current.mirror_webcam
        self.view.mirrored = self.review.heat.mirrored = mirrored
        self.capture.set_mirrored(mirrored)
        titles = {Phase.IDLE: "Choose a camera on the right", Phase.OPENING: "Opening the camera…"}
        if status.phase in titles:
            self.view.set_message(titles[status.phase])
        elif status.phase is Phase.FAILED:
            self.view.set_message("The camera stopped", status.error, dim=True)
        self._enable_next()

    def _lock_focus(self, on: bool) -> None:
        self._settings.change(webcam_lock_focus=on)
        self._controller.open_source(self._controller.status.spec)

    # Files

    def _export(self) -> None:
        camera = self._camera()
        if camera is None:
            return
        path, chosen = QFileDialog.getSaveFileName(
            self, "Save a camera file", str(Path.home() / "camera.yaml"), ";;".join(_FORMATS)
        )
        if path:
            self.write_file(path, _FORMATS.get(chosen, "ros"))

    def write_file(self, path: str, format: str) -> bool:
        """Save a camera file; False and a message where that fails."""
        camera = self._camera()
        if camera is None:
            return False
        try:
            camera.save(path, cast(Literal["ros", "opencv", "kalibr"], format))
        except HandDGPError as error:
            self._say(error.message, error=True)
            return False
        self._unsaved = False
        self._say(f"Saved {path}.")
        return True

    def _camera(self) -> Camera | None:
        solution = self._snapshot.solution
        return None if solution is None else replace(solution.camera, name=self._controller.status.source_name)

    def save(self) -> None:
        """Keep the calibration for this camera; for a source that is a file, ask where."""
        solution, verdict, key = self._snapshot.solution, self._snapshot.verdict, self._controller.profile.key
        camera = self._camera()
        if solution is None or verdict is None or not verdict.usable or camera is None:
            return
        if key is None:
            path = QFileDialog.getSaveFileName(self, "Save a camera file", str(Path.home() / "camera.yaml"))[0]
            if path and self.write_file(path, "ros"):
                self.file_written.emit(path)
            return
        key = replace(key, width=camera.width, height=camera.height)  # what came, not what the driver promised
        profile = new_profile(key, camera, solution.board, verdict.headline, verdict.focal_percent)
        self.review.save_button.setEnabled(False)
        self._controller.submit("save calibration", lambda: self._store.save(profile, solution.views))

    def _on_job_done(self, name: str, result: object) -> None:
        if name == "save calibration" and isinstance(result, Profile):
            self._unsaved = False
            self._controller.refresh_profile()
            self._say(f"Saved. It is used whenever this camera runs at {result.key.width} × {result.key.height}.")
            self.saved.emit(result)
            self.told.emit(
                Notice(Severity.INFO, "The camera is calibrated.", result.headline + ".", topic="calibration")
            )

    def _say(self, text: str, *, error: bool = False) -> None:
        self.message.setText(text)
        self.message.setStyleSheet(f"color: {css(tones().error if error else tones().ink)};")

    # The end

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Ask before views are lost; then give the frames back."""
        if self._unsaved and self._snapshot.taken and not self._may_leave():
            if event is not None:
                event.ignore()
            return
        self._end()
        if event is not None:
            event.accept()  # QDialog's own handler would call `reject`, and that this one again

    def reject(self) -> None:
        """Esc is the same as closing."""
        self.close()

    def _may_leave(self) -> bool:
        count = len(self._snapshot.taken)
        answer = QMessageBox.question(
            self, "Close calibration?", f"{count} view{'s are' if count != 1 else ' is'} not saved. Close and discard?",
            QMessageBox.StandardButton.Close | QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Cancel,
        )  # fmt: skip
        return answer == QMessageBox.StandardButton.Close

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._worker is not None:
            self._controller.dismiss(self._worker)
            self._worker = None
        self.sound.close()
        self._controller.divert(False)
        self.tools.close()
