"""Which way of starting OpenGL works here, tried as the program itself does it: in a process of its own."""

from __future__ import annotations

import time

from app.viewport.backends import RenderChild
from app.viewport.supervisor import START_TIMEOUT_S, Rung, default_ladder

_POLL_S = 0.05


def working_rung() -> Rung | None:
    """The first rung of the ladder whose child makes a picture, or None where the painter has to do."""
    return next((rung for rung in default_ladder() if _works(rung)), None)


def _works(rung: Rung) -> bool:
    child = RenderChild(rung.environment, render_limit=1)
    try:
        until_s = time.monotonic() + START_TIMEOUT_S
        while child.state == "starting" and time.monotonic() < until_s:
            child.poll()
            time.sleep(_POLL_S)
        return child.state == "ready"
    finally:
        child.stop()
