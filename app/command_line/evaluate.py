"""`evaluate`: a model against labelled hands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.command_line.exit_codes import CANCELLED, DONE
from app.command_line.options import Device, DeviceOption, HandLength, Model, metres
from handdgp_core.errors import UsageError


def evaluate(
    dataset: Annotated[
        str,
        typer.Option("--dataset", help="frames (a folder with annotations.npz), demo, freihand, ho3d, h36m or shards."),
    ],
    output: Annotated[Path, typer.Option("--output", help="JSON file for the figures.")],
    root: Annotated[Path | None, typer.Option("--root", help="Folder of the data set.")] = None,
    model: Model = "open",
    device: DeviceOption = Device.auto,
    hand_length_mm: HandLength = None,
    leave_out: Annotated[str, typer.Option("--leave-out", help="Joints left out of errors, comma-separated.")] = "0",
    report: Annotated[
        Path | None, typer.Option("--report", help="Folder for an HTML report with plots and pictures.")
    ] = None,
    submission: Annotated[
        Path | None, typer.Option("--submission", help="Predictions for the server of FreiHAND or HO3D.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Split of the data set. Default: the one to evaluate on.")] = "",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The first N samples only.")] = None,
) -> int:
    """A model against labelled hands, with the published and the refined DGP solve."""
    from app.commands.evaluate import EvaluateOptions
    from app.commands.evaluate import evaluate as run

    try:
        left_out = tuple(int(part) for part in leave_out.split(",") if part.strip())
    except ValueError:
        raise UsageError("joint numbers such as 0,4", repr(leave_out)) from None
    options = EvaluateOptions(
        dataset=dataset,
        root=root,
        output=output,
        model=model,
        device=device.value,
        hand_length_m=metres(hand_length_mm),
        left_out=left_out,
        report=report,
        submission=submission,
        split=split,
        limit=limit,
    )
    return DONE if run(options) else CANCELLED
