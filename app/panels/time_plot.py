"""What the plots over time share: axes that seldom move, bands with gaps, colours of the theme."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QColor, QPainterPath, QPolygonF
from PyQt6.QtWidgets import QGraphicsItem

from app.style.theme import tones
from handdgp_core.arrays import Array

__all__ = ["SPANS_S", "TimePlot", "band_path", "clear_curves", "faded"]

SPANS_S = (5, 10, 30, 60)


class TimePlot:
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


def band_path(x: Array, low: Array, high: Array) -> QPainterPath:
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


def clear_curves(curves: Sequence[pg.PlotDataItem]) -> None:
    for curve in curves:
        curve.setData([], [])


def faded(colour: QColor, alpha: int = 110) -> QColor:
    faded = QColor(colour)
    faded.setAlpha(alpha)
    return faded
