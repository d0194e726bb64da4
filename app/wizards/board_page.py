"""First page of the calibration: which camera, which board, and how to get one."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.live.settings_store import SettingsStore
from app.live.state import Status
from app.settings import describe
from app.style.theme import css, tones
from calib.boards import Board
from calib.profiles import CameraKey
from handdgp_core.errors import UsageError
from handdgp_core.sources import WebcamInfo

BOARDS = {
    "Default: ChArUco 10 x 7, 26 mm": "charuco:10x7:26:19",
    "Large squares: ChArUco 7 x 5, 36 mm": "charuco:7x5:36:26",
    "Chessboard 9 x 6, 25 mm": "chessboard:9x6:25",
}


class BoardPage(QWidget):
    """Camera, board and print.

    Signals:
        source_chosen(str): another camera is wanted.
        print_requested(str): a PDF of the board for this paper.
        screen_requested(int): the board on the screen of this number.
        focus_lock(bool): lock the focus or let it go.
        changed(): the board or its size is another one.
    """

    source_chosen = pyqtSignal(str)
    print_requested = pyqtSignal(str)
    screen_requested = pyqtSignal(int)
    focus_lock = pyqtSignal(bool)
    changed = pyqtSignal()

    def __init__(self, settings: SettingsStore, webcams: Sequence[WebcamInfo], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.camera = QComboBox(self)
        for webcam in webcams:
            self.camera.addItem(webcam.name, str(webcam.index))
        self.camera.setToolTip("Camera to calibrate.")
        self.camera.activated.connect(lambda index: self.source_chosen.emit(self.camera.itemData(index)))
        self.focus = QCheckBox("Lock the focus", self)
        self.focus.setToolTip("A calibration is valid for one focus setting only: autofocus changes the focal length.")
        self.focus.setChecked(settings.current.webcam_lock_focus)
        self.focus.toggled.connect(self.focus_lock)
        self.lens = _faint(self)
        self.board = QComboBox(self)
        self.board.setEditable(True)
        self.board.addItems(list(BOARDS))
        self.board.setToolTip(
            "The board, or your own as charuco:COLUMNSxROWS:SQUARE_MM:MARKER_MM[:DICTIONARY] "
            "or chessboard:COLUMNSxROWS:SQUARE_MM (inner corners)."
        )
        self.board.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.board.setMinimumContentsLength(18)
        used = settings.current.board
        self.board.setEditText(next((name for name, spec in BOARDS.items() if spec == used), used))
        self.board.editTextChanged.connect(lambda text: self._on_change())
        self.ruler = QDoubleSpinBox(self)
        about = describe("board_ruler_mm")
        self.ruler.setRange(about["low"], about["high"])
        self.ruler.setSuffix(" mm")
        self.ruler.setDecimals(1)
        self.ruler.setValue(settings.current.board_ruler_mm)
        self.ruler.setToolTip(
            "What the 100 mm line beside the board measures with a ruler; for a board on a screen it follows from the "
            "width you measure. The camera does not need it; hand size does."
        )
        self.ruler.valueChanged.connect(lambda value: self._on_change())
        self.problem = QLabel("", self)
        self.problem.setWordWrap(True)
        self._lay_out()
        self._on_change()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.addRow("Camera", self.camera)
        form.addRow("", self.focus)
        form.addRow(self.lens)
        form.addRow("Board", self.board)
        form.addRow(self.problem)
        form.addRow("Printed 100 mm line measures", self.ruler)
        prints, shows = QHBoxLayout(), QHBoxLayout()
        for paper, title in (("a4", "Save A4 PDF…"), ("letter", "Save Letter PDF…")):
            button = QPushButton(title, self)
            button.setToolTip("Save the board as PDF, true to scale; print it at 100 %.")
            button.clicked.connect(lambda checked=False, name=paper: self.print_requested.emit(name))
            prints.addWidget(button)
        screens = QGuiApplication.screens()
        for number, screen in enumerate(screens):
            button = QPushButton(
                f"Show on {screen.name() or 'screen'}" if len(screens) > 1 else "Show on this screen", self
            )
            button.setToolTip("Show the board on this screen; move the camera instead of the board.")
            button.clicked.connect(lambda checked=False, index=number: self.screen_requested.emit(index))
            shows.addWidget(button)
        text = QLabel(
            "<b>1.</b> Print the board at 100 % and glue it flat on something stiff: cardboard or a clip board. "
            "A slight bend is fine as long as it stays the same.<br><b>2.</b> Hold it where your hands will be, "
            "25 to 60 cm from the camera.<br><b>3.</b> Follow the yellow outline. Views are captured automatically.",
            self,
        )
        text.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        column.addLayout(prints)
        column.addLayout(shows)
        column.addSpacing(8)
        column.addWidget(text)
        column.addStretch(1)

    def chosen_board(self) -> Board | None:
        """The board, or None while its text names none."""
        text = self.board.currentText().strip()
        try:
            return Board.parse(BOARDS.get(text, text)).scaled(self.ruler.value() / 100.0)
        except UsageError:
            return None

    def nominal_board(self) -> Board | None:
        """The board as it is drawn, whatever the printer made of it."""
        text = self.board.currentText().strip()
        try:
            return Board.parse(BOARDS.get(text, text))
        except UsageError:
            return None

    def show_camera(self, status: Status, key: CameraKey | None) -> None:
        """What is known of the source in use."""
        index = self.camera.findData(status.spec)
        if index < 0 and status.spec:
            self.camera.addItem(status.source_name or status.spec, status.spec)
            index = self.camera.count() - 1
        self.camera.setCurrentIndex(index)
        self.focus.setEnabled(key is not None)
        self.lens.setText(_lens_text(key, self._settings.current.webcam_lock_focus))
        warned = self._settings.current.webcam_lock_focus and key is not None and key.autofocus != 0
        self.lens.setStyleSheet(f"color: {css(tones().warning if warned else tones().faint_ink)};")

    def _on_change(self) -> None:
        board = self.nominal_board()
        self.problem.setVisible(board is None)
        if board is None:
            text = "Unknown board. Examples: charuco:10x7:26:19 or chessboard:9x6:25."
            self.problem.setText(text)
            self.problem.setStyleSheet(f"color: {css(tones().error)};")
        else:
            self._settings.change(board=board.spec, board_ruler_mm=self.ruler.value())
        self.changed.emit()


def _lens_text(key: CameraKey | None, wanted: bool) -> str:
    if key is None:
        return "This source is a file: its calibration can be saved to a file."
    size = f"{key.width} × {key.height}{' ' + key.pixel_format if key.pixel_format else ''}. "
    if key.autofocus is None:
        return size + "Its driver does not report autofocus: if it has one, turn it off in the camera's own settings."
    if key.autofocus == 0:
        return size + "The focus is locked."
    if wanted:
        return size + "Autofocus cannot be turned off: keep the board at the distance of your hands (25 to 50 cm)."
    return size + "Autofocus is on: lock the focus, or the calibration will drift."


def _faint(parent: QWidget) -> QLabel:
    label = QLabel("", parent)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
    return label
