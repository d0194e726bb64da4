"""Plots of the last seconds: root position, depth with its error band, and milliseconds per stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QPointF, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QColor, QHideEvent, QPainterPath, QPen, QPolygonF, QShowEvent
from PyQt6.QtWidgets import QComboBox, QGraphicsItem, QGraphicsPathItem, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.live.frame_result import FrameResult
from app.panels.motion_history import RAW_X, RAW_Z, STAGES, TIME, Z_ERROR, MotionHistory, X, Z
from app.style.theme import css, figures_font, tones
from handdgp_core.arrays import Array

REDRAW_MS = 50  # one of the three plots each time, so that no single turn is long
STAYS_NS = 1_000_000_000  # a hand that was missed for less is still the one that is shown
SPANS_S = (5, 10, 30, 60)
_SIDES = {"Auto": "auto", "Right hand": "right", "Left hand": "left"}
# Distinguishable for people who confuse red and green, on white and on black.
_STAGE_COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#999999")
_STAGE_NAMES = (*STAGES, "other")


class MotionPanel(QWidget):
    """Collects results at any rate and redraws each plot seven times a second, and only while it can be seen.

    Signals:
        span_changed(int): the user chose another time span, in seconds.
        side_changed(str): the user chose "auto", "right" or "left".
    """

    span_changed = pyqtSignal(int)
    side_changed = pyqtSignal(str)

    def __init__(self, span_s: int = 10, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.history = MotionHistory()
        self._shown_side = "right"
        self._seen_ns: int | None = None  # when that hand was there last
        self._changed = False
        self._turn = 0  # which plot is drawn next
        self.span = QComboBox(self)
        for seconds in SPANS_S:
            self.span.addItem(f"{seconds} s", seconds)
        self.span.setCurrentIndex(min(range(len(SPANS_S)), key=lambda i: abs(SPANS_S[i] - span_s)))
        self.span.setToolTip("Time span of the plots.")
        self.span.currentIndexChanged.connect(lambda: self.span_changed.emit(self.span.currentData()))
        self.span.currentIndexChanged.connect(self._mark)
        self.side = QComboBox(self)
        for title, side in _SIDES.items():
            self.side.addItem(title, side)
        self.side.setToolTip(
            "Which hand the plots and the weights show. Auto: the hand that came first, for as long as it is there."
        )
        self.side.currentIndexChanged.connect(self._mark)  # first: whoever hears of the change asks for `shown_side`
        self.side.currentIndexChanged.connect(lambda: self.side_changed.emit(self.side.currentData()))
        self.caption = QLabel(self)
        self._root = _RootPlot()
        self._depth = _DepthPlot()
        self._timing = _TimingPlot()
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self._redraw)
        self._style()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(8, 4, 8, 0)
        head.addWidget(self.side)
        head.addWidget(self.span)
        head.addWidget(self.caption, 1)
        plots = QHBoxLayout()
        plots.setContentsMargins(2, 0, 6, 4)
        plots.setSpacing(2)
        for plot in (self._root, self._depth, self._timing):
            plots.addWidget(plot.widget, 1)
        plots.addWidget(self._timing.legend)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(head)
        column.addLayout(plots, 1)

    def add(self, result: FrameResult) -> None:
        """Take in a result."""
        if result.preview or result.frames_ago:
            return
        self.history.add(result)
        self._follow(result)
        self._changed = True

    @property
    def shown_side(self) -> str:
        """The hand that single-hand panels show, "left" or "right"."""
        return self._shown_side

    def _follow(self, result: FrameResult) -> None:
        """Auto: stay with a hand for as long as it is there; of two, begin with the more confident one."""
        sides = {hand.handedness for hand in result.hands}
        stamp_ns = result.frame.stamp_ns
        if self._shown_side in sides:
            self._seen_ns = stamp_ns
        elif sides and self.side.currentData() == "auto":
            gone_ns = None if self._seen_ns is None else stamp_ns - self._seen_ns
            if gone_ns is None or not 0 <= gone_ns < STAYS_NS:
                self._shown_side = max(result.hands, key=lambda hand: hand.score).handedness
                self._seen_ns = stamp_ns

    def clear(self) -> None:
        """Forget the curves, e.g. when the source changes."""
        self.history.clear()
        self._seen_ns = None
        self._changed = True

    def shutdown(self) -> None:
        """Stop drawing and free the plots, whose hidden menus would outlive the window."""
        self._timer.stop()
        for plot in (self._root, self._depth, self._timing):
            plot.widget.close()
            plot.widget.deleteLater()

    def _mark(self) -> None:
        self._changed = True
        chosen = self.side.currentData()
        self._shown_side = self._shown_side if chosen == "auto" else chosen

    def _redraw(self) -> None:
        if self._turn == 0 and not self._changed:
            return
        span_s = float(self.span.currentData())
        if self._turn == 0:
            self._changed = False
            self._caption()
            self._root.show(self.history.motion[self._shown_side].last(span_s), span_s)
        elif self._turn == 1:
            self._depth.show(self.history.motion[self._shown_side].last(span_s), span_s)
        else:
            self._timing.show(self.history.timing.last(span_s), span_s)
        self._turn = (self._turn + 1) % 3

    def _caption(self) -> None:
        text = f"<b>{self._shown_side.capitalize()} hand</b> · thin: raw, bold: smoothed, band: 2 σ"
        if text != self.caption.text():
            self.caption.setText(text)

    def showEvent(self, event: QShowEvent | None) -> None:
        self._changed = True
        self._timer.start()
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent | None) -> None:
        self._timer.stop()
        super().hideEvent(event)

    def changeEvent(self, event: QEvent | None) -> None:
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._style()
        super().changeEvent(event)

    def _style(self) -> None:
        self.caption.setStyleSheet(f"color: {css(tones().faint_ink)};")
        for plot in (self._root, self._depth, self._timing):
            plot.style()
        self._changed = True


class _Plot:
    """One plot over time: 0 at the right edge, seconds ago to the left."""

    title = ""

    def __init__(self) -> None:
        self.widget = pg.PlotWidget(enableMenu=False)
        self.widget.setMouseEnabled(x=False, y=False)
        self.widget.hideButtons()
        self.widget.setMinimumSize(150, 100)
        self.widget.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.item = self.widget.getPlotItem()
        self.item.setClipToView(False)
        self._range = (0.0, 0.0, 0.0)
        self.item.getAxis("left").setWidth(46)
        self.item.getAxis("bottom").setHeight(22)
        for name in ("left", "bottom"):
            # Laying out the figures of an axis costs more than its curves: keep it as a picture until it changes.
            self.item.getAxis(name).setCacheMode(QGraphicsItem.CacheMode.DeviceCoordinateCache)
        # One range for all curves, set with the data: pyqtgraph's own search would go over every curve each time.
        self.item.disableAutoRange()
        self.set_ranges(float(SPANS_S[1]), np.zeros(0), least=10.0, floor=0.0)

    def style(self) -> None:
        """Take over the colours of the theme."""
        colours = tones()
        self.widget.setBackground(colours.base)
        self.item.setTitle(f"<span style='font-size:9pt'>{self.title}</span>", color=colours.ink)
        for name in ("left", "bottom"):
            axis = self.item.getAxis(name)
            axis.setPen(pg.mkPen(colours.line))
            axis.setTextPen(pg.mkPen(colours.faint_ink))
            axis.setStyle(tickLength=-4)
        self.item.showGrid(x=False, y=True, alpha=0.18)

    def set_ranges(self, span_s: float, values: Array, least: float, floor: float | None = None) -> None:
        """x: the span; y: all finite values with a margin, at least `least` high, from `floor` where one is given.

        A range that still fits is kept: axes that stand still are easier to read, and need no new drawing.
        """
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, least)
        missing = max(0.0, least - (high - low)) / 2
        low, high = low - missing if floor is None else floor, high + missing
        if self._still_fits(span_s, low, high):
            return
        margin = 0.15 * (high - low)
        self._range = (span_s, low - margin if floor is None else floor, high + margin)
        self.item.getViewBox().setRange(xRange=(-span_s, 0.0), yRange=self._range[1:], padding=0, update=False)

    def _still_fits(self, span_s: float, low: float, high: float) -> bool:
        old_span_s, old_low, old_high = self._range
        inside = old_low <= low and high <= old_high
        return span_s == old_span_s and inside and old_high - old_low < 2.0 * (high - low)


class _RootPlot(_Plot):
    title = "Root x, y, z (cm)"

    def __init__(self) -> None:
        super().__init__()
        self.widget.setToolTip("Root position in the camera frame, each axis relative to its mean over the time shown.")
        self.raw = [self.item.plot() for _ in range(3)]
        self.smooth = [self.item.plot() for _ in range(3)]

    def style(self) -> None:
        super().style()
        names = []
        for axis, colour in enumerate(tones().axes):
            names.append(f"<span style='color:{css(colour)}'>{'xyz'[axis]}</span>")
            self.smooth[axis].setPen(pg.mkPen(colour, width=2))
            self.raw[axis].setPen(pg.mkPen(_faded(colour), width=1))
        title = f"Root {', '.join(names)} (cm)"
        self.item.setTitle(f"<span style='font-size:9pt'>{title}</span>", color=tones().ink)

    def show(self, rows: Array, span_s: float) -> None:
        """Draw the rows of the motion history."""
        if not len(rows):
            return _clear(self.raw + self.smooth)
        ago = rows[:, TIME] - rows[-1, TIME]
        smooth, raw = rows[:, X : X + 3], rows[:, RAW_X : RAW_X + 3]
        known = np.isfinite(smooth).all(axis=1)
        mean = smooth[known].mean(axis=0) if known.any() else np.zeros(3)
        for axis in range(3):
            self.raw[axis].setData(ago, raw[:, axis] - mean[axis], connect="finite", skipFiniteCheck=False)
            self.smooth[axis].setData(ago, smooth[:, axis] - mean[axis], connect="finite", skipFiniteCheck=False)
        return self.set_ranges(span_s, smooth - mean, least=4.0)


class _DepthPlot(_Plot):
    title = "Depth of the root (cm)"

    def __init__(self) -> None:
        super().__init__()
        self.widget.setToolTip("z of the root. Thin: raw; bold: smoothed; band: two standard deviations.")
        self.band = QGraphicsPathItem()
        self.item.addItem(self.band)
        self.raw, self.smooth = self.item.plot(), self.item.plot()

    def style(self) -> None:
        super().style()
        colour = tones().axes[2]
        self.band.setBrush(pg.mkBrush(_faded(colour, 60)))
        self.band.setPen(QPen(Qt.PenStyle.NoPen))
        self.raw.setPen(pg.mkPen(_faded(tones().ink, 130), width=1))
        self.smooth.setPen(pg.mkPen(colour, width=2))

    def show(self, rows: Array, span_s: float) -> None:
        """Draw the rows of the motion history."""
        known = rows[np.isfinite(rows[:, Z])] if len(rows) else rows
        if not len(known):
            self.band.setPath(QPainterPath())
            return _clear([self.raw, self.smooth])
        ago = rows[:, TIME] - rows[-1, TIME]
        low, high = (rows[:, Z] + sign * np.nan_to_num(rows[:, Z_ERROR]) for sign in (-1, 1))
        self.raw.setData(ago, rows[:, RAW_Z], connect="finite")
        self.smooth.setData(ago, rows[:, Z], connect="finite")
        self.band.setPath(_band(ago, low, high))
        values = np.concatenate([low, high, rows[:, RAW_Z]])
        return self.set_ranges(span_s, values, least=4.0)


class _TimingPlot(_Plot):
    title = "Time per frame (ms)"

    def __init__(self) -> None:
        super().__init__()
        # Stacked: every area reaches from zero to its upper edge, the tallest drawn first.
        self.areas = [self.item.plot() for _ in _STAGE_NAMES]
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setToolTip("Median time of each stage over the time shown, in milliseconds.")
        self.legend.setAlignment(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        self.legend.setFont(figures_font(8))

    def style(self) -> None:
        super().style()
        for area, colour in zip(reversed(self.areas), _STAGE_COLOURS, strict=True):
            area.setPen(pg.mkPen(colour, width=1))
            area.setFillLevel(0.0)
            area.setBrush(pg.mkBrush(colour))

    def show(self, rows: Array, span_s: float) -> None:
        """Draw the rows of the timing history."""
        if not len(rows):
            return _clear(self.areas)
        ago = rows[:, 0] - rows[-1, 0]
        upper = np.cumsum(rows[:, 1:], axis=1)
        for area, stage in zip(self.areas, range(upper.shape[1] - 1, -1, -1), strict=True):
            area.setData(ago, upper[:, stage])
        self.legend.setText(_legend(np.median(rows[:, 1:], axis=0)))
        typical = np.percentile(upper[:, -1], 98) if len(upper) else 0.0
        return self.set_ranges(span_s, np.array([0.0, typical * 1.15]), least=10.0, floor=0.0)


def _legend(stage_ms: Array) -> str:
    """A table of the stages that take any time, in the order of the areas from top to bottom."""
    lines = [
        f"<tr><td style='color:{_STAGE_COLOURS[stage]}'>■&nbsp;</td><td>{_STAGE_NAMES[stage]}&nbsp;</td>"
        f"<td align='right'>{stage_ms[stage]:.1f}</td></tr>"
        for stage in range(len(stage_ms) - 1, -1, -1)
        if stage_ms[stage] > 0.05
    ]
    total = f"<tr><td></td><td><b>total</b>&nbsp;</td><td align='right'><b>{stage_ms.sum():.1f}</b></td></tr>"
    return f"<table cellspacing='0' cellpadding='0'>{''.join(lines)}{total}</table>"


def _band(x: Array, low: Array, high: Array) -> QPainterPath:
    """The area between two curves (N,), with a gap wherever one of them is NaN.

    A band across seconds without a hand would claim to know something of them.
    """
    path = QPainterPath()
    known = np.isfinite(low) & np.isfinite(high)
    for run in np.split(np.arange(len(x)), np.flatnonzero(np.diff(known)) + 1):
        if len(run) > 1 and known[run[0]]:
            around = [*zip(x[run], low[run], strict=True), *zip(x[run[::-1]], high[run[::-1]], strict=True)]
            path.addPolygon(QPolygonF([QPointF(*point) for point in around]))
    return path


def _clear(curves: Sequence[pg.PlotDataItem]) -> None:
    for curve in curves:
        curve.setData([], [])


def _faded(colour: QColor, alpha: int = 110) -> QColor:
    faded = QColor(colour)
    faded.setAlpha(alpha)
    return faded
