"""Other models beside the one in use: which, by how much their hands differ, and all in one picture."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QHideEvent, QImage, QPixmap, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.live.beside_worker import BesideShown, Comparison
from app.panels.scroll_area import fill_scrolling
from handdgp_core.evaluation.differences import MEASURES

__all__ = ["BesidePanel"]

OTHERS = 2  # more than two beside the first cannot be told apart
_OFF = "Off"
_HINT = (
    "Choose a model to run beside the one in use, on the same frames and with the same camera. It costs its own time."
)
_TITLES = dict(zip(MEASURES, ("Root", "Depth", "Keypoints", "Shape", "Mesh"), strict=True))
_MARGIN_PX = 12


class BesidePanel(QWidget):
    """Shows what it is told; it runs nothing itself.

    Signals:
        changed(): other models are wanted, or none since the panel cannot be seen.
        inputs_changed(bool): whether to show what each network sees.
        width_changed(int): how wide the picture may be, device pixels.
    """

    changed = pyqtSignal()
    inputs_changed = pyqtSignal(bool)
    width_changed = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        content = QWidget(self)
        self.boxes = [QComboBox(self) for _ in range(OTHERS)]
        form = QFormLayout()
        for number, box in enumerate(self.boxes, start=2):
            box.addItem(_OFF, "")
            box.setAccessibleName(f"Model {number}")
            box.setToolTip("A model to run beside the one in use.")
            box.currentIndexChanged.connect(lambda index: self._choose())
            form.addRow(f"Model {number}", box)
        self.inputs = QCheckBox("Show the networks' inputs", self)
        self.inputs.setToolTip(
            "The rectified crop of each of these models; choose the model in use here to see its own."
        )
        self.inputs.toggled.connect(self.inputs_changed)
        form.addRow(self.inputs)
        self.note = QLabel(_HINT, self)
        self.note.setWordWrap(True)
        self.table = QLabel(self)
        self.table.setTextFormat(Qt.TextFormat.RichText)
        self.table.setWordWrap(True)  # names of models break rather than widen the panel
        self.table.setToolTip(
            "Differences from the first model in millimetres, medians of the last 30 frames: distance of the roots, "
            "depth (other minus first), mean distance of the keypoints, the same with both roots put together, and of "
            "the meshes."
        )
        self.view = QLabel(self)
        self.view.setAccessibleName("Picture of the models")
        self.view.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter)
        self.view.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        column = QVBoxLayout(content)
        column.setContentsMargins(_MARGIN_PX, 4, _MARGIN_PX, 8)
        column.addLayout(form)
        for widget in (self.note, self.table, self.view):
            column.addWidget(widget)
        column.addStretch(1)
        fill_scrolling(self, content)
        self._seen = False

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are to run now: none while the panel cannot be seen."""
        chosen = dict.fromkeys(box.currentData() for box in self.boxes if box.currentData())
        return tuple(chosen) if self._seen else ()

    @property
    def width_px(self) -> int:
        """How wide the picture may be, device pixels."""
        return max(1, round((self.width() - 3 * _MARGIN_PX) * self.devicePixelRatioF()))

    def set_models(self, names: tuple[str, ...]) -> None:
        """What can be chosen, names and files; nothing is taken away."""
        for box in self.boxes:
            for name in names:
                if box.findData(name) < 0:
                    box.addItem(Path(name).name, name)

    def show_note(self, text: str) -> None:
        """Say something in place of figures; nothing for the hint."""
        self.note.setText(text or _HINT)
        self.note.show()
        self.table.clear()
        self.view.clear()

    def show_models(self, shown: BesideShown) -> None:
        """The newest figures and picture."""
        self.note.setVisible(not shown.rows)
        self.note.setText("" if shown.rows else "No hand that two models have.")
        self.table.setText(_table(shown) if shown.rows else "")
        if shown.picture is None:
            self.view.clear()
            return
        height, width = shown.picture.shape[:2]
        image = QImage(shown.picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        pixmap = QPixmap.fromImage(image)
        pixmap.setDevicePixelRatio(self.devicePixelRatioF())
        self.view.setPixmap(pixmap)

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._see(event is None or not event.spontaneous(), True)

    def hideEvent(self, event: QHideEvent | None) -> None:
        super().hideEvent(event)
        self._see(event is None or not event.spontaneous(), False)  # of a window that is minimised, models stay loaded

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.width_changed.emit(self.width_px)

    def _see(self, own: bool, seen: bool) -> None:
        if own and seen != self._seen:
            self._seen = seen
            self.changed.emit()

    def _choose(self) -> None:
        self.changed.emit()


def _table(shown: BesideShown) -> str:
    head = "".join(f"<th align='right'>&nbsp;{title}</th>" for title in _TITLES.values())
    rows = "".join(_row(row) for row in shown.rows)
    times = ", ".join(f"{escape(name)} {spent:.0f} ms" for name, spent in shown.inference_ms.items())
    first = escape(shown.models[0])
    return f"<p>From {first}, mm. Time: {times}</p><table><tr><th></th>{head}</tr>{rows}</table>"


def _row(row: Comparison) -> str:
    cells = "".join(f"<td align='right'>&nbsp;{_number(key, row.values[key])}</td>" for key in MEASURES)
    return f"<tr><td>{escape(row.model)}, {row.side}</td>{cells}</tr>"


def _number(measure: str, value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:+.1f}".replace("-", "−") if measure == "depth_mm" else f"{value:.1f}"
