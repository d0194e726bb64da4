"""Which way of starting OpenGL works here, tried as the program itself does it: in a process of its own."""

from __future__ import annotations

import time

from app.viewport.backends import RenderChild
from app.viewport.supervisor import START_TIMEOUT_S, GLConfig, default_configs

_POLL_S = 0.05


def working_config() -> GLConfig | None:
    """The first configuration whose child makes a picture, or None where the painter has to do."""
    return next((config for config in default_configs() if _works(config)), None)


def _works(config: GLConfig) -> bool:
    child = RenderChild(config.environment, render_limit=1)
    try:
        until_s = time.monotonic() + START_TIMEOUT_S
        while child.state == "starting" and time.monotonic() < until_s:
            child.poll()
            time.sleep(_POLL_S)
        return child.state == "ready"
    finally:
        child.stop()
