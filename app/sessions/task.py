"""One long piece of work on a recording, in a thread of its own: its progress, its cancelling, its outcome. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from app.live.workers import Worker
from app.notices import Notice, notice_of_error

__all__ = ["Job", "TaskProgress", "TaskWorker"]

Job = Callable[[Callable[[float], None], Event], Notice]
TELL_EVERY = 0.005  # a share that is told is a signal to the window: more of them nobody sees


@dataclass(frozen=True)
class TaskProgress:
    """How a task goes.

    Attributes:
        worker: whose.
        share: that is done, 0 to 1.
        outcome: what to tell the user at the end, which may be an error; None until then.
    """

    worker: TaskWorker
    share: float
    outcome: Notice | None = None


class TaskWorker(Worker):
    """Runs one job; `request_stop` cancels it.

    Args:
        title: what is being done, for the user.
        job: gets a function that takes the share that is done, and an event that is set to cancel; returns what to
            tell the user.
        report_progress: called in this thread.
    """

    def __init__(self, title: str, job: Job, report_progress: Callable[[TaskProgress], None]) -> None:
        super().__init__("task", lambda event: None)
        self.title, self._job, self._tell = title, job, report_progress
        self._told = 0.0

    def _run(self) -> None:
        try:
            outcome = self._job(self._progress, self._stop)
        except Exception as error:  # shown to the user by the receiver
            outcome = notice_of_error(error, topic="task")
        self._tell(TaskProgress(self, 1.0, outcome))

    def _progress(self, share: float) -> None:
        if share - self._told >= TELL_EVERY:
            self._told = share
            self._tell(TaskProgress(self, share))
