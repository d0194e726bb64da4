"""`bench`: this machine's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.command_line.exit_codes import DONE
from app.command_line.options import Device, DeviceOption, Model, Settings


def bench(
    what: Annotated[
        str,
        typer.Argument(
            help="live (the window, offscreen), record (what a recording costs it), stages (headless), network or "
            "training (of a --config)."
        ),
    ],
    source: Annotated[str, typer.Option("--source", help="What live, record and stages run on.")] = "demo",
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="How long.")] = 20.0,
    model: Model = "open",
    device: DeviceOption = Device.auto,
    config: Annotated[Path | None, typer.Option("--config", help="What network and training build.")] = None,
    settings: Settings = None,
    output: Annotated[Path | None, typer.Option("--output", help="JSON file for the figures.")] = None,
) -> int:
    """Measure this machine: the window's frame rate and stalls, milliseconds per stage, or a network's speed."""
    from app.commands.bench import BenchOptions, run_bench

    run_bench(BenchOptions(what, source, seconds, model, device.value, config, tuple(settings or ()), output))
    return DONE
