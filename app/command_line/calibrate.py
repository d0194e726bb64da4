"""`calibrate`: a camera from pictures of a board, without a display."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.command_line.exit_codes import CANCELLED, DONE


class CameraFormat(StrEnum):
    ros = "ros"
    opencv = "opencv"
    kalibr = "kalibr"


def calibrate(
    source: Annotated[str, typer.Argument(help="Folder of images, video, webcam number or URL.")],
    board: Annotated[
        str, typer.Option("--board", help="charuco:10x7:26:19 (squares, mm) or chessboard:9x6:25 (inner corners, mm).")
    ],
    output: Annotated[Path, typer.Option("--output", help="Camera file to write (YAML).")],
    report: Annotated[Path | None, typer.Option("--report", help="HTML report with plots.")] = None,
    format: Annotated[CameraFormat, typer.Option("--format", help="Form of the camera file.")] = CameraFormat.ros,
    every: Annotated[int, typer.Option("--every", min=1, help="Every Nth frame.")] = 1,
) -> int:
    """Intrinsics from pictures of a board. Videos give the frames in which it is sharp, still and new."""
    from app.commands.calibrate import CalibrateOptions
    from app.commands.calibrate import calibrate as run

    return DONE if run(CalibrateOptions(source, board, output, report, format.value, every)) else CANCELLED
