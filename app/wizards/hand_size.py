"""The hand size wizard: a person's hand on a board or a sheet, or by a ruler; kept by name and used at once.

Several measurements of one person add up (`estimation.hand_size`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.live.controller import Controller
from app.live.settings_store import SettingsStore
from app.live.workers import WorkerFailed
from app.notices import notice_of_error
from app.settings import describe
from app.style.theme import css, figures_font, tones
from app.wizards.bone_names import title_of_bone
from app.wizards.bridge import Bridge
from app.wizards.calibration_view import CalibrationView
from app.wizards.calibration_worker import Snapshot
from app.wizards.frame_dialog import size_on_screen
from app.wizards.hand_drawing import HandDrawing
from app.wizards.hand_measurements import WHOLE_HAND, kept_now, listed, measurement_of, together, with_measurement
from app.wizards.hand_size_worker import HandSizeSnapshot, HandSizeWorker
from calib.boards import Board
from calib.hand_size import HandOnBoard, HandState
from calib.people import KeptMeasurement, PeopleStore, PersonHand
from calib.sheet import A4, LETTER, Sheet
from handdgp_core.detection.landmarker import HandFinder, MediaPipeHandFinder
from handdgp_core.errors import HandDGPError
from handdgp_core.estimation.bone_length import BONE_NAMES, bone_mean_m
from handdgp_core.estimation.hand_length import ADULT_HAND_M, HOW_TO_MEASURE

_WHOLE_HAND = "Hand: wrist crease to middle finger tip"
_BARE = "Nothing: the bare hand"
_UNDER_HAND = {
    "Printed board": None, "A4 sheet of white paper": A4, "Letter sheet of white paper": LETTER, _BARE: _BARE,
}  # fmt: skip
_NOT_BARE = (
    "A bare hand cannot be measured: a small one near the camera looks like a large one farther away, from every side. "
    "Lay it on a sheet of paper or the board, or use a ruler. Ten views show its proportions only."
)
_NO_SHEET = "Show the whole sheet, flat on a darker or coloured table, and keep its corners free."
_NO_CAMERA = (
    "To measure on the board, calibrate the camera first (Camera menu); or use a sheet of paper, or a ruler below."
)


class HandSizeDialog(QDialog):
    """Measures a hand and keeps it by the person's name.

    Args:
        controller: gives frames and starts the worker.
        settings: board, name and length.
        store: where people are kept; None for the user's own place.
        make_finder: what finds hands.

    Signals:
        chosen(object): the `PersonHand` to use from now on.
        views_wanted(): the user wants to show ten views of the bare hand.
    """

    chosen = pyqtSignal(object)
    views_wanted = pyqtSignal()

    def __init__(
        self,
        controller: Controller,
        settings: SettingsStore,
        store: PeopleStore | None = None,
        make_finder: Callable[[], HandFinder] = lambda: MediaPipeHandFinder(max_hands=1),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Hand size")
        self.resize(size_on_screen(self, 1060, 640))
        self._controller, self._settings, self._store = controller, settings, store or PeopleStore()
        self._make_finder = make_finder
        self._worker: HandSizeWorker | None = None
        self._result: HandOnBoard | None = None
        self._people: dict[str, PersonHand] = {}
        self.bridge = Bridge(self)
        self.bridge.ready.connect(self._on_ready)
        self.bridge.failed.connect(self._on_failed)
        self._make_widgets()
        self._lay_out()
        self._fill_people()
        self._start()

    def _make_widgets(self) -> None:
        self.view = CalibrationView(self)
        self.view.mirrored = self._controller.status.is_live and self._settings.current.mirror_webcam
        self.person = QComboBox(self)
        self.person.setEditable(True)
        self.person.setToolTip("Whose hand: choose a name or type a new one.")
        self.person.activated.connect(lambda index: self._use(self.person.itemData(index)))
        self.under = QComboBox(self)
        for name, sheet in _UNDER_HAND.items():
            self.under.addItem(name, sheet)
        self.under.setToolTip("What lies under the hand. A sheet of paper needs no calibrated camera.")
        self.under.setCurrentIndex(0 if self._controller.options.calibration is not None else 1)
        self.under.currentIndexChanged.connect(self._restart)
        self.state = QLabel("", self)
        self.state.setWordWrap(True)
        self.state.setFont(figures_font(11, bold=True))
        self.progress = QProgressBar(self)
        self.progress.setRange(0, 100)
        self.answer = QLabel("", self)
        self.answer.setWordWrap(True)
        self.answer.setFont(figures_font(11))
        self.save_button = QPushButton("Save and use", self)
        self.save_button.setToolTip("Save the measured length under this name and use it for all models.")
        self.save_button.clicked.connect(self.save_measured)
        self.bone = QComboBox(self)
        self.bone.addItem(_WHOLE_HAND, None)
        for name in BONE_NAMES:
            self.bone.addItem(title_of_bone(name), name)
        self.bone.setToolTip("What you measured. The whole hand is the most certain; one bone the least.")
        self.drawing = HandDrawing(self)
        self.ruler = QDoubleSpinBox(self)
        self.ruler.setSuffix(" mm")
        self.ruler.setToolTip(f"{HOW_TO_MEASURE} Fingers to their very tip; bones from joint to joint, at their side.")
        self.ruler_answer = QLabel("", self)
        self.ruler_answer.setWordWrap(True)
        self._take_bone()
        self.ruler.setValue(self._settings.current.hand_length_mm)
        self.bone.currentIndexChanged.connect(self._take_bone)
        self.ruler.valueChanged.connect(self._show_ruler)
        self.ruler_button = QPushButton("Save and use", self)
        self.ruler_button.setToolTip("Save the typed length under this name and use it for all models.")
        self.ruler_button.clicked.connect(self.save_ruler)
        self.known = QLabel("", self)
        self.known.setWordWrap(True)
        self.forget_button = QPushButton("Forget", self)
        self.forget_button.setToolTip("Drop everything that was measured of this user.")
        self.forget_button.clicked.connect(self.forget)
        self.person.editTextChanged.connect(self._show_known)
        self.message = QLabel("", self)
        self.message.setWordWrap(True)

    def _lay_out(self) -> None:
        who = QFormLayout()
        name = QHBoxLayout()
        name.addWidget(self.person, 1)
        name.addWidget(self.forget_button)
        who.addRow("User", name)
        who.addRow(self.known)
        board = QGroupBox("On a board or a sheet of paper", self)
        column = QVBoxLayout(board)
        for widget in (self.under, self.state, self.progress, self.answer, self.save_button):
            column.addWidget(widget)
        ruler = QGroupBox("With a ruler", self)
        rows = QVBoxLayout(ruler)
        rows.addWidget(self.bone)
        rows.addWidget(self.drawing, 1)
        line = QHBoxLayout()
        line.addWidget(self.ruler, 1)
        line.addWidget(self.ruler_button)
        rows.addLayout(line)
        rows.addWidget(self.ruler_answer)
        side = QWidget(self)
        side.setFixedWidth(330)
        right = QVBoxLayout(side)
        right.setContentsMargins(0, 0, 0, 0)
        right.addLayout(who)
        right.addWidget(board)
        right.addWidget(ruler, 1)
        middle = QHBoxLayout()
        middle.addWidget(self.view, 1)
        middle.addWidget(side)
        self.views_button = QPushButton("Ten views…", self)
        self.views_button.setToolTip("Show your bare hand in ten poses: its proportions, and how far the views agree.")
        self.views_button.clicked.connect(self.views_wanted)
        close = QPushButton("Close", self)
        close.clicked.connect(self.close)
        foot = QHBoxLayout()
        foot.addWidget(self.message, 1)
        foot.addWidget(self.views_button)
        foot.addWidget(close)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(16, 12, 16, 12)
        whole.addLayout(middle, 1)
        whole.addLayout(foot)

    def _fill_people(self) -> None:
        try:
            people = self._store.people()
        except HandDGPError as error:
            self._say(error.message, error=True)
            return
        self._people = {person.name: person for person in people}
        name = self.person.currentText() or self._settings.current.person
        self.person.clear()
        for person in people:
            self.person.addItem(f"{person.name}", person)
            tip = f"{person.length_mm:.0f} mm ± {person.percent:.0f} %, by {person.method}"
            self.person.setItemData(self.person.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.person.setEditText(name)
        self._show_known()

    def _show_known(self) -> None:
        """What was measured of the user who is named."""
        person = self._people.get(" ".join(self.person.currentText().split()))
        self.forget_button.setEnabled(person is not None)
        self.known.setVisible(person is not None)
        if person is not None:
            sources = f"\nfrom {listed(person)}" if person.measurements else ""
            self.known.setText(f"{person.length_mm:.0f} mm ± {person.percent:.1f} %{sources}")

    def forget(self) -> None:
        """Drop everything that was measured of the user who is named, and their length if it is in use."""
        name = " ".join(self.person.currentText().split())
        try:
            self._store.forget(name)
        except HandDGPError as error:
            self._say(error.message, error=True)
            return
        if self._settings.current.person == name:
            self._settings.change(person="", hand_length_enabled=False)
        self._fill_people()
        self._say(f"Forgotten: {name}.")

    def _restart(self) -> None:
        """Measure on what was chosen now."""
        self._stop()
        self._start()

    def _start(self) -> None:
        camera = self._controller.options.calibration
        self._result = None
        self.answer.setText("")
        self.save_button.setEnabled(False)
        board = self._under_hand()
        self.progress.setVisible(isinstance(board, Sheet) or (camera is not None and board is not None))
        if board is None:
            return
        if camera is None and isinstance(board, Board):
            self.state.setText(_NO_CAMERA)
            self.view.set_message("No calibrated camera", "Needed to measure your hand on the board.")
            return
        self.state.setText("")
        self.view.set_message("")
        self._controller.divert(True)
        self._worker = HandSizeWorker(
            self._controller.diverted_frames, board, camera, self._make_finder, self.bridge.report
        )
        self._controller.adopt(self._worker)

    def _under_hand(self) -> Board | Sheet | None:
        """The sheet that was chosen, or the board of the settings; None and a message where that is none."""
        sheet = self.under.currentData()
        if isinstance(sheet, Sheet):
            return sheet
        if sheet == _BARE:
            self.state.setText(_NOT_BARE)
            self.view.set_message("Nothing of known size", "Lay the hand on a sheet of paper or on the board.")
            return None
        try:
            return Board.parse(self._settings.current.board).scaled(self._settings.current.board_ruler_mm / 100.0)
        except HandDGPError as error:
            self._say(error.message, error=True)
            return None

    def _on_ready(self) -> None:
        snapshot = self._worker.take_snapshot() if self._worker is not None else None
        if snapshot is not None:
            self._show(snapshot)

    def _show(self, snapshot: HandSizeSnapshot) -> None:
        self.view.show_snapshot(Snapshot(picture=snapshot.picture, corners_px=snapshot.keypoints_px))
        good = snapshot.state in (HandState.GOOD, HandState.DONE)
        self.state.setText(snapshot.error or self._words(snapshot.state))
        self.state.setStyleSheet(f"color: {css(tones().good if good else tones().warning)};")
        self.progress.setValue(round(100 * min(1.0, snapshot.progress)))
        self._result = snapshot.result
        if snapshot.result is not None:
            found = snapshot.result
            self.answer.setText(
                f"{found.length_m * 1e3:.0f} mm ± {found.percent:.1f} % from {found.count} pictures "
                "(wrist crease to middle finger tip)."
            )
        self.save_button.setEnabled(snapshot.state is HandState.DONE)

    def _words(self, state: HandState) -> str:
        if self.under.currentData() is None:
            return f"{state.value}."
        return _NO_SHEET if state is HandState.NO_BOARD else f"{state.value.replace('board', 'sheet')}."

    def _on_failed(self, event: object) -> None:
        if isinstance(event, WorkerFailed):
            notice = notice_of_error(event.error, details=event.details)
            self._say(f"{notice.title} {notice.text}", error=True)

    def save_measured(self) -> None:
        """Keep what was measured on the board or the sheet."""
        if self._result is not None:
            method = "board" if self.under.currentData() is None else "sheet"
            self._save(kept_now(method, self._result.length_m * 1e3, self._result.percent))

    def save_ruler(self) -> None:
        """Keep what was typed."""
        self._save(self._by_ruler())

    def _by_ruler(self) -> KeptMeasurement:
        """What was typed."""
        kept = kept_now(self.bone.currentData() or WHOLE_HAND, self.ruler.value(), 0.0)
        return replace(kept, percent=200 * measurement_of(kept).std)

    def _take_bone(self) -> None:
        """The range and a usual value of what is to be measured, and its drawing."""
        name = self.bone.currentData()
        about = describe("hand_length_mm")
        share = 1.0 if name is None else bone_mean_m(name) / ADULT_HAND_M
        self.ruler.setDecimals(0 if name is None else 1)
        self.ruler.setRange(math.ceil(share * about["low"]), math.floor(share * about["high"]))
        if name is not None:
            self.ruler.setValue(1e3 * bone_mean_m(name))
        self.drawing.show_bone(name)
        self._show_ruler()

    def _show_ruler(self) -> None:
        length = together([self._by_ruler()])
        if length.length_m is not None:
            self.ruler_answer.setText(f"Hand length {length.length_m * 1e3:.0f} mm ± {200 * length.std:.0f} %")

    def _save(self, new: KeptMeasurement) -> None:
        name = self.person.currentText()
        try:
            measurements = with_measurement(self._store.person(name), new)
            length = together(measurements)
            assert length.length_m is not None  # of the new one at least
            person = self._store.save(name, length.length_m * 1e3, 200 * length.std, measurements)
        except HandDGPError as error:
            self._say(error.message, error=True)
            return
        self._fill_people()
        self._use(person)

    def _use(self, person: object) -> None:
        if isinstance(person, PersonHand):
            self._show_known()
            self._say(f"In use: {person.name}, {person.length_mm:.0f} mm ± {person.percent:.1f} %.")
            self.chosen.emit(person)

    def _say(self, text: str, *, error: bool = False) -> None:
        self.message.setText(text)
        self.message.setStyleSheet(f"color: {css(tones().error if error else tones().ink)};")

    def _stop(self) -> None:
        if self._worker is not None:
            self._controller.dismiss(self._worker)
            self._worker = None
            self._controller.divert(False)

    def reject(self) -> None:
        """Esc is the same as closing."""
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self._stop()
        if event is not None:
            event.accept()  # QDialog's own handler would call `reject`, and that this one again
