"""A stream of the window's results: made and sent in threads of its own, so that it never slows the estimate. No Qt."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from app.live.frame_result import FrameResult
from app.live.mailbox import Mailbox
from app.streams.content import RateLimit, StreamFacts, StreamMaker, capture_time_unix_ns
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
        self._rate = RateLimit(rate_hz)
        self._results: Mailbox[tuple[FrameResult, StreamFacts, int]] = Mailbox()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)
        self._thread.start()

    def on_result(self, result: FrameResult, facts: StreamFacts, is_live: bool) -> None:
        """Take one result; called in the thread of the model, never waits. Previews without hands are not sent."""
        if not result.preview and self._rate.passes():
            self._results.put((result, facts, capture_time_unix_ns(result.frame, is_live)))

    def close(self) -> None:
        """Send what waits, then release the addresses."""
        self._ended.set()
        self._thread.join(_JOIN_S)
        self._results.close()
        for sink in self.sinks:
            sink.close()

    def _run(self) -> None:
        maker: StreamMaker | None = None
        while True:
            ending = self._ended.is_set()
            item = self._results.take(0.0 if ending else _WAIT_S)
            if item is None:
                if ending:
                    return
                continue
            result, facts, captured_unix_ns = item
            if maker is None or maker.facts != facts:
                maker = StreamMaker(facts)
            content = maker.make(result.frame, result.camera, result.raw_hands, captured_unix_ns)
            for sink in self.sinks:
                sink.put(content)
