"""The camera picture with its badges, and the distance of each hand in large figures."""

from __future__ import annotations

import math
import time
from html import escape

from PyQt6.QtCore import QEvent, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.live.frame_result import FrameResult
from app.live.readout import Distance, length_shift_m, palm_distance
from app.live.state import ModelPhase, Phase, Status
from app.live.trust import CalibrationInUse, Trust, camera_trust
from app.panels.picture import PictureView
from app.style.theme import css, figures_font, tones
from handdgp_core.sources.urls import shown_url
from handdgp_core.types import Hand

FIGURES_EVERY_S = 0.12  # figures that change faster cannot be read
NO_HAND_AFTER_S = 0.7
NO_FIGURE = "–"
MINUS = "\N{MINUS SIGN}"


class CameraPanel(QWidget):
    """Picture, badges, states and read-out. It is told of results and of the status, and asks for nothing."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = PictureView(self)
        self.badge, self.hand_badge = TrustBadge(self.view), TrustBadge(self.view)
        self.demo_badge = Badge(self.view)
        self.fps_badge = Badge(self.view)
        self.fps_badge.set_text("", "Frames shown per second")
        self.readouts = {"left": HandReadout("left", self), "right": HandReadout("right", self)}
        self._status = Status()
        self._last_hand_s = 0.0
        self._figures_s = 0.0
        self._sides: set[str] = set()
        self._mirrored: bool | None = None
        self._lay_out()
        self.show_status(self._status)

    def add_badge(self, badge: QWidget) -> None:
        """Put one more badge over the picture, above the others."""
        self._badges.insertWidget(0, badge, 0, Qt.AlignmentFlag.AlignLeft)

    def _lay_out(self) -> None:
        over = QGridLayout(self.view)
        over.setContentsMargins(10, 10, 10, 10)
        left = self._badges = QVBoxLayout()
        left.setSpacing(6)
        for badge in (self.badge, self.hand_badge, self.demo_badge):
            left.addWidget(badge, 0, Qt.AlignmentFlag.AlignLeft)
        over.addLayout(left, 0, 0, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        over.addWidget(self.fps_badge, 0, 1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        over.setRowStretch(1, 1)
        self._strip = QHBoxLayout()
        self._strip.setContentsMargins(8, 6, 8, 8)
        self._strip.setSpacing(8)
        for side in ("left", "right"):
            self._strip.addWidget(self.readouts[side], 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.view, 1)
        column.addLayout(self._strip)

    def show_result(self, result: FrameResult, calibration: CalibrationInUse | None = None) -> None:
        """Show a new picture and, not too often, new figures."""
        self.view.set_picture(result.picture)
        now_s = time.monotonic()
        if result.hands:
            self._last_hand_s = now_s
        self._show_message(now_s, preview=result.preview)
        sides: set[str] = {hand.handedness for hand in result.hands}  # figures of a hand that has left go at once
        due = now_s - self._figures_s >= FIGURES_EVERY_S or sides != self._sides
        if due or self._status.phase is not Phase.RUNNING:
            self._figures_s, self._sides = now_s, sides
            self._show_figures(result)
            self.badge.show_trust(camera_trust(result, calibration))

    def show_status(self, status: Status) -> None:
        """Show what the source and the model are doing."""
        if status.phase is Phase.OPENING and self._status.phase is not Phase.OPENING:
            self.view.clear()
            for readout in self.readouts.values():
                readout.show_hand(None, None, None)
            self.badge.set_text("")
        self._status = status
        self._last_hand_s = time.monotonic() if status.phase is Phase.OPENING else self._last_hand_s
        self.demo_badge.set_text(
            "Rendered demo" if status.is_rendered else "",
            "Rendered images with known ground truth: the error is measured against it.",
        )
        self._show_message(time.monotonic(), preview=status.model_phase is ModelPhase.LOADING)

    def show_fps(self, fps: float) -> None:
        """Show how many pictures a second are shown."""
        self.fps_badge.set_text(f"{fps:.0f} fps" if fps > 0 else "", "Frames shown per second")

    def show_waiting(self, reason: str) -> None:
        """Say why a live source gives no picture at the moment, or take that away."""
        if reason and self._status.phase is Phase.RUNNING:
            self.view.set_message("Waiting for the camera", reason, dim=True)

    def _show_message(self, now_s: float, *, preview: bool) -> None:
        title, hint, dim = _state_message(self._status, self.view.has_picture)
        running = self._status.phase is Phase.RUNNING
        if not title and running and preview:
            title, hint = "Loading the model…", "The picture is live; the mesh follows in a moment."
        elif not title and running and now_s - self._last_hand_s > NO_HAND_AFTER_S:
            title, hint = (
                "No hand detected",
                "Hold your hand 20–80 cm from the camera, with all fingers in the picture.",
            )
        self.view.set_message(title, hint, dim=dim)

    def _show_figures(self, result: FrameResult) -> None:
        self._order_readouts(result.mirrored)
        for side, readout in self.readouts.items():
            index = next((i for i, hand in enumerate(result.hands) if hand.handedness == side), None)
            if index is None:
                readout.show_hand(None, None, None)
            else:
                hand = result.hands[index]
                true = result.truth[index]
                readout.show_hand(hand, palm_distance(hand), true.error_mm if true else None)
        errors = [true.error_mm for true in result.truth if true is not None and math.isfinite(true.error_mm)]
        if self._status.is_rendered:
            error = f" · error {sum(errors) / len(errors):.0f} mm" if errors else ""
            self.demo_badge.set_text(f"Rendered demo{error}")

    def _order_readouts(self, mirrored: bool) -> None:
        """The figures stand on the side where the hand is seen: exchanged when the picture is not mirrored."""
        if mirrored is self._mirrored:
            return
        self._mirrored = mirrored
        for side in ("left", "right") if mirrored else ("right", "left"):
            self._strip.removeWidget(self.readouts[side])
            self._strip.addWidget(self.readouts[side], 1)


def _state_message(status: Status, has_picture: bool) -> tuple[str, str, bool]:
    """Title, hint and whether the picture is dimmed, for everything but plain running."""
    phase = status.phase
    if status.model_phase is ModelPhase.FAILED:
        return "The model could not be loaded", "See the message above. Choose another model, or retry.", True
    if phase is Phase.IDLE:
        return "No source", "Choose a webcam, a video or the demo in the toolbar, or drop a file here.", False
    if phase is Phase.OPENING:
        return f"Opening {short_name(status.spec)}…", "", False
    if phase is Phase.FAILED:
        return "The source stopped", "See the message above.", has_picture
    if phase is Phase.ENDED:
        return "End of the source", "Press Space to play again.", True
    if phase is Phase.PAUSED:
        return "Paused", "", False
    return "", "", False


def short_name(spec: str) -> str:
    """What to call a source before it has told its own name."""
    if spec.isdigit():
        return f"webcam {spec}"
    if "://" in spec:
        return shown_url(spec)
    return spec if spec == "demo" else spec.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]


class Badge(QLabel):
    """A few words on dark glass over the picture, with the explanation as tooltip; hidden while empty."""

    clicked = pyqtSignal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFont(figures_font(9.5, bold=True))
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._warning: bool | None = None
        self.hide()

    def set_text(self, text: str, tooltip: str | None = None, *, warning: bool = False) -> None:
        """New text (none hides the badge); the tooltip stays as it is where none is given."""
        if tooltip is not None and tooltip != self.toolTip():
            self.setToolTip(tooltip)
        if warning != self._warning:
            self._warning = warning
            ground, ink = ("#ffbe3d", "#241800") if warning else ("rgba(58, 63, 72, 225)", "#ffffff")
            self.setStyleSheet(
                f"QLabel {{ background: {ground}; color: {ink}; border-radius: 6px; padding: 4px 9px; }}"
            )
        if text != self.text():
            self.setText(text)
        self.setVisible(bool(text))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """A badge that leads somewhere is clicked like a button."""
        self.clicked.emit()


class TrustBadge(Badge):
    """What the numbers rest on; a click leads to where that is made better."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_trust(self, trust: Trust) -> None:
        """Show it."""
        self.set_text(trust.text, f"<p>{escape(trust.details)}</p>", warning=trust.doubtful)


class HandReadout(QFrame):
    """Distance of one hand: large figures, the uncertainty, the root, and the error where ground truth is known."""

    def __init__(self, side: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.side = side
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._dot = _Dot(side, self)
        self.name = QLabel(f"{side.capitalize()} palm", self)
        self.name.setFont(figures_font(9.5, bold=True))
        self.figure = QLabel(NO_FIGURE, self)
        self.figure.setFont(figures_font(24, bold=True))
        self.figure.setToolTip("Distance from the camera to the middle of the palm.")
        self.error = QLabel("", self)
        self.error.setFont(figures_font(13))
        self.error.setToolTip(
            "± is two standard deviations: of the fit, of the model, of a hand size that is not measured, and of a "
            "field of view that is assumed.\nMeasuring your hand and calibrating the camera make it smaller."
        )
        self.details = QLabel("", self)
        self.details.setFont(figures_font(9))
        self.details.setToolTip("Wrist position in the camera frame: x right, y down, z forward.")
        self.details.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._lay_out()
        self._style()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self._dot)
        head.addWidget(self.name)
        head.addStretch(1)
        number = QHBoxLayout()
        number.setSpacing(8)
        number.addWidget(self.figure, 0, Qt.AlignmentFlag.AlignBaseline)
        number.addWidget(self.error, 1, Qt.AlignmentFlag.AlignBaseline)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 10, 6)
        column.setSpacing(0)
        column.addLayout(head)
        column.addLayout(number)
        column.addWidget(self.details)

    def show_hand(self, hand: Hand | None, distance: Distance | None, error_mm: float | None) -> None:
        """Show the figures of a hand, why there are none, or that it is not seen."""
        if hand is None:
            self._set(NO_FIGURE, "", "not detected")
        elif distance is None:
            self._set(NO_FIGURE, "", hand.degenerate or "no position")
        else:
            x, y, z = (signed(value * 1e2, 1) for value in hand.root_m)
            more = "" if distance.complete else " or more"
            error = f"± {distance.error_m * 1e2:.1f} cm{more}" if distance.error_m == distance.error_m else ""
            truth = f"  ·  error {error_mm:.0f} mm" if error_mm is not None and math.isfinite(error_mm) else ""
            moved = length_shift_m(hand)
            size = "" if moved is None else f"  ·  hand size: {signed(moved * 1e3, 0)} mm"
            self._set(f"{distance.meters * 1e2:.1f} cm", error, f"wrist x {x}  y {y}  z {z} cm{size}{truth}")

    def _set(self, figure: str, error: str, details: str) -> None:
        for label, text in ((self.figure, figure), (self.error, error), (self.details, details)):
            if label.text() != text:
                label.setText(text)
        self.setAccessibleName(f"{self.side} palm {figure} {error} {details}")

    def changeEvent(self, event: QEvent | None) -> None:
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._style()
        super().changeEvent(event)

    def _style(self) -> None:
        faint = f"color: {css(tones().faint_ink)};"
        for label in (self.name, self.error, self.details):
            if label.styleSheet() != faint:
                label.setStyleSheet(faint)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tones().raised))
        painter.drawRoundedRect(self.rect(), 8, 8)
        painter.end()


class _Dot(QWidget):
    """The colour that a hand has in the overlay."""

    def __init__(self, side: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._side = side
        self.setFixedSize(11, 11)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(tones().hand(self._side))
        painter.drawEllipse(QPointF(5.5, 5.5), 5, 5)
        painter.end()


def signed(value: float, decimals: int) -> str:
    """A figure that always carries its sign, with a true minus."""
    text = f"{value:+.{decimals}f}"
    return text.replace("-", MINUS)
