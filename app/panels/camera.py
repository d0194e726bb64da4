"""The camera picture with its badges, and the distance of each hand on a plate beside that hand."""

from __future__ import annotations

import math
import time

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSizeF, Qt
from PyQt6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from app.live.frame_result import FrameResult
from app.live.readout import palm_distance
from app.live.state import ModelPhase, Phase, Status
from app.live.trust import CalibrationInUse, camera_trust
from app.notices import NO_RESULT_HINT, NO_RESULT_TITLE
from app.panels.badges import Badge, TrustBadge
from app.panels.hand_chip import HandChip, chip_place
from app.panels.picture import PictureView
from handdgp_core.sources.urls import shown_url
from handdgp_core.types import Hand

FIGURES_EVERY_S = 0.12  # figures that change faster cannot be read
NO_HAND_AFTER_S = 0.7


class CameraPanel(QWidget):
    """Picture, badges, states and read-out. It is told of results and of the status, and asks for nothing."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = PictureView(self)
        self.view.setAccessibleName("Camera picture")
        self.badge, self.hand_badge = TrustBadge(self.view), TrustBadge(self.view)
        self.demo_badge = Badge(self.view)
        self.fps_badge = Badge(self.view)
        self.fps_badge.set_text("", "Frames shown per second")
        self.readouts = {"left": HandChip("left", self.view), "right": HandChip("right", self.view)}
        self._status = Status()
        self._last_hand_s = 0.0
        self._figures_s = 0.0
        self._sides: set[str] = set()
        self._more = self._unrecorded = False
        for chip in self.readouts.values():
            chip.clicked.connect(self._toggle_more)
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
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.view, 1)

    def show_result(self, result: FrameResult, calibration: CalibrationInUse | None = None) -> None:
        """Show a new picture and, not too often, new figures."""
        self.view.set_picture(result.picture)
        now_s = time.monotonic()
        if result.hands:
            self._last_hand_s = now_s
        self._unrecorded = result.unrecorded
        self._show_message(now_s, preview=result.preview)
        sides: set[str] = {hand.handedness for hand in result.hands}  # figures of a hand that has left go at once
        due = now_s - self._figures_s >= FIGURES_EVERY_S or sides != self._sides
        if due or self._status.phase is not Phase.RUNNING:
            self._figures_s, self._sides = now_s, sides
            self._show_figures(result)
            self.badge.show_trust(camera_trust(result, calibration))
        self._place_chips(result)

    def show_status(self, status: Status) -> None:
        """Show what the source and the model are doing."""
        if status.phase is Phase.OPENING and self._status.phase is not Phase.OPENING:
            self.view.clear()
            for readout in self.readouts.values():
                readout.show_hand(None, None, None)
            self.badge.set_text("")
            self._unrecorded = False
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
        elif self._unrecorded and self._status.phase in (Phase.RUNNING, Phase.PAUSED):
            title, hint = NO_RESULT_TITLE, NO_RESULT_HINT
        elif not title and running and now_s - self._last_hand_s > NO_HAND_AFTER_S:
            title, hint = (
                "No hand detected",
                "Hold your hand 20–80 cm from the camera, with all fingers in the picture.",
            )
        self.view.set_message(title, hint, dim=dim)

    def _show_figures(self, result: FrameResult) -> None:
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

    def _place_chips(self, result: FrameResult) -> None:
        """Each plate goes with its hand, clear of the other hand, the other plate and the badges."""
        view, area = QRectF(self.view.rect()), self.view.image_rect()
        boxes = {hand.handedness: _seen_box(hand, result, area) for hand in result.hands}
        badges = [self.badge, self.hand_badge, self.demo_badge, self.fps_badge]
        taken = [QRectF(badge.geometry()) for badge in badges if badge.isVisible()]
        for side, chip in self.readouts.items():
            if side not in boxes or chip.isHidden():
                continue
            chip.adjustSize()
            others = [box for other, box in boxes.items() if other != side]
            size = QSizeF(chip.size())
            chip.place, corner = chip_place(boxes[side], size, view, [*taken, *others], chip.place)
            chip.move(corner.toPoint())
            taken.append(QRectF(corner, size))

    def _toggle_more(self) -> None:
        self._more = not self._more
        for chip in self.readouts.values():
            chip.show_more(self._more)


def _seen_box(hand: Hand, result: FrameResult, area: QRectF) -> QRectF:
    """Around the keypoints of a hand, where the view shows it."""
    height, width = result.frame.image.shape[:2]
    shares = (np.nan_to_num(hand.keypoints_px) + 0.5) / (width, height)
    (left, top), (right, bottom) = shares.min(axis=0), shares.max(axis=0)
    if result.mirrored:
        left, right = 1.0 - right, 1.0 - left
    corner = QPointF(area.left() + left * area.width(), area.top() + top * area.height())
    return QRectF(corner, QSizeF((right - left) * area.width(), (bottom - top) * area.height()))


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
