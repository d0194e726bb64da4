"""The thread that opens a source while another one is still running, which goes on if this one cannot be opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.live.workers import Event, Report, Worker
from handdgp_core.sources.protocol import Source

__all__ = ["OpeningWorker", "SourceFound"]


@dataclass(frozen=True)
class SourceFound(Event):
    """The worker has opened its source."""

    worker: OpeningWorker


class OpeningWorker(Worker):
    """Opens a source. It closes it, too, unless somebody has taken it.

    Args:
        spec: what is opened.
        opener: opens it; runs in the worker's thread.
        report: called in the worker's thread.
    """

    def __init__(self, spec: str, opener: Callable[[], Source], report: Report) -> None:
        super().__init__("opening", report)
        self.spec = spec
        self._opener = opener
        self._source: Source | None = None

    def take(self) -> Source | None:
        """The source, once; whoever takes it closes it."""
        source, self._source = self._source, None
        return source

    def _run(self) -> None:
        self._source = self._opener()
        if self.stopping:
            self.drop()
        else:
            self._report(SourceFound(self))

    def drop(self) -> None:
        """Close the source if nobody took it."""
        source = self.take()
        if source is not None:
            source.close()
