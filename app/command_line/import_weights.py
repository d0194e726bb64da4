"""`import-weights`: the published checkpoint as a file of this program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.command_line.exit_codes import DONE


def import_weights(
    checkpoint: Annotated[Path, typer.Argument(help="The published HandDGP checkpoint.")],
    template: Annotated[Path, typer.Option("--template", help="MobRecon's template folder, with transform.pkl.")],
    output: Annotated[Path, typer.Option("--output", help="The .safetensors file to write.")],
    focal_px: Annotated[
        float, typer.Option("--focal", min=1.0, help="Canonical focal length: FreiHAND 1000, HO3D 500, Human3.6M 400.")
    ] = 1000.0,
) -> int:
    """Turn the published checkpoint into a file that --model takes. Nothing in it is run."""
    from app.commands.import_weights import import_weights as run

    run(checkpoint, template, output, focal_px)
    return DONE
