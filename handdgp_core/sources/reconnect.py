"""A live source that comes back: after a loss it is opened again, with growing pauses, until closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from handdgp_core.errors import HandDGPError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.protocol import DEFAULT_TIMEOUT_S, BaseSource, NoFrameYet, Source, SourceLost
from handdgp_core.types import Frame

PAUSES_S = (0.5, 1.0, 2.0, 4.0)  # the last one repeats
JOIN_S = 0.3


class ReconnectingSource(BaseSource):
    """Wraps a live source. While it is disconnected `read` raises `NoFrameYet` with the state.

    Frame numbers and time stamps go on rising over a loss. The picture size may differ afterwards.

    Args:
        reopen: reopens the source by its stable identity; called from a thread of its own after a loss, since
            opening may block. Called once here, in the caller's thread, unless `source` is given.
        source: already opened.
        pauses_s: waits before the first, second, ... attempt.

    Raises:
        SourceError: from the first opening.
    """

    is_live = True

    def __init__(
        self, reopen: Callable[[], Source], source: Source | None = None, pauses_s: tuple[float, ...] = PAUSES_S
    ) -> None:
        super().__init__()
        self._reopen = reopen
        self._pauses_s = pauses_s
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._search: threading.Thread | None = None
        self._status = ""
        self._next_index = 0
        self._index_offset = 0
        self._last_stamp_ns = -1
        self.losses = 0
        self._last: Source = source if source is not None else reopen()
        self._inner: Source | None = self._last

    @property
    def name(self) -> str:  # type: ignore[override]
        return self._last.name

    @property
    def size(self) -> tuple[int, int]:
        return self._last.size

    @property
    def inner(self) -> Source:
        """The source that is read, or was read last."""
        return self._last

    @property
    def nominal_fps(self) -> float | None:
        return self._last.nominal_fps

    @property
    def camera(self) -> Camera | None:
        return self._last.camera

    @property
    def warning(self) -> str | None:
        return self._status or self._last.warning

    def read(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Frame | None:
        """Next frame; None after `close` (a live source has no other end).

        Raises:
            NoFrameYet: silent, or disconnected: the text says which.
        """
        deadline = time.monotonic() + timeout_s
        while not self._stop.is_set():
            inner = self._wait_for_source(deadline)
            if inner is None:
                return None
            try:
                frame = inner.read(max(deadline - time.monotonic(), 0.0))
            except SourceLost:
                self._lose(inner)
                continue
            if frame is not None:
                return self._renumbered(frame)
            if self._stop.is_set():
                return None
            self._lose(inner)  # a live source has no end of its own
        return None

    def close(self) -> None:
        self._stop.set()
        with self._changed:
            inner, self._inner = self._inner, None
            self._changed.notify_all()
        if inner is not None:
            inner.close()
        if self._search is not None and self._search is not threading.current_thread():
            self._search.join(JOIN_S)

    def _wait_for_source(self, deadline: float) -> Source | None:
        with self._changed:
            found = self._changed.wait_for(
                lambda: self._inner is not None or self._stop.is_set(), max(deadline - time.monotonic(), 0.0)
            )
            if not found:
                raise NoFrameYet(self._status)
            return self._inner

    def _renumbered(self, frame: Frame) -> Frame:
        index = self._index_offset + frame.index
        stamp_ns = max(frame.stamp_ns, self._last_stamp_ns + 1)
        self._next_index, self._last_stamp_ns = index + 1, stamp_ns
        return replace(frame, index=index, stamp_ns=stamp_ns)

    def _lose(self, inner: Source) -> None:
        inner.close()
        with self._changed:
            if self._stop.is_set() or self._inner is not inner:
                return
            self._inner = None
            self.losses += 1
            self._index_offset = self._next_index
            self._status = f"{self.name} disconnected; waiting for it to return"
            self._search = threading.Thread(target=self._look, name=f"reopen {self.name}", daemon=True)
            self._search.start()

    def _look(self) -> None:
        attempt = 0
        while not self._stop.wait(self._pauses_s[min(attempt, len(self._pauses_s) - 1)]):
            attempt += 1
            try:
                source = self._reopen()
            except HandDGPError:
                self._status = f"{self.name} disconnected; waiting for it to return (attempt {attempt})"
                continue
            self._deliver(source)
            return

    def _deliver(self, source: Source) -> None:
        with self._changed:
            if not self._stop.is_set():
                self._inner = self._last = source
                self._status = ""
                self._changed.notify_all()
                return
        source.close()
