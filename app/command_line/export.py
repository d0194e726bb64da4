"""`export`: a recorded session as files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.command_line.exit_codes import CANCELLED, DONE
from app.command_line.options import EXPORTS, Axes, Calibration, Device, DeviceOption, HandLength, metres


def export(
    session: Annotated[Path, typer.Argument(help="A recorded session (.mcap).")],
    output: Annotated[Path, typer.Option("--output", help="Folder for the files.")],
    file_format: Annotated[
        list[str],
        typer.Option("--format", help=f"Comma-separated: {EXPORTS}."),
    ],
    axes: Annotated[
        Axes | None, typer.Option("--axes", help="Axes of OBJ and PLY files. Default: opencv. GLB has its own.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Run this model over every frame instead of the recorded results.")
    ] = None,
    device: DeviceOption = Device.auto,
    calibration: Calibration = None,
    hand_length_mm: HandLength = None,
) -> int:
    """A recorded session as meshes, one animated GLB with its camera, tables, video, or a FreiHAND-like folder."""
    from app.commands.export import ExportRequest
    from app.commands.export import export as run

    request = ExportRequest(
        session=session,
        output=output,
        formats=tuple(name.strip().lower() for entry in file_format for name in entry.split(",") if name.strip()),
        axes=None if axes is None else axes.value,
        model=model,
        device=device.value,
        calibration=calibration,
        hand_length_m=metres(hand_length_mm),
    )
    return DONE if run(request) else CANCELLED
