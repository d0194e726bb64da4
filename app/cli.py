"""Every command of `python main.py`. Heavy parts are imported by the command that needs them, Qt by `live` alone."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from app.commands.console import console
from handdgp_core.errors import HandDGPError, UsageError

EXIT_DONE, EXIT_INTERNAL, EXIT_BAD_INPUT, EXIT_CANCELLED = 0, 1, 2, 130

app = typer.Typer(
    help="An ordinary webcam as a metric hand scanner. Without a command the window opens.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Device(str, Enum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Axes(str, Enum):
    opencv = "opencv"
    opengl = "opengl"
    blender = "blender"


Calibration = Annotated[
    Path | None, typer.Option("--calibration", help="Camera file: ROS camera_info YAML or OpenCV YAML.")
]
Fov = Annotated[
    float, typer.Option("--fov", min=20.0, max=150.0, help="Horizontal field of view assumed without a calibration.")
]
Model = Annotated[str, typer.Option("--model", help="landmarks: MediaPipe's landmarks and the open hand.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the network runs.")]
HandLength = Annotated[
    float | None,
    typer.Option("--hand-length-mm", help="Your hand, wrist crease to middle finger tip: makes depth exact."),
]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the process' exit code: 0 done, 2 bad input, 1 internal error, 130 cancelled."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("--help", "-h")):
        arguments.insert(0, "live")
    logging.basicConfig(level=os.environ.get("HANDDGP_LOG", "WARNING").upper())
    try:
        return app(arguments, standalone_mode=False) or EXIT_DONE
    except HandDGPError as error:
        console.print(error.message, style="red", markup=False, soft_wrap=True)
        return EXIT_BAD_INPUT
    except typer.Abort:
        return EXIT_CANCELLED
    except KeyboardInterrupt:
        return EXIT_CANCELLED
    except Exception as error:
        return _report(error)


def _report(error: Exception) -> int:
    """click's own errors are bad usage; everything else is a bug and shows its traceback."""
    format_message = getattr(error, "format_message", None)
    if format_message is not None:
        console.print(f"{format_message()} See --help.", style="red", markup=False, soft_wrap=True)
        return EXIT_BAD_INPUT
    traceback.print_exc()
    message = f"Internal error: {error}. Please report it with the lines above."
    console.print(message, style="red", markup=False, soft_wrap=True)
    return EXIT_INTERNAL


def _metres(length_mm: float | None) -> float | None:
    return None if length_mm is None else length_mm / 1e3


@app.command()
def live(
    source: Annotated[
        str | None, typer.Option("--source", help="Webcam number, URL, video, folder or demo. Default: webcam 0.")
    ] = None,
    calibration: Calibration = None,
    model: Annotated[str | None, typer.Option("--model", help="As in `process`; remembered.")] = None,
    device: Annotated[Device | None, typer.Option("--device", help="Where the network runs; remembered.")] = None,
    hand_length_mm: HandLength = None,
    reset_settings: Annotated[bool, typer.Option("--reset-settings", help="Forget all settings first.")] = False,
) -> int:
    """The window (also without any command). Without a display: the demo, processed into ./output."""
    if not has_display():
        return _without_display(source)
    from app.application import LiveOptions, run_live
    from app.settings import reset_settings as forget

    if reset_settings:
        forget()
    return run_live(
        LiveOptions(
            source=source,
            calibration_path=calibration,
            model=model,
            device=None if device is None else device.value,
            hand_length_mm=hand_length_mm,
        )
    )


def has_display() -> bool:
    """Whether a window can be opened here."""
    if sys.platform in ("win32", "darwin") or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _without_display(source: str | None) -> int:
    chosen = source or "demo"
    console.print(
        f"No display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so there is no window: processing {chosen} "
        "into ./output instead. `python main.py process --help` says more.",
        markup=False,
        soft_wrap=True,
    )
    return process(chosen, Path("output"), export=["obj", "video"])


@app.command()
def process(
    source: Annotated[str, typer.Argument(help="Webcam number, URL, video, folder of images, or demo.")],
    output: Annotated[Path, typer.Option("--output", help="Folder for the results.")],
    calibration: Calibration = None,
    fov: Fov = 60.0,
    model: Model = "landmarks",
    device: DeviceOption = Device.auto,
    hand_length_mm: HandLength = None,
    max_hands: Annotated[int, typer.Option("--max-hands", min=1, max=2)] = 2,
    export: Annotated[
        list[str] | None, typer.Option("--export", help="Comma-separated: obj, ply, glb, csv, npz, video.")
    ] = None,
    axes: Annotated[
        Axes | None, typer.Option("--axes", help="Axes of exported meshes. Default: opencv, and opengl for GLB.")
    ] = None,
    every: Annotated[int, typer.Option("--every", min=1, help="Every Nth frame.")] = 1,
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
        hand_length_m=_metres(hand_length_mm),
        max_hands=max_hands,
        export=tuple(name.strip() for entry in export or [] for name in entry.split(",") if name.strip()),
        axes=None if axes is None else axes.value,
        every=every,
    )
    return EXIT_DONE if run(options) else EXIT_CANCELLED


@app.command()
def evaluate(
    dataset: Annotated[str, typer.Option("--dataset", help="frames (a folder with annotations.npz) or demo.")],
    output: Annotated[Path, typer.Option("--output", help="JSON file for the figures.")],
    root: Annotated[Path | None, typer.Option("--root", help="Folder of the data set.")] = None,
    model: Model = "landmarks",
    device: DeviceOption = Device.auto,
    hand_length_mm: HandLength = None,
    leave_out: Annotated[str, typer.Option("--leave-out", help="Joints left out of errors, comma-separated.")] = "0",
) -> int:
    """A model against labelled hands, with the published and the refined DGP solve."""
    from app.commands.evaluate import EvaluateOptions
    from app.commands.evaluate import evaluate as run

    try:
        left_out = tuple(int(part) for part in leave_out.split(",") if part.strip())
    except ValueError:
        raise UsageError("joint numbers such as 0,4", repr(leave_out)) from None
    options = EvaluateOptions(dataset, root, output, model, device.value, _metres(hand_length_mm), left_out)
    return EXIT_DONE if run(options) else EXIT_CANCELLED


@app.command()
def bench(
    what: Annotated[str, typer.Argument(help="live (the window, offscreen) or stages (headless, per stage).")],
    source: Annotated[str, typer.Option("--source", help="What to run on.")] = "demo",
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="How long.")] = 20.0,
    model: Model = "landmarks",
    device: DeviceOption = Device.auto,
    output: Annotated[Path | None, typer.Option("--output", help="JSON file for the figures.")] = None,
) -> int:
    """Measure this machine: shown frame rate and stalls of the window, or milliseconds per stage."""
    from app.commands.bench import run_bench

    run_bench(what, source, seconds, model, device.value, output)
    return EXIT_DONE


@app.command()
def doctor() -> int:
    """Check what the program needs here: parts, assets, display, OpenGL, cameras."""
    from app.commands.doctor import run_doctor

    return EXIT_DONE if run_doctor() else EXIT_BAD_INPUT
