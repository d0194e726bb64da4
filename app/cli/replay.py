"""`replay`: the window on a recorded session."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.environment import has_display
from handdgp_core.errors import UsageError


def command(session: Annotated[Path, typer.Argument(help="A recorded session (.mcap or .mcap.part).")]) -> int:
    """The window on a recording: play, step, repeat a part; recorded results beside those of any model run anew."""
    from handdgp_core.sessions import SessionReader

    if not has_display():
        cure = "use `process SESSION` or `export SESSION`, which need none"
        raise UsageError("a display for the window", "neither DISPLAY nor WAYLAND_DISPLAY", cure)
    SessionReader(session).close()  # what cannot be read is told here, before a window opens
    from app.application import LiveOptions, run_live

    return run_live(LiveOptions(source=str(session.expanduser().absolute())))
