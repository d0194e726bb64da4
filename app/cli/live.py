"""`live`: the window."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console
from app.cli.options import CANCELLED, DONE, Bone, Calibration, Device, Engine, HandLength, measured_hand
from app.environment import has_display


def command(
    source: Annotated[
        str | None,
        typer.Option("--source", help="Webcam number, URL, video, folder, session, demo. Default: webcam 0."),
    ] = None,
    calibration: Calibration = None,
    model: Annotated[str | None, typer.Option("--model", help="As in `process`; remembered.")] = None,
    device: Annotated[Device | None, typer.Option("--device", help="Where the network runs; remembered.")] = None,
    engine: Annotated[
        Engine | None, typer.Option("--engine", help="What runs the network, as in `process`; remembered.")
    ] = None,
    hand_length_mm: HandLength = None,
    bone: Bone = None,
    reset_settings: Annotated[bool, typer.Option("--reset-settings", help="Reset all settings first.")] = False,
) -> int:
    """The window (also without any command). Without a display: the demo, processed into ./output."""
    if not has_display():
        return _without_display(source)
    from app.application import LiveOptions, run_live
    from app.settings import reset_settings as forget

    if reset_settings:
        forget()
    hand = measured_hand(hand_length_mm, bone)
    return run_live(
        LiveOptions(
            source=source,
            calibration_path=calibration,
            model=model,
            device=None if device is None else device.value,
            engine=None if engine is None else engine.value,
            hand_length_mm=None if hand.length_m is None else 1e3 * hand.length_m,
            hand_length_percent=200 * hand.std,
        )
    )


def _without_display(source: str | None) -> int:
    from app.cli.process import ProcessOptions, process

    chosen = source or "demo"
    console.print(
        f"No display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so there is no window: processing {chosen} "
        "into ./output instead. `python main.py process --help` says more.",
        markup=False,
        soft_wrap=True,
    )
    return DONE if process(ProcessOptions(chosen, Path("output"), export=("obj", "video"))) else CANCELLED
