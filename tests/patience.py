"""How long tests wait for what has to happen: long enough for the busiest machine, since nobody waits when it does."""

from __future__ import annotations

WAIT_S = 60.0
WAIT_MS = int(WAIT_S * 1e3)
