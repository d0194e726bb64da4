"""The status bar: source, rates, what was left out, model and device, and who draws the 3D view."""

from __future__ import annotations

from PyQt6.QtWidgets import QLabel, QStatusBar, QWidget

from app.live.frame_result import FrameResult
from app.live.state import ModelPhase, Phase, Rates, Status
from app.style.theme import figures_font


class StatusLine(QStatusBar):
    """Permanent fields, each with a tooltip; texts change only when they differ."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self.source = self._field("Source and the size of its pictures", stretch=1)
        self.rates = self._field("Frames per second: captured by the source · shown on screen")
        self.inference = self._field("Milliseconds that the estimate of one frame takes")
        self.left_out = self._field("Frames that were never shown, because a newer one was there first")
        self.model = self._field("Model and device")
        self.scene = self._field("Who draws the 3D view")

    def _field(self, tooltip: str, stretch: int = 0) -> QLabel:
        label = QLabel(self)
        label.setFont(figures_font(9))
        label.setToolTip(tooltip)
        self.addPermanentWidget(label, stretch)
        return label

    def show_status(
        self, status: Status, rates: Rates, shown_fps: float, result: FrameResult | None, device: str
    ) -> None:
        """Show the figures of this moment."""
        _set(self.source, _source_text(status, result))
        running = status.phase is Phase.RUNNING
        _set(self.rates, f"{rates.captured_fps:.0f} captured · {shown_fps:.0f} shown fps" if running else "")
        _set(self.inference, _inference_text(result))
        _set(self.left_out, f"{rates.left_out} left out" if rates.left_out else "")
        _set(self.model, _model_text(status, device))

    def show_scene(self, text: str) -> None:
        """Show who draws the 3D view."""
        _set(self.scene, text)


def _inference_text(result: FrameResult | None) -> str:
    if result is None or result.preview:
        return ""
    if result.frames_ago:  # the model left this frame out while it was recorded
        return f"result of {result.frames_ago} frame{'s' if result.frames_ago > 1 else ''} earlier"
    return f"{result.inference_ms:.0f} ms"


def _source_text(status: Status, result: FrameResult | None) -> str:
    if status.phase is Phase.IDLE:
        return "No source"
    size = result.frame.image.shape[1::-1] if result is not None else status.size
    extent = f" · {size[0]} × {size[1]}" if size else ""
    name = status.source_name or status.spec
    state = "" if status.phase is Phase.RUNNING else f" · {status.phase.value}"
    return f"{name}{extent}{state}"


def _model_text(status: Status, device: str) -> str:
    if status.model_phase is ModelPhase.LOADING:
        return "loading the model…"
    return "no model" if status.model_phase is ModelPhase.FAILED else f"{status.model_name} on {device}"


def _set(label: QLabel, text: str) -> None:
    if label.text() != text:
        label.setText(text)
    label.setVisible(bool(text))
