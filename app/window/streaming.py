"""Streams from the window: a switch, a list of destinations, and a light that says whether hands are being sent."""

from __future__ import annotations

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.live.controller import Controller
from app.live.frame_result import FrameResult
from app.live.settings_store import SettingsStore
from app.notices import notice_of_error
from app.settings import describe
from app.streams.content import StreamFacts
from app.streams.live_stream import LiveStream
from app.streams.sinks import SCHEMES, parse_uri
from handdgp_core.errors import HandDGPError
from handdgp_core.privacy import public_name

__all__ = ["StreamDialog", "Streaming"]

POLL_MS = 500
TOPIC = "stream"


class Streaming(QObject):
    """At most one stream at a time, off until the user starts one; goes on over changes of source and model.

    Signals:
        changed(): started, ended, or a destination's state is another.
        notice(Notice): for the window.
    """

    changed = pyqtSignal()
    notice = pyqtSignal(object)

    def __init__(self, controller: Controller, settings: SettingsStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller, self._settings = controller, settings
        self._stream: LiveStream | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self.changed)

    @property
    def active(self) -> bool:
        """Whether hands are being sent."""
        return self._stream is not None

    @property
    def light(self) -> str:
        """For the status bar: empty where nothing is sent."""
        if self._stream is None:
            return ""
        sinks = self._stream.sinks
        failing = sum(sink.problem is not None for sink in sinks)
        return f"Streaming: {len(sinks) - failing} of {len(sinks)}" if failing else f"Streaming to {len(sinks)}"

    def report(self) -> list[str]:
        """A line for every destination."""
        return [] if self._stream is None else [sink.report for sink in self._stream.sinks]

    def start(self, uris: list[str], rate_hz: float) -> bool:
        """Begin to send; a notice, and False, where a destination cannot be used."""
        self.stop()
        try:
            self._stream = LiveStream(uris, rate_hz)
        except HandDGPError as error:
            self.notice.emit(notice_of_error(error, topic=TOPIC))
            return False
        self._controller.tap(self, on_result=self._on_result)
        self._timer.start()
        self.changed.emit()
        return True

    def stop(self) -> None:
        """Send nothing any more."""
        self._timer.stop()
        self._controller.untap(self)
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
            self.changed.emit()

    def _on_result(self, result: FrameResult, model_name: str) -> None:
        """Called in the model's thread."""
        stream, status, options = self._stream, self._controller.status, self._controller.options
        if stream is not None:
            length_mm = None if options.hand_length_m is None else options.hand_length_m * 1e3
            stream.on_result(
                result, StreamFacts(status.source_name, public_name(model_name), length_mm), status.is_live
            )


class StreamDialog(QDialog):
    """Destinations, how often, and the switch. The stream goes on when the dialog is closed."""

    def __init__(self, streaming: Streaming, settings: SettingsStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Stream to other programs")
        self.setMinimumWidth(520)
        self._streaming, self._settings = streaming, settings
        self.to = QPlainTextEdit(settings.current.stream_to or "ws://127.0.0.1", self)
        self.to.setAccessibleName("Destinations")
        self.to.setPlaceholderText("One URI a line, e.g. ws://127.0.0.1")
        self.to.setFixedHeight(80)
        self.rate = QDoubleSpinBox(self)
        rate = describe("stream_rate_hz")
        self.rate.setRange(rate["low"], rate["high"])
        self.rate.setDecimals(1)
        self.rate.setSuffix(f" {rate['unit']}")
        self.rate.setSpecialValueText("every frame")
        self.rate.setToolTip(rate["description"])
        self.rate.setValue(settings.current.stream_rate_hz)
        self.switch = QPushButton(self)
        self.switch.clicked.connect(self._toggle)
        self.state = QLabel(self)
        self.state.setWordWrap(True)
        self.state.setTextFormat(Qt.TextFormat.PlainText)
        self._compose()
        self.to.textChanged.connect(self._show)
        streaming.changed.connect(self._show)
        self._show()

    def _compose(self) -> None:
        schemes = "\n".join(f"{name}://   {scheme.about}" for name, scheme in SCHEMES.items())
        help_text = QLabel(f"{schemes}\n\nWithout a host it is this computer. Nothing is sent until you start.", self)
        help_text.setTextFormat(Qt.TextFormat.PlainText)
        form = QFormLayout()
        form.addRow("Send to", self.to)
        form.addRow("", help_text)
        form.addRow("At most", self.rate)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.addButton(self.switch, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.state)
        layout.addWidget(buttons)

    def _uris(self) -> list[str]:
        return [line.strip() for line in self.to.toPlainText().splitlines() if line.strip()]

    def _toggle(self) -> None:
        if self._streaming.active:
            self._streaming.stop()
            return
        self._settings.change(stream_to="\n".join(self._uris()), stream_rate_hz=self.rate.value())
        self._streaming.start(self._uris(), self.rate.value())

    def _show(self) -> None:
        active = self._streaming.active
        self.switch.setText("Stop" if active else "Start")
        self.to.setEnabled(not active)
        self.rate.setEnabled(not active)
        lines = self._streaming.report() if active else self._warnings()
        self.switch.setEnabled(active or (bool(self._uris()) and not self._mistake()))
        self.state.setText("\n".join(lines))

    def _mistake(self) -> str:
        for uri in self._uris():
            try:
                parse_uri(uri)
            except HandDGPError as error:
                return str(error)
        return ""

    def _warnings(self) -> list[str]:
        """What is wrong with the destinations, or which of them leave this computer."""
        mistake = self._mistake()
        if mistake:
            return [mistake]
        return [warning for uri in self._uris() if (warning := parse_uri(uri).warning) is not None]
