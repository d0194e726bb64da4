"""`synth`: labelled pictures of hands, drawn."""

from __future__ import annotations

import time
from pathlib import Path

from app.commands.console import cancellable, console, progress_bar


def synth(output: Path, count: int, seed: int, workers: int) -> bool:
    """Run `synth`; False if it was cancelled (whole shards are kept, and the same command goes on).

    Raises:
        HandDGPError: bad input, missing parts, or a folder that cannot be written.
    """
    from handdgp_core.training.datasets.shards import Shards
    from handdgp_core.training.synthetic.contact_sheet import write_contact_sheet
    from handdgp_core.training.synthetic.generate import generate

    started = time.perf_counter()
    with cancellable() as cancelled, progress_bar("drawing", None) as bar:
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
    rate = f", {result.made / spent:.1f} pictures a second with {workers} processes" if result.made else ""
    console.print(f"{result.made} pictures drawn, {result.kept} were there{rate}", markup=False)
    if result.finished:
        write_contact_sheet(Shards(output), output / "contact_sheet.png")
        console.print(f"Look at {output / 'contact_sheet.png'} before you train.", markup=False)
    return result.finished
