"""Qt without a screen, settings of its own for each test, and no thread, timer or window left behind."""

from __future__ import annotations

import gc
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication, QWidget

from app import logs, settings
from app.live import source as live_source
from app.live.controller import Controller
from app.live.settings_store import SettingsStore
from app.panels.scene import NoViewport
from app.sessions.playback import Playback
from app.sessions.record_control import RecordControl
from app.settings import Settings
from app.window import main_window
from app.window.main_window import MainWindow
from calib import profiles
from handdgp_core.sources.protocol import Source
from tests.app.doubles import ScriptedEstimator, ScriptedSource
from tests.patience import WAIT_MS, WAIT_S


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the settings, logs or files of whoever runs it."""
    monkeypatch.setenv(settings.ENVIRONMENT_VARIABLE, str(tmp_path / "settings.json"))
    monkeypatch.setenv(logs.ENVIRONMENT_VARIABLE, str(tmp_path / "logs"))
    monkeypatch.setenv(profiles.ENVIRONMENT_VARIABLE, str(tmp_path / "cameras"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test that leaves a thread, an active timer or a window, and names where the thread was started."""
    begun: dict[int, str] = {}
    start = threading.Thread.start

    def noted_start(thread: threading.Thread) -> None:
        begun[id(thread)] = "".join(traceback.format_stack(limit=6)[:-1])
        start(thread)

    gc.freeze()  # what is there already is not looked through again below: that takes half a second a test
    monkeypatch.setattr(threading.Thread, "start", noted_start)
    before = set(threading.enumerate())
    old_windows = {id(widget) for widget in _windows()}
    yield
    monkeypatch.undo()
    _let_qt_finish()
    _wait_for(lambda: set(threading.enumerate()) <= before)
    left = [
        f"thread {thread.name}, started at\n{begun.get(id(thread), '(unknown)')}"
        for thread in set(threading.enumerate()) - before
    ]
    left += [f"timer of {timer.parent()}" for timer in _active_timers()]
    left += [f"window {widget} {widget.windowTitle()}" for widget in _windows() if id(widget) not in old_windows]
    assert not left, "left behind:\n" + "\n".join(left)


def _windows() -> list[QWidget]:
    return QApplication.topLevelWidgets() if QApplication.instance() is not None else []


def _active_timers() -> list[QTimer]:
    return [item for item in gc.get_objects() if issubclass(type(item), QTimer) and _is_active(item)]


def _is_active(timer: QTimer) -> bool:
    try:
        return timer.isActive()
    except RuntimeError:  # its C++ half is gone
        return False


def _let_qt_finish() -> None:
    application = QApplication.instance()
    if application is None:
        return
    for _ in range(3):
        application.sendPostedEvents(None, 0)
        application.sendPostedEvents(None, 52)  # QEvent.Type.DeferredDelete
        application.processEvents()
    gc.collect()


def _wait_for(condition: Callable[[], bool], limit_s: float = WAIT_S) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(0.005)


class Rig:
    """A controller, and on demand a window, on scripted parts.

    Attributes:
        sources: what `open_source` gives for each spec: a source, or an exception to raise.
        estimator: what is loaded; an exception to raise instead.
        opened: the specs that were opened, in order.
    """

    def __init__(self, qtbot, tmp_path: Path) -> None:
        self._qtbot = qtbot
        self.path = tmp_path / "settings.json"
        out = str(tmp_path / "out")
        self.store = SettingsStore(Settings(export_folder=out, snapshot_folder=out, panel="weights"))
        self.sources: dict[str, Callable[[], Source] | Exception] = {"live": ScriptedSource}
        self.estimator: ScriptedEstimator | Exception = ScriptedEstimator()
        self.opened: list[str] = []
        self.loads = 0
        self.notices: list[main_window.Notice] = []
        self.controller = Controller(self.store, open_source=self._open, make_estimator=self._load)
        self.record = RecordControl(self.controller, self.store)
        self.playback = Playback(self.controller, self.store)
        self.controller.notice.connect(self.notices.append)
        self.window: MainWindow | None = None

    @property
    def settings(self) -> Settings:
        """In use at the moment; `store` changes them."""
        return self.store.current

    def _open(self, spec: str, settings: Settings) -> Source:
        self.opened.append(spec)
        made = self.sources[spec]
        if isinstance(made, Exception):
            raise made
        source = made()
        holds = hasattr(source, "session")  # as `open_live_source` does
        return live_source.PacedSource(source, hold_at_end=holds) if source.is_seekable else source

    def _load(self, settings: Settings) -> ScriptedEstimator:
        self.loads += 1
        if isinstance(self.estimator, Exception):
            raise self.estimator
        return self.estimator

    def show(self) -> MainWindow:
        """Make and show the window."""
        self.window = MainWindow(
            self.controller,
            self.record,
            self.playback,
            self.store,
            viewport=NoViewport(),
            settings_path=self.path,
            model_names=lambda: ("landmarks", "other"),
        )
        self._qtbot.addWidget(self.window)
        self.window.show()
        return self.window

    def start(self, spec: str | None = "live") -> None:
        """Start the controller."""
        self.controller.start(spec)

    def until(self, condition: Callable[[], bool], limit_ms: int = WAIT_MS) -> None:
        """Let Qt run until the condition holds; fails after `limit_ms`."""
        self._qtbot.waitUntil(condition, timeout=limit_ms)

    def next_result(self):
        """Wait for a result (only where no window takes them) and return it."""
        found = []

        def there() -> bool:
            taken = self.controller.take_result()
            found.extend([taken] if taken is not None else [])
            return bool(found)

        self.until(there)
        return found[-1]


@pytest.fixture
def rig(qtbot, tmp_path: Path) -> Iterator[Rig]:
    """See `Rig`; everything is stopped at the end."""
    made = Rig(qtbot, tmp_path)
    yield made
    if made.window is not None:
        made.window.close()
        made.window = None  # pytest holds on to the rig until after the check for leaks
    made.controller.shutdown()
