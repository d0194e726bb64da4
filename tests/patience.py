"""How long tests wait for what has to happen: long enough for the busiest machine, since nobody waits when it does."""

from __future__ import annotations

import signal

WAIT_S = 60.0
WAIT_MS = int(WAIT_S * 1e3)


def heeding_interrupts() -> None:
    """For `preexec_fn`: a shell's background job ignores SIGINT, and so would its children, rightly."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
