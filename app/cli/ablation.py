"""`ablation`: table 1 of the supplement, by training and evaluating its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console
from app.cli.options import CANCELLED, DONE, Settings


def command(
    config: Annotated[Path, typer.Option("--config", help="YAML file, such as configs/table1.yaml.")],
    settings: Settings = None,
) -> int:
    """Networks with and without rectification and end-to-end training, as a table. The same command goes on."""
    from handdgp_core.training.ablation import load_ablation, run_ablation

    table = load_ablation(config, tuple(settings or ()))
    try:
        path = run_ablation(table, lambda text: console.print(text, markup=False))
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on with what is missing.")
        return CANCELLED
    console.print(path.read_text(encoding="utf-8"), markup=False)
    console.print(f"Table: {path}", markup=False)
    return DONE
