"""`synth`: labelled images of hands, rendered."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import cancellable, console, progress_bar
from app.cli.options import CANCELLED, DONE
from app.notices import count_of


def synth(output: Path, count: int, seed: int, workers: int) -> bool:
    """Run `synth`; False if it was cancelled (whole shards are kept, and the same command goes on).

    Raises:
        HandDGPError: bad input, missing parts, or a folder that cannot be written.
    """
    from handdgp_core.datasets.shards import Shards
    from handdgp_core.synthetic.contact_sheet import write_contact_sheet
    from handdgp_core.synthetic.generate import generate

    started = time.perf_counter()
    with cancellable() as cancelled, progress_bar("rendering", None) as bar:
        task = bar.task_ids[0]
        result = generate(
            output,
            count,
            seed,
            workers,
            lambda done, total: bar.update(task, completed=done, total=total),
            cancelled,
        )
    spent = time.perf_counter() - started
    rate = f", {result.made / spent:.1f} images/s with {workers} processes" if result.made else ""
    console.print(f"{count_of(result.made, 'image')} rendered, {result.kept} already there{rate}", markup=False)
    if result.finished:
        write_contact_sheet(Shards(output), output / "contact_sheet.png")
        console.print(f"Look at {output / 'contact_sheet.png'} before you train.", markup=False)
    return result.finished


def command(
    output: Annotated[Path, typer.Option("--output", help="Folder for the shards; one of the same seed is added to.")],
    count: Annotated[int, typer.Option("--count", min=1, help="Images, rounded up to whole shards of 250.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of all images; use another one for validation.")] = 1,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes. Default: one for each processor.")
    ] = None,
) -> int:
    """Render labelled images of hands for training, with a contact sheet to look at. Needs the extra `train`."""
    return DONE if synth(output, count, seed, workers or os.cpu_count() or 1) else CANCELLED
