"""Models side by side in the window: they run while their panel can be seen, and cost nothing else."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, pyqtSignal

from app.live.beside_worker import BesideShown, BesideWorker
from app.live.controller import Controller
from app.live.frame_result import FrameResult
from app.live.settings_store import SettingsStore
from app.live.workers import Event, WorkerFailed
from app.panels.beside import BesidePanel

__all__ = ["SideBySide"]


class SideBySide(QObject):
    """Starts and stops the worker of the panel.

    Args:
        controller, settings: the window's.
        panel: says which models; is told what they found.
        last: what is on screen, which a source that stands still does not give again.
    """

    _told = pyqtSignal(object)

    def __init__(
        self,
        controller: Controller,
        settings: SettingsStore,
        panel: BesidePanel,
        last: Callable[[], FrameResult | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller, self._settings, self._panel = controller, settings, panel
        self._last = last
        self._worker: BesideWorker | None = None
        self._running: tuple[tuple[str, ...], str] = ((), "")
        self._told.connect(self._on_event)
        panel.changed.connect(self._follow)
        panel.width_changed.connect(self._set_width)
        panel.inputs_changed.connect(self._show_inputs)
        settings.changed.connect(self._follow)
        controller.source_opened.connect(lambda source: self._reset())

    @property
    def active(self) -> bool:
        """Whether other models run."""
        return self._worker is not None

    def stop(self) -> None:
        """Let go of the models."""
        if self._worker is not None:
            self._controller.untap(self)
            self._controller.dismiss(self._worker)
            self._worker = None
        self._running = ((), "")

    def _follow(self) -> None:
        """What the panel and the settings ask for; only a change of it starts anything again."""
        wanted = self._panel.models, self._settings.current.device
        if wanted[0] == () == self._running[0] or wanted == self._running:
            return
        self.stop()
        self._panel.show_note("")
        models, _ = self._running = wanted
        if not models:
            return
        settings, controller = self._settings.current, self._controller
        worker = self._worker = BesideWorker(
            models,
            # "auto": a model that the engine of the settings does not run may stand beside one that it does.
            lambda model: controller.make_estimator(settings.model_copy(update={"model": model, "engine": "auto"})),
            lambda: controller.options,
            self._report,
        )
        worker.width_px, worker.shows_inputs = self._panel.width_px, self._panel.inputs.isChecked()
        self._panel.show_note(f"Loading {', '.join(models)}…")
        last = self._last()
        if last is not None:
            worker.offer(last, controller.status.model_name)
        controller.tap(self, on_result=worker.offer)
        controller.adopt(worker)

    def _set_width(self, pixels: int) -> None:
        if self._worker is not None:
            self._worker.width_px = pixels

    def _show_inputs(self, on: bool) -> None:
        if self._worker is not None:
            self._worker.shows_inputs = on
            last = self._last()
            if last is not None:
                self._worker.offer(last, self._controller.status.model_name)

    def _reset(self) -> None:
        if self._worker is not None:
            self._worker.reset()

    def _report(self, event: Event) -> None:
        """Called in the worker's thread."""
        try:
            self._told.emit(event)
        except RuntimeError:  # the window is gone
            return

    def _on_event(self, event: Event) -> None:
        if isinstance(event, BesideShown) and event.worker is self._worker:
            self._panel.show_models(event)
        elif isinstance(event, WorkerFailed) and event.worker is self._worker:
            self._controller.untap(self)
            self._worker = None  # `_running` stays: the same models are not tried again by themselves
            self._panel.show_note("These models could not be run.")
            self._controller.tell(event.error)
