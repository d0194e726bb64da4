"""What the threads of the program share. They hold no Qt: they work, leave the newest result and report events.

Every worker lives by one protocol: `start`, `request_stop` (which also wakes it), `join` with a limit. Whatever
its work raises becomes a `WorkerFailed` event, and its clean-up always runs. Only the controller starts and stops them.
"""

from __future__ import annotations

import logging
import queue
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.live.mailbox import Item, Mailbox

log = logging.getLogger(__name__)
WAIT_S = 0.1  # how long a worker waits before it checks again whether it should stop
HANDOVER_S = 5.0  # how long a worker waits for the previous one to release what both need


class Event:
    """Something that a worker reports."""


Report = Callable[[Event], None]


@dataclass(frozen=True)
class WorkerFailed(Event):
    """A worker ended by an exception; `details` is its traceback."""

    worker: Worker
    error: Exception
    details: str


@dataclass(frozen=True)
class ResultReady(Event):
    """A notification: the result box holds something newer. At most one is pending at a time."""

    worker: Worker


@dataclass(frozen=True)
class JobDone(Event):
    """A background job ended well; `result` is what it returned."""

    name: str
    result: Any


@dataclass(frozen=True)
class JobFailed(Event):
    """A background job raised."""

    name: str
    error: Exception
    details: str


class Worker(ABC):
    """One thread with the stop protocol of this module."""

    def __init__(self, name: str, report: Report) -> None:
        self._report = report
        self._stop = threading.Event()
        self._commands: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        # A daemon, since a driver that blocks for ever must not keep the process alive.
        self._thread = threading.Thread(target=self._guarded, name=name, daemon=True)

    @property
    def name(self) -> str:
        """Name of the thread."""
        return self._thread.name

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the worker to end and wake it. Returns at once."""
        self._stop.set()
        self._wake()

    def join(self, limit_s: float) -> bool:
        """Wait for the end; False if the worker still runs after `limit_s`."""
        if self._thread.ident is not None:
            self._thread.join(limit_s)
        return not self._thread.is_alive()

    @property
    def ended(self) -> bool:
        """True once a worker that was started has ended."""
        return self._thread.ident is not None and not self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """True once `request_stop` was called."""
        return self._stop.is_set()

    def _wait_for(self, previous: Worker | None) -> None:
        """Wait until the previous worker has released what both need; one that hangs is not waited for."""
        if previous is not None:
            previous.join(HANDOVER_S)

    def _ask(self, command: Callable[[], object]) -> None:
        """Have it called in the worker's thread, between two frames; called in any thread."""
        self._commands.put(command)

    def _obey(self) -> bool:
        """Call what was asked for, in order; False where it was nothing."""
        any_came = False
        while not self._commands.empty():
            self._commands.get()()
            any_came = True
        return any_came

    def _next_frame(self, frames: Callable[[], Mailbox[Item] | None]) -> Item | None:
        """The newest of diverted frames, or None after a moment without one; `frames` gives None where no source is."""
        box = frames()
        if box is None:
            self._stop.wait(WAIT_S)
            return None
        return box.take(WAIT_S)

    @abstractmethod
    def _run(self) -> None:
        """The work, until `stopping`."""

    def _wake(self) -> None:  # noqa: B027 - most workers look at `stopping` often enough
        """Interrupt whatever the worker waits for."""

    def _clean_up(self) -> None:  # noqa: B027 - most workers hold nothing
        """Release what the worker holds; runs in its own thread."""

    def _guarded(self) -> None:
        try:
            self._run()
        except Exception as error:
            self._fail(error)
        finally:
            try:
                self._clean_up()
            except Exception:
                log.exception("clean-up of %s failed", self.name)

    def _fail(self, error: Exception) -> None:
        if self.stopping:  # a source closed under a read may well raise, which no longer matters
            log.info("%s raised while stopping: %r", self.name, error)
            return
        log.error("%s failed", self.name, exc_info=error)
        self._report(WorkerFailed(self, error, "".join(traceback.format_exception(error))))


class JobWorker(Worker):
    """Does small jobs one after the other, losing none: writing snapshots and meshes, listing webcams."""

    def __init__(self, report: Report) -> None:
        super().__init__("jobs", report)
        self._queue: queue.Queue[tuple[str, Callable[[], Any]] | None] = queue.Queue()

    def submit(self, name: str, job: Callable[[], Any]) -> None:
        """Queue a job; its end is reported as `JobDone` or `JobFailed`."""
        self._queue.put((name, job))

    def _wake(self) -> None:
        self._queue.put(None)

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:  # what was queued before the stop is still done
            name, job = entry
            try:
                self._report(JobDone(name, job()))
            except Exception as error:
                log.warning("job %s failed", name, exc_info=error)
                self._report(JobFailed(name, error, "".join(traceback.format_exception(error))))
