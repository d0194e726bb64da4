"""`train`: a network by a configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.command_line.exit_codes import CANCELLED, DONE
from app.command_line.options import Settings


def train(
    config: Annotated[Path, typer.Option("--config", help="YAML file, such as configs/freihand-r50.yaml.")],
    settings: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
) -> int:
    """Train a network: relative losses to convergence, then all. Needs the extra `train`."""
    from app.commands.train import train as run

    return DONE if run(config, settings or (), resume) else CANCELLED
