"""Recorded against re-run: a plot of the differences over the whole recording, and pictures from several sides."""

from __future__ import annotations

import time

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QImage, QPixmap, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from app.live.frame_result import FrameResult
from app.sessions.rerun import QUANTITIES, SIDES, DifferenceTable, RerunProgress
from app.style.theme import css, tones
from handdgp_core.evaluation.differences import differences

REDRAW_EVERY_S = 0.2
PICTURE_EVERY_MS = 300
_NOT_BOTH = "no recorded result beside a re-run one."
_NO_PAIR = "no hand that both results have."
_EMPTY = "Open a recording and choose “Both” below the picture to see the differences here."


class ComparisonPanel(QWidget):
    """Plot and pictures. It runs nothing itself.

    Signals:
        run_requested(), cancel_requested(): the user wants all frames compared, or no longer.
        picture_requested(FrameResult): asks for a picture of this frame; answer with `show_picture`, in any case.
        save_requested(): the picture is to be saved.
        sought(int): the user clicked on a frame in the plot.
    """

    run_requested = pyqtSignal()
    cancel_requested = pyqtSignal()
    picture_requested = pyqtSignal(object)
    save_requested = pyqtSignal()
    sought = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table: DifferenceTable | None = None
        self.picture: NDArray[np.uint8] | None = None
        self._seconds = np.zeros(0)
        self._drawn_s = 0.0
        self._wanted: FrameResult | None = None  # the newest frame, until its picture is asked for
        self._asked: FrameResult | None = None  # whose picture is being made
        self.frame: int | None = None  # of the picture
        self._pictures = QTimer(self)
        self._pictures.setSingleShot(True)
        self._pictures.setInterval(PICTURE_EVERY_MS)
        self._pictures.timeout.connect(self._ask_for_picture)
        self.quantity = QComboBox(self)
        self.quantity.setAccessibleName("Quantity")
        for name, title in QUANTITIES.items():
            self.quantity.addItem(title, name)
        self.quantity.setToolTip("Quantity to plot, in millimetres.")
        self.quantity.currentIndexChanged.connect(self._draw)
        self.run = QPushButton("Compare all frames", self)
        self.run.setToolTip("Re-run the selected model on all frames and compare with the recorded results.")
        self.run.clicked.connect(self.run_requested)
        self.cancel = QPushButton("Cancel", self)
        self.cancel.setToolTip("Stop and keep the results so far.")
        self.cancel.clicked.connect(self.cancel_requested)
        self.progress = QProgressBar(self)
        self.progress.setAccessibleName("Progress")
        self.progress.setMaximumWidth(160)
        self.save = QPushButton("Save picture", self)
        self.save.setToolTip("Save the comparison images of this frame as PNG in the snapshot folder.")
        self.save.clicked.connect(self.save_requested)
        self.caption = QLabel(_EMPTY, self)
        self.caption.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.plot = pg.PlotWidget(enableMenu=False)
        self.view = QLabel(self)
        self.named = QLabel(self)
        self.named.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._lay_out()
        self._make_plot()
        self.set_running(None)
        self._style()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(8, 4, 8, 0)
        for widget in (self.quantity, self.run, self.cancel, self.progress):
            head.addWidget(widget)
        head.addWidget(self.caption, 1)
        head.addWidget(self.save)
        self.view.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.view.setMinimumSize(200, 60)
        self.view.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.view.setToolTip(
            "The hand in the picture, its projection with keypoints sized by weight, and both hands in 3D from three "
            "sides. Blue: re-run. Orange: recorded. The spheres are the roots."
        )
        parts = QSplitter(Qt.Orientation.Horizontal, self)
        parts.addWidget(self.plot)
        pictures = QWidget(self)
        stack = QVBoxLayout(pictures)
        stack.setContentsMargins(0, 0, 0, 0)
        stack.setSpacing(2)
        stack.addWidget(self.named)
        stack.addWidget(self.view, 1)
        parts.addWidget(pictures)
        parts.setSizes([420, 620])
        parts.setChildrenCollapsible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(parts, 1)

    def _make_plot(self) -> None:
        self.plot.setMinimumSize(180, 90)
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.hideButtons()
        self.plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        item = self.plot.getPlotItem()
        self.curves = {side: item.plot(connect="finite") for side in SIDES}
        self.here = pg.InfiniteLine(angle=90, movable=False)
        item.addItem(self.here)
        item.setLabel("left", "mm")
        item.setLabel("bottom", "s")
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        self.plot.setToolTip("Left and right hand in their colours. Click to seek to a frame.")

    # Told by the window

    def set_session(self, times_ns: NDArray[np.int64] | None) -> None:
        """Another recording, or none."""
        count = 0 if times_ns is None else len(times_ns)
        self._seconds = np.zeros(0) if times_ns is None else (times_ns - times_ns[0]) / 1e9
        self.table = DifferenceTable(count) if count else None
        self.run.setEnabled(bool(count))
        self._wanted = self._asked = None
        self._put(None, "")
        self.plot.getPlotItem().setXRange(0.0, float(self._seconds[-1]) if count > 1 else 1.0, padding=0.01)
        self._draw()

    def clear(self) -> None:
        """What was compared no longer holds, e.g. since a setting has changed."""
        if self.table is not None:
            self.table = DifferenceTable(len(self._seconds))
            self._draw()

    def show_result(self, result: FrameResult) -> None:
        """Take in a frame that was re-run; ask for its picture, of several in a moment for that of the last."""
        if self.table is None or result.frame.index >= len(self._seconds):
            return
        self.here.setPos(float(self._seconds[result.frame.index]))
        self._wanted = result
        if not self._pictures.isActive() and self._asked is None:
            self._pictures.start()
        if result.recorded is None:
            return
        self.table.put(result.frame.index, differences(result.recorded, result.raw_hands))
        now_s = time.monotonic()
        if self.isVisible() and now_s - self._drawn_s > REDRAW_EVERY_S:
            self._drawn_s = now_s
            self._draw()

    def _ask_for_picture(self) -> None:
        wanted = self._wanted
        if wanted is None or not self.isVisible():
            return
        self._wanted = None
        if wanted.recorded is None:
            self._put(None, f"Frame {wanted.frame.index}: {_NOT_BOTH}")
            return
        self._asked = wanted
        self.picture_requested.emit(wanted)

    def show_picture(self, result: FrameResult, picture: NDArray[np.uint8] | None) -> None:
        """The pictures of a frame that was asked for; None where there is nothing to compare in it."""
        if result is not self._asked:  # another recording was opened since
            return
        self._asked = None
        self._put(picture, f"Frame {result.frame.index}" + ("" if picture is not None else f": {_NO_PAIR}"))
        self.frame = result.frame.index
        if self._wanted is not None:
            self._pictures.start()

    def _put(self, picture: NDArray[np.uint8] | None, name: str) -> None:
        self.picture = picture
        self.frame = None
        self.named.setText(name)
        self.save.setEnabled(picture is not None)
        self._fit_picture()

    def show_table(self, table: DifferenceTable) -> None:
        """What a run over all frames has found so far."""
        self.table = table
        self._draw()

    def set_running(self, progress: RerunProgress | None) -> None:
        """How a run over all frames goes; None where there is none."""
        under_way = progress is not None and not progress.ended
        self.run.setVisible(not under_way)
        self.cancel.setVisible(under_way)
        self.progress.setVisible(under_way)
        if progress is not None and under_way:
            self.progress.setMaximum(progress.count)
            self.progress.setValue(progress.done)

    # Inside

    def _draw(self) -> None:
        if self.table is None:
            for curve in self.curves.values():
                curve.setData([], [])
            self._set_caption(_EMPTY)
            return
        column = self.quantity.currentIndex()
        for place, side in enumerate(SIDES):
            self.curves[side].setData(self._seconds, self.table.values[:, place, column])
        values = self.table.values[:, :, column]
        known = values[np.isfinite(values)]
        if known.size:
            low, high = min(0.0, float(known.min())), max(1.0, float(known.max()))
            self.plot.getPlotItem().setYRange(low, high, padding=0.08)
        self._set_caption(self.table.summary() or "Choose “Both”, or compare all frames.")

    def _set_caption(self, text: str) -> None:
        if text != self.caption.text():
            self.caption.setText(text)
            self.caption.setToolTip(text)

    def _on_click(self, event: object) -> None:
        place = self.plot.getPlotItem().vb.mapSceneToView(event.scenePos())  # type: ignore[attr-defined]
        if len(self._seconds):
            self.sought.emit(int(np.abs(self._seconds - place.x()).argmin()))

    def _fit_picture(self) -> None:
        if self.picture is None:
            self.view.setPixmap(QPixmap())
            self.view.setText("")
            return
        height, width = self.picture.shape[:2]
        image = QImage(self.picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        ratio = self.devicePixelRatioF()
        room = self.view.size() * ratio
        pixmap = QPixmap.fromImage(image).scaled(
            room, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        pixmap.setDevicePixelRatio(ratio)
        self.view.setPixmap(pixmap)

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._pictures.start()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit_picture()

    def changeEvent(self, event: QEvent | None) -> None:
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._style()
        super().changeEvent(event)

    def _style(self) -> None:
        colours = tones()
        for label in (self.caption, self.named):
            label.setStyleSheet(f"color: {css(colours.faint_ink)};")
        self.plot.setBackground(colours.base)
        for side, curve in self.curves.items():
            curve.setPen(pg.mkPen(colours.hand(side), width=2))
        self.here.setPen(pg.mkPen(colours.warning, width=1))
        item = self.plot.getPlotItem()
        for name in ("left", "bottom"):
            item.getAxis(name).setPen(pg.mkPen(colours.line))
            item.getAxis(name).setTextPen(pg.mkPen(colours.faint_ink))
        item.showGrid(x=False, y=True, alpha=0.18)

    def shutdown(self) -> None:
        """Free the plot, whose hidden menus would outlive the window."""
        self._pictures.stop()
        self.plot.close()
        self.plot.deleteLater()
