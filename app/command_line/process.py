"""`process`: a source without a display."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.command_line.exit_codes import CANCELLED, DONE
from app.command_line.options import EXPORTS, Axes, Calibration, Device, DeviceOption, Fov, HandLength, Model, metres


def process(
    source: Annotated[
        str, typer.Argument(help="Webcam number, URL, video, folder of images, recorded session, or demo.")
    ],
    output: Annotated[Path, typer.Option("--output", help="Folder for the results.")],
    calibration: Calibration = None,
    fov: Fov = 60.0,
    model: Model = "open",
    device: DeviceOption = Device.auto,
    hand_length_mm: HandLength = None,
    max_hands: Annotated[int, typer.Option("--max-hands", min=1, max=2)] = 2,
    export: Annotated[
        list[str] | None,
        typer.Option("--export", help=f"Comma-separated: {EXPORTS}."),
    ] = None,
    axes: Annotated[
        Axes | None, typer.Option("--axes", help="Axes of exported meshes. Default: opencv, and opengl for GLB.")
    ] = None,
    every: Annotated[int, typer.Option("--every", min=1, help="Every Nth frame.")] = 1,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after this many frames.")] = None,
) -> int:
    """A source through the whole pipeline, without a display. Writes predictions.npz and summary.json."""
    from app.commands.process import ProcessOptions
    from app.commands.process import process as run

    options = ProcessOptions(
        source=source,
        output=output,
        calibration=calibration,
        horizontal_fov_deg=fov,
        model=model,
        device=device.value,
        hand_length_m=metres(hand_length_mm),
        max_hands=max_hands,
        export=tuple(name.strip() for entry in export or [] for name in entry.split(",") if name.strip()),
        axes=None if axes is None else axes.value,
        every=every,
        limit=limit,
    )
    return DONE if run(options) else CANCELLED
