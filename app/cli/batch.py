"""`batch`: many videos, recordings and folders of images, on all cores of this machine or on a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import cancellable, console, progress_bar
from app.cli.options import (
    BAD_INPUT,
    CANCELLED,
    DONE,
    Bone,
    Calibration,
    Device,
    DeviceOption,
    Engine,
    EngineOption,
    FovOfSource,
    HandLength,
    Model,
    measured_hand,
)
from app.cli.source_losses import warn
from app.notices import count_of


def command(
    inputs: Annotated[
        list[str],
        typer.Argument(help="Videos, recordings, folders, patterns in quotes, or .txt files with one of these a line."),
    ],
    output: Annotated[Path, typer.Option("--output", help="Folder for the results; one that was begun goes on.")],
    address: Annotated[
        str | None, typer.Option("--address", help="A Ray cluster to join, or auto. Default: this machine alone.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes. Default: as many as there is room for.")
    ] = None,
    cpus: Annotated[float, typer.Option("--cpus", min=0.01, help="Processors of each.")] = 1.0,
    gpus: Annotated[float, typer.Option("--gpus", min=0.0, help="GPUs of each; 0.25 lets four share one.")] = 0.0,
    retries: Annotated[int, typer.Option("--retries", min=0, help="After a process died.")] = 2,
    part_s: Annotated[
        float, typer.Option("--part-seconds", min=0.0, help="Longer videos are split into such parts; 0: none is.")
    ] = 600.0,
    calibration: Calibration = None,
    fov: FovOfSource = None,
    model: Model = "open",
    device: DeviceOption = Device.auto,
    engine: EngineOption = Engine.auto,
    hand_length_mm: HandLength = None,
    bone: Bone = None,
    max_hands: Annotated[int, typer.Option("--max-hands", min=1, max=2)] = 2,
) -> int:
    """Predictions of many inputs, as a Parquet data set and a predictions.npz each. Code 2 where an input failed."""
    from app.batch.cluster import ClusterOptions  # Ray takes a moment, and comes with an extra
    from app.batch.run import BatchOptions, BatchReport, run_batch
    from app.batch.worker import ModelOptions

    hand = measured_hand(hand_length_mm, bone)
    options = BatchOptions(
        tuple(inputs),
        output,
        ModelOptions(
            model, device.value, engine.value, None if calibration is None else calibration.absolute(), fov,
            hand.length_m, hand.std, max_hands,
        ),
        ClusterOptions(address, workers, cpus, gpus, retries),
        part_s=part_s or None,
    )  # fmt: skip
    with cancellable() as stop, progress_bar("batch", None, "parts") as bar:

        def show(done: int, jobs: int, report: BatchReport) -> None:
            failed = f", {len(report.failed)} failed" if report.failed else ""
            bar.update(bar.task_ids[0], total=jobs, completed=done, description=f"parts{failed}")

        report = run_batch(options, stop, show)
    for path, error in report.failed.items():
        warn(f"{path}: {error}")
    done = f"{count_of(len(report.done), 'input')} done, {len(report.skipped)} done before, {len(report.failed)} failed"
    rate = f"; {report.frames / report.elapsed_s:.1f} frames/s with {count_of(report.workers, 'worker')}"
    console.print(f"{done}{rate if report.elapsed_s else ''}. Results in {output}", markup=False, soft_wrap=True)
    if report.failed:
        return BAD_INPUT
    return CANCELLED if report.is_cancelled else DONE
