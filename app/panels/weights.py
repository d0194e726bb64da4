"""What share every keypoint has in the solve: a drawn hand, and 21 bars by finger. A click takes it away or back."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import (
    QAbstractButton,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.live.readout import mute_shift_mm
from app.panels.hand_chip import signed
from app.panels.scroll_area import scroll_area
from app.panels.weight_hand import WeightHand
from app.style.theme import figures_font, tones
from handdgp_core.drawing.colours import weight_colours
from handdgp_core.hands.keypoints import COUNT, FINGERS, NAMES, WRIST
from handdgp_core.types import Hand


class WeightsPanel(QWidget):
    """Bars, mute buttons, and how far muting moves the root.

    Signals:
        muted_changed(frozenset): the keypoints (0 to 20) that the user has muted.
    """

    muted_changed = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._muted: frozenset[int] = frozenset()
        self._hand: Hand | None = None
        self.bars = [KeypointBar(keypoint, self) for keypoint in range(COUNT)]
        self.fingers = {name: _FingerButton(name, self) for name in FINGERS}
        self.drawing = WeightHand(self)
        self.drawing.clicked.connect(lambda keypoint: self._set_muted(self._muted ^ {keypoint}))
        self.hand_name = QLabel(self)
        self.shift = QLabel(self)
        self.shift.setWordWrap(True)
        self.shift.setMinimumHeight(2 * self.fontMetrics().lineSpacing() + 2)
        self.shift.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.unmute_all = QPushButton("Unmute all", self)
        self.unmute_all.setToolTip("Use all keypoints again.")
        self.unmute_all.clicked.connect(lambda: self._set_muted(frozenset()))
        for bar in self.bars:
            bar.clicked.connect(lambda checked, keypoint=bar.keypoint: self._set_muted(self._muted ^ {keypoint}))
        for name, button in self.fingers.items():
            button.clicked.connect(lambda checked, chain=FINGERS[name]: self._toggle_finger(chain))
        self._lay_out()
        self._show_muted()
        self.show_hand(None)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(1)
        grid.setColumnStretch(1, 1)
        wrist = QLabel("Wrist", self)
        wrist.setAlignment(Qt.AlignmentFlag.AlignCenter)
        grid.addWidget(wrist, 0, 0)
        grid.addWidget(self.bars[WRIST], 0, 1)
        row = 1
        for name, chain in FINGERS.items():
            grid.setRowMinimumHeight(row, 5)
            row += 1
            grid.addWidget(self.fingers[name], row, 0, len(chain), 1)
            for keypoint in chain:
                grid.addWidget(self.bars[keypoint], row, 1)
                grid.setRowStretch(row, 3)
                row += 1
        grid.setRowStretch(row, 1)
        content = QWidget(self)
        content.setLayout(grid)
        grid.setContentsMargins(8, 4, 8, 4)
        foot = QHBoxLayout()
        foot.setContentsMargins(8, 0, 8, 6)
        foot.addWidget(self.shift, 1)
        foot.addWidget(self.unmute_all, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(4)
        self.hand_name.setContentsMargins(8, 0, 8, 0)
        column.addWidget(self.hand_name)
        column.addWidget(self.drawing, 3)
        column.addWidget(scroll_area(content, self), 4)
        column.addLayout(foot)

    @property
    def muted(self) -> frozenset[int]:
        """The muted keypoints."""
        return self._muted

    def show_hand(self, hand: Hand | None) -> None:
        """Show the weights of this hand; None empties the bars."""
        self.hand_name.setText("No hand detected" if hand is None else f"{hand.handedness.capitalize()} hand")
        for keypoint, bar in enumerate(self.bars):
            bar.set_weight(None if hand is None else float(hand.weights[keypoint]))
        self.drawing.show_hand(hand, self._muted)
        self.shift.setText(_shift_text(hand, self._muted))
        self._hand = hand

    def _toggle_finger(self, chain: tuple[int, ...]) -> None:
        """Mute what is not muted yet; unmute where the whole finger is muted."""
        whole = self._muted.issuperset(chain)
        self._set_muted(self._muted - set(chain) if whole else self._muted | set(chain))

    def _set_muted(self, muted: frozenset[int]) -> None:
        if muted == self._muted:
            return
        self._muted = muted
        self._show_muted()
        self.muted_changed.emit(muted)

    def _show_muted(self) -> None:
        for bar in self.bars:
            bar.set_muted(bar.keypoint in self._muted)
        for name, button in self.fingers.items():
            button.setChecked(self._muted.issuperset(FINGERS[name]))
        self.unmute_all.setEnabled(bool(self._muted))
        self.drawing.show_hand(self._hand, self._muted)


def _shift_text(hand: Hand | None, muted: frozenset[int]) -> str:
    if not muted:
        return "Click a keypoint or a bar to mute it and see how the root shifts."
    if hand is not None and hand.degenerate is not None:
        return f"No root: {hand.degenerate}."
    shift = mute_shift_mm(hand) if hand is not None else None
    if shift is None:
        return f"{len(muted)} muted."
    x, y, z = (signed(value, 1) for value in shift)
    text = f"{len(muted)} muted. Root shifts by x_{x}, y_{y}, z_{z}_mm."
    return text.replace("_", "\N{NO-BREAK SPACE}")


class KeypointBar(QAbstractButton):
    """Joint name, bar and figure of one keypoint. A click or the space bar mutes it."""

    def __init__(self, keypoint: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.keypoint = keypoint
        self._weight: float | None = None
        self._muted = False
        # By keyboard alone: a click must not take the space bar away from "pause".
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setMaximumHeight(27)
        self.setFont(figures_font(8.5))
        self.setAccessibleName(NAMES[keypoint])
        self._describe()

    def sizeHint(self) -> QSize:
        return QSize(190, max(17, self.fontMetrics().height() + 2))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def set_weight(self, weight: float | None) -> None:
        """Show this weight (0 to 1), or none."""
        shown = None if weight is None else round(weight, 2)
        if shown != self._weight:
            self._weight = shown
            self.update()

    def set_muted(self, muted: bool) -> None:
        """Show that the keypoint is not used."""
        if muted != self._muted:
            self._muted = muted
            self._describe()
            self.update()

    def _describe(self) -> None:
        verb = "unmute" if self._muted else "mute"
        self.setToolTip(f"{NAMES[self.keypoint].capitalize()} (keypoint {self.keypoint}): click to {verb}.")

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter, colours = QPainter(self), tones()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.underMouse() or self.hasFocus():
            painter.setPen(colours.accent if self.hasFocus() else Qt.PenStyle.NoPen)
            painter.setBrush(colours.raised)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        metrics = self.fontMetrics()
        name_width, figure_width = metrics.horizontalAdvance("CMC  "), metrics.horizontalAdvance(" muted")
        name = QRectF(6, 0, name_width, self.height())
        figure = QRectF(self.width() - figure_width - 6, 0, figure_width, self.height())
        track = QRectF(name.right(), self.height() / 2 - 4, figure.left() - name.right() - 4, 8)
        painter.setPen(colours.faint_ink)
        painter.drawText(name, int(Qt.AlignmentFlag.AlignVCenter), _joint_name(self.keypoint))
        self._paint_track(painter, track)
        painter.setPen(colours.faint_ink if self._muted else colours.ink)
        alignment = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        painter.drawText(figure, alignment, self._figure())
        painter.end()

    def _figure(self) -> str:
        if self._muted:
            return "muted"
        return "–" if self._weight is None else f"{self._weight:.2f}"

    def _paint_track(self, painter: QPainter, track: QRectF) -> None:
        colours = tones()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.line if not self._muted else QColor(0, 0, 0, 0))
        if self._muted:
            painter.setPen(colours.line)
        painter.drawRoundedRect(track, 4, 4)
        if self._muted or not self._weight:
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(bar_colour(self._weight))
        filled = QRectF(track)
        filled.setWidth(max(8.0, track.width() * min(1.0, self._weight)))
        painter.drawRoundedRect(filled, 4, 4)


def _joint_name(keypoint: int) -> str:
    return "root" if keypoint == WRIST else NAMES[keypoint].split(" ")[-1]


def bar_colour(weight: float) -> QColor:
    """The colour that the overlay gives a keypoint of this weight."""
    red, green, blue = (int(value) for value in weight_colours([weight])[0])  # type: ignore[arg-type]
    return QColor(red, green, blue)


class _FingerButton(QToolButton):
    """Mutes a whole finger."""

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setText(name.capitalize())
        self.setCheckable(True)
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setMinimumWidth(self.fontMetrics().horizontalAdvance("Middle") + 18)
        self.setToolTip(f"Mute or unmute the whole {name} finger." if name != "thumb" else "Mute or unmute the thumb.")
