"""Where the time goes: milliseconds of each stage over the last seconds, frame rates, and what draws the 3D view."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from app.live.frame_result import FrameResult
from app.live.state import Rates
from app.panels.motion_history import STAGES, Ring, timing_row
from app.panels.plot_panel import PlotPanel
from app.panels.time_plot import TimePlot, clear_curves
from app.style.theme import figures_font
from handdgp_core.arrays import Array

__all__ = ["PerformancePanel"]

REDRAW_MS = 200
SPAN_S = 10.0
# Distinguishable for people who confuse red and green, on white and on black.
_STAGE_COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#999999")
_STAGE_NAMES = (*STAGES, "other")


class PerformancePanel(PlotPanel):
    """Collects timings at any rate and draws them only while it can be seen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(REDRAW_MS, parent)
        self.timing = Ring(2 + len(STAGES))
        self._began_ns: int | None = None
        self._last_ns = 0
        self._plot = _TimingPlot()
        self._plots = (self._plot,)
        self.figures = {
            name: QLabel("–", self)
            for name in ("Received", "Estimated", "Shown", "Skipped", "Inference", "3D view")
        }  # fmt: skip
        tips = (
            "Frames per second from the source.", "Frames per second that went through the model.",
            "Pictures per second on screen.", "Frames skipped because a newer one had already arrived.",
            "Time of the model for one frame.", "What draws the 3D view.",
        )  # fmt: skip
        form = QFormLayout()
        form.setContentsMargins(12, 4, 12, 4)
        for (name, label), tip in zip(self.figures.items(), tips, strict=True):
            label.setFont(figures_font(9.5))
            label.setToolTip(tip)
            label.setAccessibleName(name)
            form.addRow(name, label)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 8)
        column.addLayout(form)
        column.addWidget(self._plot.widget, 1)
        column.addWidget(self._plot.legend, 0, Qt.AlignmentFlag.AlignHCenter)
        self._style()

    def add(self, result: FrameResult) -> None:
        """Take in a result."""
        if result.preview or result.frames_ago or result.redrawn:
            return
        stamp_ns = result.frame.stamp_ns
        if self._began_ns is None or stamp_ns < self._last_ns:
            self.clear()
            self._began_ns = stamp_ns
        elif stamp_ns == self._last_ns:
            return
        self._last_ns = stamp_ns
        self.timing.append(timing_row((stamp_ns - self._began_ns) / 1e9, result.stage_ms))
        self._changed = True

    def show_rates(self, rates: Rates, shown_fps: float, inference_ms: float | None) -> None:
        """Show the figures of this moment."""
        texts = {
            "Received": f"{rates.captured_fps:.0f} fps",
            "Estimated": f"{rates.inferred_fps:.0f} fps",
            "Shown": f"{shown_fps:.0f} fps",
            "Skipped": f"{rates.skipped}",
            "Inference": "–" if inference_ms is None else f"{inference_ms:.0f} ms",
        }
        for name, text in texts.items():
            self.figures[name].setText(text)

    def show_scene(self, text: str) -> None:
        """Show what draws the 3D view."""
        self.figures["3D view"].setText(text.removeprefix("3D: ") or "–")

    def clear(self) -> None:
        """Forget the curves, e.g. when the source changes."""
        self.timing.clear()
        self._began_ns = None
        self._changed = True

    def _redraw(self) -> None:
        if self._changed:
            self._changed = False
            self._plot.show(self.timing.last(SPAN_S), SPAN_S)


class _TimingPlot(TimePlot):
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
            return clear_curves(self.areas)
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
