"""Second page of the calibration: collecting views."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeySequence, QShortcut
from PyQt6.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.style.theme import css, figures_font, tones
from app.wizards.calibration_view import swap_sides
from app.wizards.calibration_worker import Snapshot
from app.wizards.heat_map import HeatMap
from calib.guidance import VIEWS_GOAL
from calib.session import State

_BARS = (
    ("views", "Views", f"{VIEWS_GOAL} views are enough for cross-validation."),
    ("tilt", "Tilts", "Tilted views determine the focal length; frontal ones cannot."),
    ("focal", "Focal length", "Full when the focal length is certain enough."),
    ("map", "Whole picture", "Full when the corners of the picture are covered, too."),
)


class CapturePage(QWidget):
    """What to do, what happened, progress.

    Signals:
        take, undo: requested by the user.
        automatic(bool): capture automatically, or not.
    """

    take = pyqtSignal()
    undo = pyqtSignal()
    automatic = pyqtSignal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = QLabel("", self)
        self.words.setWordWrap(True)
        self.words.setFont(figures_font(13, bold=True))
        self.words.setMinimumHeight(66)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.state = QLabel("", self)
        self.state.setWordWrap(True)
        self.state.setMinimumHeight(40)
        self.state.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.bars = {name: self._bar(tip) for name, _, tip in _BARS}
        self.heat = HeatMap(self)
        self.figure = QLabel("", self)
        self.figure.setWordWrap(True)
        self.figure.setFont(figures_font(10))
        self.take_button = QPushButton("Capture now (Space)", self)
        self.take_button.setToolTip("Capture the picture on screen, even if auto-capture would not (Space).")
        self.take_button.clicked.connect(self.take)
        self.undo_button = QPushButton("Undo", self)
        self.undo_button.setToolTip("Remove the last view (Ctrl+Z).")
        self.undo_button.clicked.connect(self.undo)
        self.auto = QCheckBox("Capture automatically", self)
        self.auto.setToolTip("Captures when the board is sharp, still and in a new position.")
        self.auto.setChecked(True)
        self.auto.toggled.connect(self.automatic)
        for key, signal in (("Space", self.take), ("Ctrl+Z", self.undo)):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.activated.connect(signal)
        self._mirrored = False
        self._lay_out()

    def _bar(self, tip: str) -> QProgressBar:
        bar = QProgressBar(self)
        bar.setRange(0, 100)
        bar.setToolTip(tip)
        bar.setMaximumHeight(16)
        return bar

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setVerticalSpacing(5)
        for row, (name, title, tip) in enumerate(_BARS):
            label = QLabel(title, self)
            label.setToolTip(tip)
            grid.addWidget(label, row, 0)
            grid.addWidget(self.bars[name], row, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.take_button, 1)
        buttons.addWidget(self.undo_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.words)
        column.addWidget(self.state)
        column.addLayout(grid)
        column.addWidget(self.heat)
        column.addWidget(self.figure)
        column.addStretch(1)
        column.addWidget(self.auto)
        column.addLayout(buttons)

    def set_mirrored(self, on: bool) -> None:
        """Speak of left and right as they are on screen."""
        self._mirrored = self.heat.mirrored = on

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show this moment."""
        enough = snapshot.verdict is not None and snapshot.verdict.enough
        words = swap_sides(snapshot.words) if self._mirrored else snapshot.words
        _set(self.words, "Done: more views would help little. Continue to the review." if enough else words)
        text, colour = _state_text(snapshot)
        _set(self.state, text)
        self.state.setStyleSheet(f"color: {css(colour)};")
        for name, bar in self.bars.items():
            bar.setValue(round(100 * getattr(snapshot.bars, name)))
        used = sum(view.used for view in snapshot.taken)
        self.bars["views"].setFormat(f"{used} ({VIEWS_GOAL} needed)")
        self.undo_button.setEnabled(bool(snapshot.taken))
        self.take_button.setEnabled(snapshot.look is not None and snapshot.look.view is not None)
        self.heat.show_map(snapshot.heat)
        _set(self.figure, snapshot.verdict.headline + "." if snapshot.verdict is not None else "")


def _state_text(snapshot: Snapshot) -> tuple[str, QColor]:
    if snapshot.error is not None:
        return snapshot.error.message, tones().error
    if snapshot.other_board:
        return snapshot.other_board, tones().warning
    look = snapshot.look
    if look is None:
        return "Waiting for the camera…", tones().faint_ink
    colour = tones().good if look.state is State.TAKEN else tones().faint_ink
    if look.state in (State.BLURRED, State.MIRRORED):
        colour = tones().warning
    found = f" ({len(look.view)} corners)" if look.view is not None else ""
    return f"{look.state.value}{found}", colour


def _set(label: QLabel, text: str) -> None:
    if label.text() != text:
        label.setText(text)
