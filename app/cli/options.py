"""What commands share: options, each written once, and exit codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console
from handdgp_core.errors import UsageError
from handdgp_core.estimation.bone_length import BONE_NAMES, hand_length_from_bone, parse_bone
from handdgp_core.estimation.hand_length import HOW_TO_MEASURE, RULER_STD
from handdgp_core.estimation.hand_size import MeasuredLength, fused

DONE, INTERNAL, BAD_INPUT, CANCELLED = 0, 1, 2, 130  # exit codes


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Engine(StrEnum):
    auto = "auto"
    pytorch = "pytorch"
    onnxruntime = "onnxruntime"


class Axes(StrEnum):
    opencv = "opencv"
    opengl = "opengl"
    blender = "blender"


Calibration = Annotated[
    Path | None, typer.Option("--calibration", help="Camera file: ROS camera_info YAML or OpenCV YAML.")
]
Fov = Annotated[
    float,
    typer.Option("--fov", min=20.0, max=150.0, help="Field of view of the longer side, where no calibration is given."),
]
FovOfSource = Annotated[
    float | None,
    typer.Option(
        "--fov",
        min=20.0,
        max=150.0,
        help="Field of view of the longer side, where no calibration is given. Default: 60, or as recorded.",
    ),
]
Model = Annotated[
    str, typer.Option("--model", help="open (trained), landmarks (its baseline), or a .safetensors file.")
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the network runs.")]
EngineOption = Annotated[
    Engine, typer.Option("--engine", help="What runs the network; auto: the fastest that gives PyTorch's numbers.")
]
HandLength = Annotated[
    float | None,
    typer.Option(
        "--hand-length-mm", help=f"Length of your hand, which distances depend on. {HOW_TO_MEASURE} Taken as ± 3 %."
    ),
]
Bone = Annotated[
    list[str] | None,
    typer.Option(
        "--bone",
        help="Instead of --hand-length-mm: a bone by a ruler, such as index_proximal=42 (millimetres); less certain. "
        f"Repeatable: several bones tell more. One of {', '.join(BONE_NAMES)}.",
    ),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Replaces a value of the config: data.batch_size=64. Repeatable.")
]


def measured_hand(hand_length_mm: float | None, bones: Sequence[str] | None) -> MeasuredLength:
    """The hand's length as it was measured; `length_m` is None where it was not.

    Raises:
        UsageError: both are given, a bone twice, or one that is unknown or cannot be so long.
    """
    if not bones:
        return MeasuredLength(None) if hand_length_mm is None else MeasuredLength(hand_length_mm / 1e3, RULER_STD)
    if hand_length_mm is not None:
        raise UsageError(
            "--hand-length-mm and --bone both give the size of the hand.",
            hint="Give the hand length where you have it: it is more certain than one bone.",
        )
    measured = [parse_bone(bone) for bone in bones]
    names = [name for name, _ in measured]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--bone gives {name} twice.", hint="Give the mean of both.")
    length = fused([hand_length_from_bone(name, bone_m) for name, bone_m in measured])
    assert length.length_m is not None
    stated = f"{1e3 * length.length_m:.0f} mm ± {200 * length.std:.0f} % (two standard deviations)"
    console.print(f"Hand length from {', '.join(names)}: {stated}.", markup=False)
    return length


def exports_help(names: Iterable[str]) -> str:
    """What `process --export` and `export --format` take."""
    explained = "glb is one animated file with the camera, glb-frames one for each frame"
    return f"Comma-separated: {', '.join(names)}. {explained}."
