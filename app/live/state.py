"""What the source and the model are doing, and how fast. No Qt."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """What the source is doing."""

    IDLE = "no source"
    OPENING = "opening"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"
    FAILED = "stopped by an error"


class ModelPhase(Enum):
    """What the model is doing."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Status:
    """Everything that the window shows of the source and the model.

    Attributes:
        phase, model_phase: see there.
        spec: what was asked for, as `open_source` takes it.
        source_name: the source's own name, empty until it is open.
        size: (width, height) of its frames, or None.
        is_live, is_rendered: what the source is.
        model_name: of the loaded model, empty before.
        engine: what runs it, for people.
        error: the sentence that explains FAILED.
    """

    phase: Phase = Phase.IDLE
    model_phase: ModelPhase = ModelPhase.LOADING
    spec: str = ""
    source_name: str = ""
    size: tuple[int, int] | None = None
    is_live: bool = False
    is_rendered: bool = False
    model_name: str = ""
    engine: str = ""
    error: str = ""


@dataclass(frozen=True)
class Rates:
    """How things go at the moment.

    Attributes:
        captured_fps, inferred_fps: frames per second over the last two seconds.
        skipped: frames that were skipped.
        waiting: why no frame comes, or empty.
        warning: of the source, or empty.
    """

    captured_fps: float
    inferred_fps: float
    skipped: int
    waiting: str
    warning: str


class RateMeter:
    """Events per second over the last two seconds. One thread ticks, any thread reads."""

    def __init__(self, span_s: float = 2.0) -> None:
        self._span_s = span_s
        self._times_s: deque[float] = deque(maxlen=600)

    def tick(self) -> None:
        """Count one event, now."""
        self._times_s.append(time.monotonic())

    @property
    def per_second(self) -> float:
        """0 where there were none lately."""
        now_s = time.monotonic()
        recent = [stamp for stamp in tuple(self._times_s) if now_s - stamp <= self._span_s]
        if len(recent) < 2 or recent[-1] <= recent[0]:
            return 0.0
        return (len(recent) - 1) / (recent[-1] - recent[0])
