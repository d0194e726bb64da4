"""The capture worker alone: which frames a recorder gets while the source is paused and stepped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.live import memory
from app.live.capture_worker import CaptureWorker, SourceOpened
from app.live.workers import Event, WorkerFailed
from handdgp_core.types import Frame
from tests.app.doubles import ScriptedSource
from tests.patience import WAIT_S


class CuedSource(ScriptedSource):
    """A live source that does something before it gives certain frames, in the thread of whoever reads it."""

    def __init__(self, count: int, cues: dict[int, Callable[[], None]]) -> None:
        super().__init__(count=count, period_s=0.0, live=True)
        self._cues = cues

    def read(self, timeout_s: float = 0.5) -> Frame | None:
        self._cues.get(self._index, lambda: None)()
        return super().read(timeout_s)


def test_a_recorder_gets_no_frame_of_a_paused_live_source_but_those_stepped_to() -> None:
    cues: dict[int, Callable[[], None]] = {}
    source = CuedSource(12, cues)
    failures: list[WorkerFailed] = []

    def report(event: Event) -> None:
        if isinstance(event, SourceOpened):
            event.worker.begin()
        elif isinstance(event, WorkerFailed):
            failures.append(event)

    worker = CaptureWorker(lambda: source, report)
    recorded: list[int] = []
    worker.on_frame = (lambda frame: recorded.append(frame.index),)
    cues.update({3: worker.pause, 6: worker.step, 9: worker.resume})
    worker.start()
    assert worker.join(WAIT_S) and not failures
    assert recorded == [0, 1, 2, 6, 9, 10, 11]
    assert worker.captured == len(recorded)


def test_memory_is_given_back_once_a_source_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    source = ScriptedSource(count=3, period_s=0.0)
    closed: list[bool] = []
    monkeypatch.setattr(memory, "give_back", lambda: closed.append(source.closes == 1))
    worker = CaptureWorker(
        lambda: source, lambda event: event.worker.begin() if isinstance(event, SourceOpened) else None
    )
    worker.start()
    assert worker.join(WAIT_S) and closed == [True]


def test_giving_memory_back_does_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    memory.give_back()
    monkeypatch.setattr(memory.sys, "platform", "win32")
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    memory.give_back()
