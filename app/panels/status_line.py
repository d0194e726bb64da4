"""The status bar: source, time of the model, model and engine, and streams."""

from __future__ import annotations

from PyQt6.QtWidgets import QLabel, QStatusBar, QWidget

from app.live.frame_result import FrameResult
from app.live.state import ModelPhase, Phase, Status
from app.style.theme import figures_font
from handdgp_core.sources.urls import shown_url


class StatusLine(QStatusBar):
    """Permanent fields, each with a tooltip; texts change only when they differ."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self.source = self._field("Source and resolution", stretch=1)
        self.inference = self._field("Inference time per frame")
        self.model = self._field("Model, and what runs it where")
        self.stream = self._field("Hands are being sent to other programs (File > Stream to other programs…)")

    def _field(self, tooltip: str, stretch: int = 0) -> QLabel:
        label = QLabel(self)
        label.setFont(figures_font(9))
        label.setToolTip(tooltip)
        self.addPermanentWidget(label, stretch)
        return label

    def show_status(self, status: Status, result: FrameResult | None) -> None:
        """Show the figures of this moment."""
        _set(self.source, _source_text(status, result))
        _set(self.inference, _inference_text(result))
        _set(self.model, _model_text(status))

    def show_stream(self, text: str) -> None:
        """Show that hands are being sent; empty where they are not."""
        _set(self.stream, text)


def _inference_text(result: FrameResult | None) -> str:
    if result is None or result.preview:
        return ""
    if result.frames_ago:  # the model skipped this frame while it was recorded
        return f"result from {result.frames_ago} frame{'s' if result.frames_ago > 1 else ''} earlier"
    return f"{result.inference_ms:.0f} ms"


def _source_text(status: Status, result: FrameResult | None) -> str:
    if status.phase is Phase.IDLE:
        return "No source"
    size = result.frame.image.shape[1::-1] if result is not None else status.size
    extent = f" · {size[0]} × {size[1]}" if size else ""
    name = status.source_name or shown_url(status.spec)
    state = "" if status.phase is Phase.RUNNING else f" · {status.phase.value}"
    return f"{name}{extent}{state}"


def _model_text(status: Status) -> str:
    if status.model_phase is ModelPhase.LOADING:
        return "Loading the model…"
    if status.model_phase is ModelPhase.FAILED:
        return "No model"
    return f"Model: {status.model_name}, {status.engine}"


def _set(label: QLabel, text: str) -> None:
    if label.text() != text:
        label.setText(text)
    label.setVisible(bool(text))
