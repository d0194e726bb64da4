"""`doctor`: what is here and what is missing."""

from __future__ import annotations

from app.command_line.exit_codes import BAD_INPUT, DONE


def doctor() -> int:
    """Check what the program needs here: parts, assets, display, OpenGL, cameras."""
    from app.commands.doctor import run_doctor

    return DONE if run_doctor() else BAD_INPUT
