"""`replay`: the window on a recorded session."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import Bone, HandLength, measured_hand
from app.environment import has_display
from handdgp_core.errors import UsageError


def command(
    session: Annotated[Path, typer.Argument(help="A recorded session (.mcap or .mcap.part).")],
    hand_length_mm: HandLength = None,
    bone: Bone = None,
) -> int:
    """The window on a recording: play, step, repeat a part; recorded results beside those of any model re-run on it."""
    from handdgp_core.sessions import SessionReader
    from handdgp_core.sources.names import local_path
    from handdgp_core.sources.open import split_topic

    if not has_display():
        problem = "Could not open the window: there is no display, for neither DISPLAY nor WAYLAND_DISPLAY is set."
        raise UsageError(problem, hint="Use `process SESSION` or `export SESSION`, which need none.")
    name, topic = split_topic(str(session))
    path = local_path(name)
    SessionReader(path, topic).close()  # raises before a window opens where it cannot be read
    from app.application import LiveOptions, run_live

    hand = measured_hand(hand_length_mm, bone)
    length_mm = None if hand.length_m is None else 1e3 * hand.length_m
    return run_live(
        LiveOptions(
            source=f"{path.absolute()}{'' if topic is None else f'#{topic}'}",
            hand_length_mm=length_mm,
            hand_length_percent=200 * hand.std,
            only_here=True,
        )
    )
