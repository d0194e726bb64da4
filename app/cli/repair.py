"""`repair`: a recording that was never finished, or is damaged; the results of a run that was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import DONE
from app.notices import count_of


def command(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="The unfinished (.mcap.part) or damaged (.mcap) recording, or the folder of a run that was killed.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", help="The repaired file. Default: beside the old one; see the docs.")
    ] = None,
) -> int:
    """Finish or rescue a recording or the results of a run; reports what was saved, and what was lost and where."""
    from app.cli.console import console
    from handdgp_core.export.unfinished import finish_run, is_unfinished_run
    from handdgp_core.sessions import repair as run

    if path.is_dir() or is_unfinished_run(path):
        done = finish_run(path, output)
        rows = f"{done.path}: {count_of(done.rows, 'hand')}, {count_of(done.frames, 'frame')}."
        console.print(rows, markup=False, soft_wrap=True)
        for lost in done.lost:
            console.print(f"{lost} was never finished: run `process` again.", markup=False, soft_wrap=True)
        return DONE
    report = run(path, output)
    console.print(f"{report.path}: {report.summary}.", markup=False, soft_wrap=True)
    return DONE
