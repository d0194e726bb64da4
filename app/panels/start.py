"""The first steps: camera, calibration, hand size. What was done once stays ticked."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.panels.scroll_area import fill_scrolling
from app.settings import Settings
from app.style.icons import icon
from app.style.theme import css, figures_font, tones

__all__ = ["StartPanel"]


class StartPanel(QWidget):
    """Three steps with a tick and a button each.

    Signals:
        find_cameras(), calibrate(), measure_hand(): the user wants that step.
    """

    find_cameras = pyqtSignal()
    calibrate = pyqtSignal()
    measure_hand = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.head = QLabel(self)
        self.head.setWordWrap(True)
        self.steps = {
            "had_camera": _Step(
                "1. Camera", "Connect a webcam and choose it at the top left. The demo needs none.", "Find cameras",
                self,
            ),
            "had_calibration": _Step(
                "2. Calibration",
                "Hold a printed board in front of the camera for two minutes. Without it the field of view is assumed, "
                "and distances may be off by a third.",
                "Calibrate…", self,
            ),
            "had_hand": _Step(
                "3. Hand size",
                "Measure your hand once, on the board, on a sheet of paper or with a ruler. Without it an average "
                "adult is assumed.",
                "Measure hand…", self,
            ),
        }  # fmt: skip
        for step, signal in zip(
            self.steps.values(), (self.find_cameras, self.calibrate, self.measure_hand), strict=True
        ):
            step.button.clicked.connect(signal)
        content = QWidget(self)
        column = QVBoxLayout(content)
        column.setContentsMargins(12, 6, 12, 12)
        column.setSpacing(12)
        column.addWidget(self.head)
        for step in self.steps.values():
            column.addWidget(step)
        column.addStretch(1)
        fill_scrolling(self, content)

    def show_settings(self, settings: Settings) -> None:
        """Tick what was done."""
        done = [step.show_done(getattr(settings, name)) for name, step in self.steps.items()]
        left = done.count(False)
        self.head.setText(
            "All three steps are done: every distance shows how far it can be trusted. Open other panels with the "
            "icons at the right."
            if not left
            else "Three steps make distances metric: do them in this order, each once."
        )

    def changeEvent(self, event: QEvent | None) -> None:
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            for step in self.steps.values():
                step.style_tick()
        super().changeEvent(event)


class _Step(QFrame):
    """One step."""

    def __init__(self, title: str, text: str, verb: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._done: bool | None = None
        self.tick = QLabel(self)
        self.title = QLabel(title, self)
        self.title.setFont(figures_font(11, bold=True))
        about = QLabel(text, self)
        about.setWordWrap(True)
        self.button = QPushButton(verb, self)
        head, foot = QHBoxLayout(), QHBoxLayout()
        head.addWidget(self.tick)
        head.addWidget(self.title, 1)
        foot.addWidget(self.button)
        foot.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 12)
        column.addLayout(head)
        column.addWidget(about)
        column.addLayout(foot)

    def show_done(self, done: bool) -> bool:
        """Tick it, or not; returns it."""
        if done != self._done:
            self._done = done
            self.title.setAccessibleDescription("done" if done else "to do")
            self.style_tick()
        return done

    def style_tick(self) -> None:
        """In the colours of the theme."""
        colours = tones()
        self.tick.setPixmap(icon("tick" if self._done else "todo").pixmap(22, 22))
        self.tick.setAccessibleName("Done" if self._done else "To do")
        edge = colours.good if self._done else colours.line
        self.setObjectName("step")
        self.setStyleSheet(f"#step {{ border: 1px solid {css(edge)}; border-radius: 8px; }}")
