"""What commands share: options, each written once, and exit codes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DONE, INTERNAL, BAD_INPUT, CANCELLED = 0, 1, 2, 130  # exit codes


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Axes(StrEnum):
    opencv = "opencv"
    opengl = "opengl"
    blender = "blender"


Calibration = Annotated[
    Path | None, typer.Option("--calibration", help="Camera file: ROS camera_info YAML or OpenCV YAML.")
]
Fov = Annotated[
    float, typer.Option("--fov", min=20.0, max=150.0, help="Horizontal field of view assumed without a calibration.")
]
Model = Annotated[
    str, typer.Option("--model", help="open (trained), landmarks (its baseline), or a .safetensors file.")
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the network runs.")]
HandLength = Annotated[
    float | None,
    typer.Option("--hand-length-mm", help="Your hand, wrist crease to middle finger tip: makes depth more accurate."),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Replaces a value of the config: data.batch_size=64. Repeatable.")
]


def metres(length_mm: float | None) -> float | None:
    """Metres from millimetres, None where there is none."""
    return None if length_mm is None else length_mm / 1e3


def exports_help(names: Iterable[str]) -> str:
    """What `process --export` and `export --format` take."""
    explained = "glb is one animated file with the camera, glb-frames one for each frame"
    return f"Comma-separated: {', '.join(names)}. {explained}."
