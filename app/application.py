"""The program with a window: Qt, logging, uncaught errors, Ctrl-C, and an orderly end."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import cv2
from PyQt6.QtCore import QEvent, QObject, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QPainter, QPixmap
from PyQt6.QtWidgets import QApplication, QSplashScreen, QWidget

from app import logs
from app.environment import PROGRAM
from app.live.controller import Controller
from app.live.frame_result import Estimator
from app.live.settings_store import SettingsStore
from app.live.source import open_live_source
from app.notices import Notice, Severity, notice_of_error
from app.sessions.playback import Playback
from app.sessions.record_control import RecordControl
from app.sessions.session_tap import model_hash
from app.settings import TYPED_PERCENT, Settings, load_settings
from app.style.icons import program_icon
from app.style.theme import DARK, apply_theme, figures_font
from app.window.main_window import MainWindow
from handdgp_core.files import expanded
from handdgp_core.sources import Source

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveOptions:
    """What the command line asks for; None leaves a choice to the saved settings.

    Attributes:
        source: as for `open_source`; None for the first webcam, or the demo where there is none.
        calibration_path: a calibration file.
        model, device, engine: as for `HandEstimator.from_weights`.
        hand_length_mm: the user's own hand.
        hand_length_percent: two standard deviations of that.
        settings_path: where settings are kept; None for the user's own place.
        viewport: False for a window without the 3D view.
        loop: play files again and again.
        only_here: the hand length is for running the recording `source` again; the user's own stays as it is.
    """

    source: str | None = None
    calibration_path: Path | None = None
    model: str | None = None
    device: str | None = None
    engine: str | None = None
    hand_length_mm: float | None = None
    hand_length_percent: float = TYPED_PERCENT
    settings_path: Path | None = None
    viewport: bool = True
    loop: bool = False
    only_here: bool = False


class LiveSession:
    """One run of the window, from the application object to the end of the last thread.

    Args:
        options: see there.
        make_estimator: loads the model; by default `HandEstimator.from_weights`.
        application: one that exists already (tests, benchmarks), or None.
    """

    def __init__(
        self,
        options: LiveOptions,
        *,
        make_estimator: Callable[[Settings], Estimator] | None = None,
        application: QApplication | None = None,
    ) -> None:
        self.options = options
        self.log_folder = logs.log_folder()
        self._log_handler = logs.start_logging(self.log_folder)
        self.application = application or make_application()
        remembered, self._warnings = load_settings(options.settings_path)
        self.settings = SettingsStore(remembered.changed(**_asked_for(options)), remembered)
        apply_theme(self.application, self.settings.current.theme)
        self.controller = Controller(
            self.settings, open_source=self._open, make_estimator=make_estimator or load_estimator
        )
        self.record = RecordControl(self.controller, self.settings)
        self.playback = Playback(self.controller, self.settings, _hand(options) if options.only_here else {})
        self.window = MainWindow(
            self.controller,
            self.record,
            self.playback,
            self.settings,
            viewport=_viewport(options.viewport),
            settings_path=options.settings_path,
            model_names=model_names,
            log_folder=self.log_folder if self._log_handler else None,
        )
        self._hooks = _Hooks(self.window, self.log_folder / "handdgp.log")

    def start(self) -> None:
        """Show the window and begin."""
        self._hooks.install()
        hints = self.application.styleHints()
        if hints is not None:
            hints.colorSchemeChanged.connect(lambda: apply_theme(self.application, self.settings.current.theme))
        self.window.show()
        self.controller.start(self.options.source)
        if self.options.source is None:
            self.window.open_any_source()
        else:
            self.window.find_webcams()
        self.window.sessions.find_unfinished()
        for warning in self._warnings:
            self.window.notices.add(Notice(Severity.WARNING, warning, topic="settings"))

    def finish(self) -> None:
        """After the event loop: leave nothing behind, and end the process where a driver holds a thread."""
        self.window.close()
        self._hooks.remove()
        self.window.deleteLater()
        self.application.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        stuck = self.window.stuck_threads
        if stuck:
            log.warning("ending the process over the threads that would not end: %s", ", ".join(stuck))
        logs.stop_logging(self._log_handler)
        if stuck:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    def _open(self, spec: str, settings: Settings) -> Source:
        return open_live_source(spec, settings, self.options.loop)


def run_live(options: LiveOptions) -> int:
    """Show the window until it is closed.

    Returns:
        exit code: 0 after an orderly end.
    """
    multiprocessing.freeze_support()
    application = make_application()
    splash = show_splash()
    session = LiveSession(options, application=application)
    session.start()
    splash.finish(session.window)
    code = session.application.exec()
    session.finish()
    return code


def make_application() -> QApplication:
    """The one QApplication. OpenCV's wheel points Qt at its own, older plug-ins; that is undone first."""
    home = str(Path(cv2.__file__).parent)
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
        if os.environ.get(name, "").startswith(home):
            del os.environ[name]
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    application = QApplication(sys.argv[:1])
    application.setApplicationName(PROGRAM)
    application.setApplicationDisplayName("HandDGP Live")
    application.setWindowIcon(program_icon())
    return application


def show_splash() -> QSplashScreen:
    """The program's icon and name while the window is made."""
    picture = QPixmap(360, 200)
    picture.fill(DARK.window)
    painter = QPainter(picture)
    painter.drawPixmap(28, 52, program_icon().pixmap(96, 96))
    painter.setPen(DARK.ink)
    painter.setFont(figures_font(19, bold=True))
    painter.drawText(148, 98, "HandDGP Live")
    painter.setPen(DARK.faint_ink)
    painter.setFont(figures_font(10))
    painter.drawText(148, 124, "Starting…")
    painter.end()
    splash = QSplashScreen(picture)
    splash.show()
    QApplication.processEvents()
    return splash


def load_estimator(settings: Settings) -> Estimator:
    """The estimator for these settings. Imported here, in the thread that uses it: loading PyTorch takes seconds.

    Raises:
        HandDGPError: as `HandEstimator.from_weights`.
    """
    from handdgp_core.estimation.estimator import HandEstimator
    from handdgp_core.estimation.models import limit_threads

    limit_threads(settings.model)
    model_hash(settings.model)  # so that a recording need not wait for it
    return HandEstimator.from_weights(
        settings.model, settings.device, max_hands=settings.max_hands, engine=settings.engine, wait=False
    )


def model_names() -> tuple[str, ...]:
    """Names that `--model` accepts; to be asked after `load_estimator`, which has paid for the import."""
    from handdgp_core.estimation.models import MODEL_NAMES

    return tuple(MODEL_NAMES)


def _asked_for(options: LiveOptions) -> dict[str, Any]:
    """Settings given on the command line: they replace the saved ones, and are saved."""
    path = options.calibration_path
    asked = {
        "calibration_path": None if path is None else str(expanded(path).absolute()),
        "calibration_camera": None if path is None else "",  # that of the source that is opened first
        "model": options.model,
        "device": options.device,
        "engine": options.engine,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return given if options.only_here or options.hand_length_mm is None else {**given, **_hand(options), "person": ""}


def _hand(options: LiveOptions) -> dict[str, Any]:
    """The hand length that was given, as settings."""
    if options.hand_length_mm is None:
        return {}
    return {
        "hand_length_enabled": True,
        "hand_length_mm": options.hand_length_mm,
        "hand_length_percent": options.hand_length_percent,
    }


def _viewport(enabled: bool) -> QWidget:
    if enabled:
        from app.viewport.widget import ViewportWidget

        return ViewportWidget()
    from app.panels.scene import NoViewport

    return NoViewport()


# One that the caller ignores (nohup) stays so; Windows has no SIGHUP.
_ENDING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class _Hooks(QObject):
    """Uncaught errors become a notification and a line in the log; what ends a program closes the window."""

    _caught = pyqtSignal(object)

    def __init__(self, window: MainWindow, log_path: Path) -> None:
        super().__init__()
        self._window = window
        self._log_path = log_path
        self._old: tuple[Any, Any, Any] | None = None
        self._signals: dict[int, Any] = {}
        self._caught.connect(self._show)

    def install(self) -> None:
        """Begin to catch."""
        handlers = {number: signal.getsignal(number) for number in _ENDING_SIGNALS}
        self._signals = {number: old for number, old in handlers.items() if old is not signal.SIG_IGN}
        self._old = (sys.excepthook, threading.excepthook, self._signals)
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread_exception
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                signal.signal(number, self._on_interrupt)

    def remove(self) -> None:
        """Put back what was there."""
        if self._old is not None:
            sys.excepthook, threading.excepthook, handlers = self._old
            if threading.current_thread() is threading.main_thread():
                for number, handler in handlers.items():
                    signal.signal(number, handler)
            self._old = None

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._close_soon()
            return
        details = "".join(traceback.format_exception(kind, error, trace))
        log.error("uncaught:\n%s", details)
        self._caught.emit((error, details))

    def _on_thread_exception(self, hook: threading.ExceptHookArgs) -> None:
        if hook.exc_value is not None:
            self._on_exception(hook.exc_type, hook.exc_value, hook.exc_traceback)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        self._close_soon()

    def _close_soon(self) -> None:
        """From the event loop: Python calls signal handlers anywhere, also while a widget of the window is painted."""
        QTimer.singleShot(0, self._window.close)

    def _show(self, caught: tuple[Exception, str]) -> None:
        error, details = caught
        self._window.notices.add(notice_of_error(error, details=details, topic="uncaught", log_path=self._log_path))
