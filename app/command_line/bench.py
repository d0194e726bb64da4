"""`bench`: this machine's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.command_line.exit_codes import DONE
from app.command_line.options import Device, DeviceOption, Model


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
    return DONE
