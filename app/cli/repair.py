"""`repair`: a recording that was never finished, or is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import DONE


def command(
    session: Annotated[Path, typer.Argument(help="The unfinished (.mcap.part) or damaged (.mcap) recording.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="The repaired file. Default: beside the old one; see the docs.")
    ] = None,
) -> int:
    """Finish or rescue a recording; reports what was saved, and what was lost and where."""
    from app.cli.console import console
    from handdgp_core.sessions import repair as run

    report = run(session, output)
    console.print(f"{report.path}: {report.summary}.", markup=False, soft_wrap=True)
    return DONE
