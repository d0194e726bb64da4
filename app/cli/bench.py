"""`bench`: this machine's own figures. Compare ratios within one run: machines are noisy."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from app.cli.options import DONE, Device, DeviceOption, Engine, EngineOption, Model, Settings
from handdgp_core.errors import UsageError
from handdgp_core.files import write_json
from handdgp_core.sources.cameras import CameraChooser
from handdgp_core.sources.open import open_source
from handdgp_core.sources.protocol import frames

_WARM_UP_FRAMES = 5
ON_A_SOURCE, ON_A_CONFIG = ("live", "record", "stages"), ("network", "training")
ON_A_MODEL = "engines"
BENCHES = (*ON_A_SOURCE, *ON_A_CONFIG, ON_A_MODEL)


class Panel(StrEnum):
    none = "none"
    start = "start"
    weights = "weights"
    motion = "motion"
    performance = "performance"
    settings = "settings"


@dataclass(frozen=True)
class BenchOptions:
    """What `bench` was asked for; names as on the command line.

    Attributes:
        what: one of BENCHES.
        source, model, engine: of "live", "record", "stages" and (the model) "engines"; the engine of "stages" alone.
        config, settings: of "network" and "training".
        panel: of "live": the one beside the picture, one of `Panel`; None for the usual one.
    """

    what: str
    source: str = "demo"
    seconds: float = 20.0
    model: str = "open"
    device: str = "auto"
    engine: str = "auto"
    config: Path | None = None
    settings: tuple[str, ...] = ()
    panel: str | None = None
    output: Path | None = None


def run_bench(options: BenchOptions) -> dict[str, Any]:
    """Run one bench, print its figures and write them where asked.

    Raises:
        HandDGPError: bad input.
    """
    figures = _run(options)
    figures["machine"] = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    subject = options.source if options.what in ON_A_SOURCE else str(options.config or options.model)
    table = Table(f"bench {options.what}", subject)
    for name, value in figures.items():
        table.add_row(name, f"{value:.2f}" if isinstance(value, float) else str(value))
    Console(width=110).print(table)
    if options.output is not None:
        write_json(options.output, figures)
    return figures


def _run(options: BenchOptions) -> dict[str, Any]:
    if options.what not in BENCHES:
        raise UsageError(f"There is no bench {options.what!r}.", hint=f"Choose one of {', '.join(BENCHES)}.")
    if options.what == "live":
        return _live(options)
    if options.what == "record":
        from app.application import LiveOptions
        from app.benchmarks.record import measure_recording

        live = LiveOptions(source=options.source, model=options.model, device=options.device)
        return measure_recording(live, options.seconds)
    if options.what == "stages":
        return stages(options.source, options.seconds, options.model, options.device, options.engine)
    if options.what == ON_A_MODEL:
        from app.benchmarks.engines import bench_engines

        return bench_engines(options.model, options.seconds)
    if options.config is None:
        raise UsageError(f"bench {options.what} needs --config FILE.", hint="Give a file of configs/.")
    from app.benchmarks.networks import bench_network, bench_training

    run = bench_network if options.what == "network" else bench_training
    return run(options.config, options.settings, options.seconds, options.device)


def _live(options: BenchOptions) -> dict[str, Any]:
    from app.application import LiveOptions
    from app.benchmarks.live import measure_live

    panel = "" if options.panel == Panel.none else options.panel
    live = LiveOptions(source=options.source, model=options.model, device=options.device)
    return measure_live(live, options.seconds, panel=panel)


def stages(source: str, seconds: float, model: str, device: str, engine: str = "auto") -> dict[str, Any]:
    """Milliseconds per stage of the headless pipeline, decoding apart."""
    from handdgp_core.estimation.estimator import HandEstimator
    from handdgp_core.estimation.models import limit_threads

    limit_threads(model)
    estimator = HandEstimator.from_weights(model, device, engine=engine)
    chooser, stage_ms, total_ms = CameraChooser(), {}, []  # type: ignore[var-annotated]
    first_ms = 0.0
    until_s = time.perf_counter() + seconds
    with open_source(source) as opened:
        for count, frame in enumerate(frames(opened)):
            started_s = time.perf_counter()
            estimator.estimate(frame, chooser.camera_for(frame))
            spent_ms = (time.perf_counter() - started_s) * 1e3
            if count == 0:
                first_ms = spent_ms
            if count >= _WARM_UP_FRAMES:
                total_ms.append(spent_ms)
                for stage, time_ms in estimator.stage_ms.items():
                    stage_ms.setdefault(stage, []).append(time_ms)
            if time.perf_counter() > until_s:
                break
    figures: dict[str, Any] = {"engine": estimator.engine, "frames": len(total_ms), "first_frame_ms": first_ms}
    if total_ms:
        figures |= {"median_ms": float(np.median(total_ms)), "p95_ms": float(np.percentile(total_ms, 95))}
    figures |= {f"{stage}_median_ms": float(np.median(times)) for stage, times in stage_ms.items()}
    cost = estimator.search_cost
    figures |= {"searches": cost.runs, "search_ms_in_all": cost.total_ms}
    estimator.close()
    return figures


def command(
    what: Annotated[
        str,
        typer.Argument(
            help="live (the window, offscreen), record (what a recording costs it), stages (headless), network or "
            "training (of a --config), engines (each with a --model, by turns)."
        ),
    ],
    source: Annotated[str, typer.Option("--source", help="What live, record and stages run on.")] = "demo",
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="How long.")] = 20.0,
    model: Model = "open",
    device: DeviceOption = Device.auto,
    engine: EngineOption = Engine.auto,
    config: Annotated[Path | None, typer.Option("--config", help="What network and training build.")] = None,
    settings: Settings = None,
    panel: Annotated[
        Panel | None, typer.Option("--panel", help="For live: what is open beside the picture; none closes all.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="JSON file for the figures.")] = None,
) -> int:
    """Measure this machine: the window's frame rate and stalls, milliseconds per stage, or a network's speed."""
    run_bench(
        BenchOptions(
            what, source, seconds, model, device.value, engine.value, config, tuple(settings or ()),
            None if panel is None else panel.value, output,
        )
    )  # fmt: skip
    return DONE
