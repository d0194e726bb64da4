"""A stream of the window's results: made and sent in threads of its own, so that it never slows the estimate. No Qt."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from app.live.frame_result import FrameResult
from app.live.mailbox import Mailbox
from app.streams.content import StreamFacts, StreamMaker, capture_time_unix_ns
from app.streams.sinks import SinkThread, open_sinks

__all__ = ["LiveStream"]

_WAIT_S = 0.2
_JOIN_S = 5.0


class LiveStream:
    """Sends every result that is handed to `on_result`, at most so many a second, to some destinations.

    Args:
        uris: as `sinks.parse_uri` takes them.
        rate_hz: at most this many frames a second; 0 for all.

    Attributes:
        sinks: with what was sent and skipped, and what went wrong.

    Raises:
        HandDGPError: a URI that is not understood, or an address that cannot be used; nothing stays open.
    """

    def __init__(self, uris: Sequence[str], rate_hz: float = 0.0) -> None:
        self.sinks: list[SinkThread] = open_sinks(uris)
        self._period_s = 1.0 / rate_hz if rate_hz > 0 else 0.0
        self._due_s = 0.0
        self._makers: dict[StreamFacts, StreamMaker] = {}
        self._results: Mailbox[tuple[FrameResult, StreamFacts, int]] = Mailbox()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)
        self._thread.start()

    def on_result(self, result: FrameResult, facts: StreamFacts, is_live: bool) -> None:
        """Take one result; called in the thread of the model, never waits. Previews without hands are not sent."""
        now_s = time.monotonic()
        if result.preview or now_s < self._due_s:
            return
        self._due_s = max(self._due_s + self._period_s, now_s - self._period_s)
        self._results.put((result, facts, capture_time_unix_ns(result.frame, is_live)))

    def close(self) -> None:
        """Send what waits, then release the addresses."""
        self._ended.set()
        self._thread.join(_JOIN_S)
        self._results.close()
        for sink in self.sinks:
            sink.close()

    def _run(self) -> None:
        while True:
            ending = self._ended.is_set()
            item = self._results.take(0.0 if ending else _WAIT_S)
            if item is None:
                if ending:
                    return
                continue
            result, facts, captured_unix_ns = item
            if facts not in self._makers:
                self._makers = {facts: StreamMaker(facts)}
            content = self._makers[facts].make(result.frame, result.camera, result.raw_hands, captured_unix_ns)
            for sink in self.sinks:
                sink.put(content)
