"""How far both hands are, over the last seconds, and how the root of one of them moved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QEvent, QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QPainterPath, QPen
from PyQt6.QtWidgets import QComboBox, QGraphicsPathItem, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.live.frame_result import FrameResult
from app.panels.hand_chip import signed
from app.panels.motion_history import (
    DISTANCE,
    DISTANCE_ERROR,
    FRAME,
    RAW_DISTANCE,
    RAW_X,
    TIME,
    MotionHistory,
    X,
)
from app.panels.plot_panel import PlotPanel
from app.panels.time_plot import SPANS_S, TimePlot, band_path, clear_curves, faded
from app.style.theme import css, figures_font, tones
from handdgp_core.arrays import Array

REDRAW_MS = 60  # one of the two plots each time, so that no single turn is long
STAYS_NS = 1_000_000_000  # a hand that was missed for less is still the one that is shown
SIDES = ("right", "left")
_CHOICES = {"Auto": "auto", "Right hand": "right", "Left hand": "left"}


class MotionPanel(PlotPanel):
    """Collects results at any rate and redraws each plot eight times a second, and only while it can be seen.

    Signals:
        span_changed(int): the user chose another time span, in seconds.
        side_changed(str): the user chose "auto", "right" or "left".
        sought(int): the user clicked on the time of this frame.
    """

    span_changed = pyqtSignal(int)
    side_changed = pyqtSignal(str)
    sought = pyqtSignal(int)

    def __init__(self, span_s: int = 10, parent: QWidget | None = None) -> None:
        super().__init__(REDRAW_MS, parent)
        self.history = MotionHistory()
        self._shown_side = "right"
        self._seen_ns: int | None = None  # when that hand was there last
        self._turn = 0  # which plot is drawn next
        self.span = QComboBox(self)
        for seconds in SPANS_S:
            self.span.addItem(f"{seconds} s", seconds)
        self.span.setCurrentIndex(min(range(len(SPANS_S)), key=lambda i: abs(SPANS_S[i] - span_s)))
        self.span.setToolTip("Time span of the plots.")
        self.span.setAccessibleName("Time span")
        self.span.currentIndexChanged.connect(lambda: self.span_changed.emit(self.span.currentData()))
        self.span.currentIndexChanged.connect(self._mark)
        self.side = QComboBox(self)
        for title, side in _CHOICES.items():
            self.side.addItem(title, side)
        self.side.setAccessibleName("Hand")
        self.side.setToolTip(
            "Which hand's root is plotted, and whose weights are shown. Auto: the hand that came first, for as long as "
            "it is there."
        )
        self.side.currentIndexChanged.connect(self._mark)  # first: whoever hears of the change asks for `shown_side`
        self.side.currentIndexChanged.connect(lambda: self.side_changed.emit(self.side.currentData()))
        self.caption = QLabel(self)
        self.caption.setTextFormat(Qt.TextFormat.RichText)
        self.caption.setFont(figures_font(10))
        self.caption.setWordWrap(True)
        self.caption.setMinimumHeight(2 * self.caption.fontMetrics().lineSpacing() + 2)
        self._distance = _DistancePlot(self._caption, self.sought.emit)
        self._distance.widget.installEventFilter(self)
        self._root = _RootPlot()
        self._plots = (self._root, self._distance)
        self.caption.setToolTip(self._distance.tip)
        self._lay_out()
        self._style()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(10, 2, 10, 0)
        head.addWidget(self.side)
        head.addWidget(self.span)
        head.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 0, 2, 6)
        column.setSpacing(2)
        column.addLayout(head)
        self.caption.setContentsMargins(10, 2, 10, 0)
        column.addWidget(self.caption)
        column.addWidget(self._distance.widget, 3)
        column.addWidget(self._root.widget, 2)

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

    def allow_seeking(self, on: bool) -> None:
        """Whether a click leads to the frame of that time."""
        self._distance.allow_seeking(on)
        self.caption.setToolTip(self._distance.tip)

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
            self._distance.show({side: self.history.motion[side].last(span_s) for side in SIDES}, span_s)
            self._caption()
        else:
            self._root.show(self.history.motion[self._shown_side].last(span_s), span_s, self._shown_side)
        self._turn = (self._turn + 1) % 2

    def _caption(self) -> None:
        """The distances at the cursor, or the newest ones."""
        text = self._distance.values()
        if text != self.caption.text():
            self.caption.setText(text)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Leave:
            self._distance.point(None)
        return super().eventFilter(watched, event)


class _DistancePlot(TimePlot):
    """Distance of both palms with their ±; a cursor follows the pointer.

    Args:
        pointed: called when the cursor is somewhere else.
        clicked: called with the frame of the time that was clicked on.
    """

    title = "Distance of the palm (cm)"

    def __init__(self, pointed: Callable[[], None], clicked: Callable[[int], None]) -> None:
        super().__init__()
        self._pointed, self._clicked = pointed, clicked
        self._rows: dict[str, Array] = {}
        self._at_s: float | None = None  # seconds before the newest row
        self._seeks = False
        self.bands = {side: QGraphicsPathItem() for side in SIDES}
        for band in self.bands.values():
            self.item.addItem(band)
        self.raw = {side: self.item.plot() for side in SIDES}
        self.smooth = {side: self.item.plot() for side in SIDES}
        self.cursor = pg.InfiniteLine(angle=90, movable=False)
        self.cursor.hide()
        self.item.addItem(self.cursor)
        self.widget.scene().sigMouseMoved.connect(self._on_move)
        self.widget.scene().sigMouseClicked.connect(self._on_click)
        self.widget.setAccessibleName("Plot of the distance of both hands")
        self.allow_seeking(False)

    def allow_seeking(self, on: bool) -> None:
        """Whether a click leads to the frame of that time."""
        self._seeks = on
        seek = " Click to go to that frame." if on else ""
        self.tip = (
            f"Bold: smoothed; thin: raw; band: ± two standard deviations. Point at a time to read its values.{seek}"
        )

    def style(self) -> None:
        super().style()
        colours = tones()
        for side in SIDES:
            colour = colours.hand(side)
            self.bands[side].setBrush(pg.mkBrush(faded(colour, 55)))
            self.bands[side].setPen(QPen(Qt.PenStyle.NoPen))
            self.raw[side].setPen(pg.mkPen(faded(colour, 140), width=1))
            self.smooth[side].setPen(pg.mkPen(colour, width=2))
        self.cursor.setPen(pg.mkPen(colours.faint_ink, width=1))

    def show(self, rows: dict[str, Array], span_s: float) -> None:
        """Draw the rows of both hands; both have the same times."""
        self._rows = rows
        shown = []
        for side in SIDES:
            known = rows[side]
            if not len(known) or not np.isfinite(known[:, DISTANCE]).any():
                self.bands[side].setPath(QPainterPath())
                clear_curves([self.raw[side], self.smooth[side]])
                continue
            ago = known[:, TIME] - known[-1, TIME]
            error = np.nan_to_num(known[:, DISTANCE_ERROR])
            low, high = known[:, DISTANCE] - error, known[:, DISTANCE] + error
            self.raw[side].setData(ago, known[:, RAW_DISTANCE], connect="finite")
            self.smooth[side].setData(ago, known[:, DISTANCE], connect="finite")
            self.bands[side].setPath(band_path(ago, low, high))
            shown += [low, high, known[:, RAW_DISTANCE]]
        if shown:
            self.set_ranges(span_s, np.concatenate(shown), least=4.0)

    def values(self) -> str:
        """The distances at the cursor, or the newest, as rich text."""
        index = self._row()
        if index is None:
            return "No hand yet."
        rows = self._rows[SIDES[0]]
        when = "now" if self._at_s is None else f"{signed(rows[index, TIME] - rows[-1, TIME], 1)} s"
        parts = []
        for side in SIDES:
            distance, error = self._rows[side][index, DISTANCE], self._rows[side][index, DISTANCE_ERROR]
            figure = "–" if not np.isfinite(distance) else f"<b>{distance:.1f}</b> ± {error:.1f} cm"
            parts.append(f"<span style='color:{css(tones().hand(side))}'>●</span> {side.capitalize()} {figure}")
        return f"{' &nbsp; '.join(parts)}<br><span style='color:{css(tones().faint_ink)}'>{when}</span>"

    def _row(self) -> int | None:
        rows = self._rows.get(SIDES[0])
        if rows is None or not len(rows):
            return None
        if self._at_s is None:
            return len(rows) - 1
        return int(np.abs(rows[:, TIME] - rows[-1, TIME] - self._at_s).argmin())

    def _seconds_at(self, place: QPointF) -> float:
        return min(0.0, float(self.item.getViewBox().mapSceneToView(place).x()))

    def _on_move(self, place: QPointF) -> None:
        self.point(self._seconds_at(place))

    def point(self, at_s: float | None) -> None:
        """Put the cursor so many seconds before the newest row; None takes it away."""
        self._at_s = at_s
        self.cursor.setVisible(at_s is not None)
        if at_s is not None:
            self.cursor.setPos(at_s)
        self._pointed()

    def _on_click(self, event: object) -> None:
        self.point(self._seconds_at(event.scenePos()))  # type: ignore[attr-defined]
        index = self._row()
        if self._seeks and index is not None:
            self._clicked(int(self._rows[SIDES[0]][index, FRAME]))


class _RootPlot(TimePlot):
    title = "Root x, y, z (cm)"

    def __init__(self) -> None:
        super().__init__()
        self._side = "right"
        self.widget.setAccessibleName("Plot of the root of one hand")
        self.widget.setToolTip("Root position in the camera frame, each axis relative to its mean over the time shown.")
        self.raw = [self.item.plot() for _ in range(3)]
        self.smooth = [self.item.plot() for _ in range(3)]

    def style(self) -> None:
        super().style()
        names = []
        for axis, colour in enumerate(tones().axes):
            names.append(f"<span style='color:{css(colour)}'>{'xyz'[axis]}</span>")
            self.smooth[axis].setPen(pg.mkPen(colour, width=2))
            self.raw[axis].setPen(pg.mkPen(faded(colour), width=1))
        title = f"{self._side.capitalize()} root {', '.join(names)} (cm)"
        self.item.setTitle(f"<span style='font-size:9pt'>{title}</span>", color=tones().ink)

    def show(self, rows: Array, span_s: float, side: str) -> None:
        """Draw the rows of one hand."""
        if side != self._side:
            self._side = side
            self.style()
        if not len(rows):
            return clear_curves(self.raw + self.smooth)
        ago = rows[:, TIME] - rows[-1, TIME]
        smooth, raw = rows[:, X : X + 3], rows[:, RAW_X : RAW_X + 3]
        known = np.isfinite(smooth).all(axis=1)
        mean = smooth[known].mean(axis=0) if known.any() else np.zeros(3)
        for axis in range(3):
            self.raw[axis].setData(ago, raw[:, axis] - mean[axis], connect="finite", skipFiniteCheck=False)
            self.smooth[axis].setData(ago, smooth[:, axis] - mean[axis], connect="finite", skipFiniteCheck=False)
        return self.set_ranges(span_s, smooth - mean, least=4.0)
