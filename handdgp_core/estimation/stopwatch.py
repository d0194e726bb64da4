"""Milliseconds per stage of the pipeline."""

from __future__ import annotations

import time


class Stopwatch:
    """Laps by name; a name used twice adds up.

    Examples:
        watch = Stopwatch(); work(); watch.lap("work"); watch.laps_ms["work"]
    """

    def __init__(self) -> None:
        self.laps_ms: dict[str, float] = {}
        self._last_s = time.perf_counter()

    def lap(self, name: str) -> None:
        """Book the time since the last lap (or the start) under `name`."""
        now_s = time.perf_counter()
        self.laps_ms[name] = self.laps_ms.get(name, 0.0) + (now_s - self._last_s) * 1e3
        self._last_s = now_s

    def skip(self) -> None:
        """Leave the time since the last lap out of the account."""
        self._last_s = time.perf_counter()
