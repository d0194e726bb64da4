"""Last page of the calibration: how good it is, which views made it, and where to keep it."""

from __future__ import annotations

import math

import numpy as np
from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QIcon, QImage, QPainter, QPixmap
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.style.theme import css, figures_font, tones
from app.wizards.calibration_worker import Snapshot, TakenView
from app.wizards.heat_map import HeatMap
from calib.lens_models import FISHEYE, PLUMB_BOB, RATIONAL, LensModel
from calib.quality import Verdict, lens_reason
from calib.solve import Solution

_RMS = Qt.ItemDataRole.UserRole
_THUMBNAIL = QSize(72, 44)
_LENSES: tuple[tuple[str, LensModel | None], ...] = (
    ("automatic", None),
    ("plumb_bob: webcams, five coefficients", PLUMB_BOB),
    ("fisheye: 120 degrees and more", FISHEYE),
    ("rational: wide lenses, eight coefficients", RATIONAL),
)


class ReviewPage(QWidget):
    """Verdict and views.

    Signals:
        used_changed(int, bool): drop this view or use it again.
        view_chosen(int): show this view's picture; -1 for none.
        lens_chosen(object): fit this `LensModel`; None leaves the choice to the views.
        save, export: the user wants it.
    """

    used_changed = pyqtSignal(int, bool)
    view_chosen = pyqtSignal(int)
    lens_chosen = pyqtSignal(object)
    save = pyqtSignal()
    export = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.headline = QLabel("", self)
        self.headline.setWordWrap(True)
        self.headline.setFont(figures_font(12, bold=True))
        self.notes = QLabel("", self)
        self.notes.setWordWrap(True)
        self.views = QTreeWidget(self)
        self.views.setHeaderLabels(["View", "Tilt", "Error (px)"])
        self.views.setRootIsDecorated(False)
        self.views.setIconSize(_THUMBNAIL)
        self.views.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.views.setToolTip("Select a view to see its picture. Uncheck it to exclude it: the result follows.")
        self.views.currentItemChanged.connect(self._on_current)
        self.views.setItemDelegateForColumn(2, _BarDelegate(self.views))
        self.views.setColumnWidth(0, 168)
        self.views.setColumnWidth(1, 44)
        self.views.itemChanged.connect(self._on_item)
        self.lens = QComboBox(self)
        self.lens.setAccessibleName("Lens model")
        self.lens.setToolTip(
            "The lens model that is fitted; automatic takes the one that predicts views left out best."
        )
        for title, model in _LENSES:
            self.lens.addItem(title, model)
        self.lens.activated.connect(lambda index: self.lens_chosen.emit(self.lens.itemData(index)))
        self.lens_note = QLabel("", self)
        self.lens_note.setWordWrap(True)
        self.figures = QLabel("", self)
        self.figures.setFont(figures_font(9.5))
        self.figures.setWordWrap(True)
        self.figures.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.heat = HeatMap(self)
        self.save_button = QPushButton("Save for this camera", self)
        self.save_button.setToolTip(
            "Save the calibration and its views; it is used whenever this camera is opened at this resolution."
        )
        self.save_button.clicked.connect(self.save)
        self.export_button = QPushButton("Export…", self)
        self.export_button.setToolTip("Save a camera file: ROS, OpenCV or Kalibr YAML.")
        self.export_button.clicked.connect(self.export)
        self._shown: tuple[TakenView, ...] = ()
        buttons = QHBoxLayout()
        buttons.addWidget(self.save_button, 1)
        buttons.addWidget(self.export_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (self.headline, self.notes):
            column.addWidget(widget)
        lens = QHBoxLayout()
        lens.addWidget(QLabel("Lens", self))
        lens.addWidget(self.lens, 1)
        column.addLayout(lens)
        for widget in (self.lens_note, self.figures):
            column.addWidget(widget)
        column.addWidget(self.views, 1)
        column.addWidget(self.heat)
        column.addLayout(buttons)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show this state; the list is rebuilt only where it changed."""
        verdict = snapshot.verdict
        if verdict is None:
            text = snapshot.error.message if snapshot.error is not None else "Fewer than three views are in use."
            self.headline.setText(text)
            self.notes.setText("")
        else:
            self.headline.setText(verdict.headline + ".")
            lens = "" if snapshot.solution is None else lens_reason(snapshot.solution)
            self.notes.setText("\n".join(line for line in _lines(verdict) if line != lens))
        good = verdict is not None and verdict.usable
        self.headline.setStyleSheet(f"color: {css(tones().good if good else tones().error)};")
        self.save_button.setEnabled(good)
        self.export_button.setEnabled(good)
        self.heat.show_map(snapshot.heat)
        solution = snapshot.solution
        self.lens_note.setText("" if solution is None else lens_reason(solution))
        self.figures.setText("" if solution is None else "\n".join(figure_lines(solution)))
        if not _same(snapshot.taken, self._shown):
            self._fill(snapshot.taken)

    def _fill(self, taken: tuple[TakenView, ...]) -> None:
        self._shown = taken
        worst = max((view.rms_px for view in taken if math.isfinite(view.rms_px)), default=1.0)
        chosen = self.views.indexOfTopLevelItem(self.views.currentItem()) if self.views.currentItem() else -1
        self.views.blockSignals(True)
        self.views.clear()
        for view in taken:
            tilt = f"{view.tilt_deg:.0f}°" if math.isfinite(view.tilt_deg) else "–"
            rms = f"{view.rms_px:.2f}" if math.isfinite(view.rms_px) else "–"
            item = QTreeWidgetItem([view.name + (" (does not fit)" if view.outlier else ""), tilt, rms])
            item.setIcon(0, _icon(view.thumbnail))
            flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsSelectable
            item.setFlags(flags)
            item.setCheckState(0, Qt.CheckState.Checked if view.used else Qt.CheckState.Unchecked)
            part = view.rms_px / worst if math.isfinite(view.rms_px) else 0.0
            item.setData(2, _RMS, (part, view.outlier))
            self.views.addTopLevelItem(item)
        # The worst view first: it is what is looked for.
        chosen = chosen if 0 <= chosen < len(taken) else _worst(taken)
        self.views.setCurrentItem(self.views.topLevelItem(chosen) if taken else None)
        self.views.blockSignals(False)
        self.view_chosen.emit(chosen if taken else -1)

    def _on_current(self, item: QTreeWidgetItem | None) -> None:
        self.view_chosen.emit(-1 if item is None else self.views.indexOfTopLevelItem(item))

    def _on_item(self, item: QTreeWidgetItem, column: int) -> None:
        index = self.views.indexOfTopLevelItem(item)
        used = item.checkState(0) == Qt.CheckState.Checked
        if column == 0 and index < len(self._shown) and used != self._shown[index].used:
            self.used_changed.emit(index, used)


class _BarDelegate(QStyledItemDelegate):
    """The error as a bar behind its figure."""

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index) -> None:  # type: ignore[no-untyped-def]
        part = index.data(_RMS)
        if painter is not None and part:
            colour = tones().warning if part[1] else tones().accent
            colour = colour.lighter(100)
            colour.setAlpha(120)
            area = QRectF(option.rect).adjusted(2, 10, -2, -10)
            area.setWidth(area.width() * float(part[0]))
            painter.fillRect(area, colour)
        super().paint(painter, option, index)


def figure_lines(solution: Solution) -> list[str]:
    """Focal lengths, principal point and lens with two standard deviations, a line each for what belongs together."""
    names = ("fx", "fy", "cx", "cy", *solution.lens.coefficients)
    std = np.sqrt(np.diag(solution.covariance))
    told = [
        f"{name} {value:.{2 if index < 4 else 4}f} ± {2 * spread:.{2 if index < 4 else 4}f}"
        for index, (name, value, spread) in enumerate(zip(names, solution.shared, std, strict=False))
    ]
    pairs = [told[index : index + 2] for index in range(0, len(told), 2)]
    return ["   ".join(pair) for pair in pairs]


def _worst(taken: tuple[TakenView, ...]) -> int:
    return max(range(len(taken)), key=lambda index: np.nan_to_num(taken[index].rms_px, nan=-1.0), default=-1)


def _lines(verdict: Verdict) -> list[str]:
    lines = [reason[0].upper() + reason[1:] + "." for reason in verdict.reasons[1:]]
    if verdict.advice:
        lines.append(f"What to do: {verdict.advice}.")
    return lines + list(verdict.notes)


def _same(some: tuple[TakenView, ...], others: tuple[TakenView, ...]) -> bool:
    """Arrays do not compare as a whole: by everything else, which changes with them."""
    keys = [
        [
            (view.name, view.used, round(view.rms_px, 6) if view.rms_px == view.rms_px else None, view.outlier)
            for view in part
        ]
        for part in (some, others)
    ]
    return keys[0] == keys[1]


def _icon(thumbnail: np.ndarray) -> QIcon:
    pixels = np.ascontiguousarray(thumbnail)
    height, width = pixels.shape
    image = QImage(pixels.data, width, height, width, QImage.Format.Format_Grayscale8)  # type: ignore[call-overload]
    return QIcon(QPixmap.fromImage(image.copy()))
