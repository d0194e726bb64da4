"""What the headless commands share: a progress bar with rate and time left, and a cancel that is not a crash."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

_HANGUP = getattr(signal, "SIGHUP", None)  # not on Windows
ENDING_SIGNALS = tuple(number for number in (signal.SIGINT, signal.SIGTERM, _HANGUP) if number is not None)

# Progress and warnings go to stderr, so that stdout holds results alone.
console = Console(stderr=True, highlight=False)


class _RateColumn(ProgressColumn):
    """How many a second, measured."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:5.1f} {self._unit}/s")


@contextmanager
def progress_bar(description: str, total: int | None, unit: str = "frames") -> Iterator[Progress]:
    """A bar with count, rate and time left; its one task has id 0. `total` None for a source without an end."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(unit),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        bar.add_task(description, total=total)
        yield bar


@contextmanager
def cancellable() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C, SIGTERM or SIGHUP sets; the second Ctrl-C interrupts at once."""
    cancelled = threading.Event()

    def cancel(number: int, frame: FrameType | None) -> None:
        if cancelled.is_set():
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        cancelled.set()
        if number == _HANGUP:
            console.quiet = True  # its terminal is gone, and printing there would fail
        console.print("Stopping after this frame; what is done is kept. Ctrl-C again stops at once.")

    with handled_signals(cancel):
        yield cancelled


@contextmanager
def orderly_end() -> Iterator[None]:
    """SIGTERM and SIGHUP end the program as Ctrl-C does, so that what it began to write is tidied up."""

    def end(number: int, frame: FrameType | None) -> None:
        if number == _HANGUP:
            console.quiet = True
        raise KeyboardInterrupt

    with handled_signals(end):
        yield


@contextmanager
def handled_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """What ends a program goes to `handler`, in the main thread; a signal that the caller ignores (nohup) stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    before = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
