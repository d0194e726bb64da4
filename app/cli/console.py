"""What the headless commands share: a progress bar with rate and time left, and a cancel that is not a crash."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

# Progress and warnings go to stderr, so that stdout holds results alone.
console = Console(stderr=True, highlight=False)


class _RateColumn(ProgressColumn):
    """Frames per second, measured."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:5.1f} frames/s")


@contextmanager
def progress_bar(description: str, total: int | None) -> Iterator[Progress]:
    """A bar with count, rate and time left; its one task has id 0. `total` None for a source without an end."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        bar.add_task(description, total=total)
        yield bar


@contextmanager
def cancellable() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets; the second Ctrl-C interrupts at once."""
    cancelled = threading.Event()

    def cancel(number: int, frame: FrameType | None) -> None:
        if cancelled.is_set():
            raise KeyboardInterrupt
        cancelled.set()
        console.print("Stopping after this frame; what is done is kept. Ctrl-C again stops at once.")

    before = {number: signal.signal(number, cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancelled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
