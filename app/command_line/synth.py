"""`synth`: labelled pictures of hands, drawn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from app.command_line.exit_codes import CANCELLED, DONE


def synth(
    output: Annotated[Path, typer.Option("--output", help="Folder for the shards; one of the same seed is added to.")],
    count: Annotated[int, typer.Option("--count", min=1, help="Pictures, rounded up to whole shards of 250.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all pictures; take another one for validation.")] = 1,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes. Default: one for each processor.")
    ] = None,
) -> int:
    """Draw labelled pictures of hands for training, with a contact sheet to look at. Needs the extra `train`."""
    from app.commands.synth import synth as run

    return DONE if run(output, count, seed, workers or os.cpu_count() or 1) else CANCELLED
