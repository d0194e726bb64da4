"""`evaluate`: a model against labelled hands, with both DGP solves."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from app.commands.console import cancellable, console, progress_bar
from app.commands.files import write_json
from handdgp_core.errors import UsageError
from handdgp_core.estimation.estimator import HandEstimator
from handdgp_core.estimation.predictor import PositioningMethod
from handdgp_core.evaluation.protocols import evaluate_demo, evaluate_folder
from handdgp_core.evaluation.summary import Pairs, summarise

DATASETS = ("frames", "demo")
METHODS: tuple[PositioningMethod, ...] = ("published", "refined")


@dataclass(frozen=True)
class EvaluateOptions:
    """What `evaluate` was asked for; names as on the command line."""

    dataset: str
    root: Path | None
    output: Path
    model: str = "landmarks"
    device: str = "auto"
    hand_length_m: float | None = None
    left_out: tuple[int, ...] = (0,)


def evaluate(options: EvaluateOptions) -> bool:
    """Run `evaluate`; False if it was cancelled (then nothing is written: part of a data set is no figure).

    Raises:
        HandDGPError: bad input, or an output that cannot be written.
    """
    if options.dataset not in DATASETS:
        raise UsageError(f"a data set out of {', '.join(DATASETS)}", repr(options.dataset))
    results: dict[PositioningMethod, dict[str, Any]] = {}
    with cancellable() as cancelled:
        for method in METHODS:
            pairs = _run(options, method, cancelled)
            if cancelled.is_set():
                return False
            results[method] = summarise(pairs, options.left_out)
    write_json(options.output, {"dataset": options.dataset, "model": options.model, "positioning": results})
    _show(results)
    return True


def _run(options: EvaluateOptions, method: PositioningMethod, cancelled: threading.Event) -> Pairs:
    estimator = HandEstimator.from_weights(options.model, options.device, options.hand_length_m, method=method)
    try:
        with progress_bar(f"{options.dataset}, {method} solve", None) as bar:

            def progress(done: int, total: int) -> None:
                bar.update(bar.task_ids[0], completed=done, total=total)

            if options.dataset == "demo":
                return evaluate_demo(estimator, progress, cancelled)
            if options.root is None:
                raise UsageError("--root FOLDER with the pictures", "none", "give --root")
            return evaluate_folder(options.root, estimator, progress, cancelled)
    finally:
        estimator.close()


def _show(results: dict[PositioningMethod, dict[str, Any]]) -> None:
    table = Table("error, mm (mean / median / 90 %)", *results)
    keys = [key for key in next(iter(results.values())) if key.endswith("_mm")]
    for key in keys:
        table.add_row(key, *(_three(result[key]) for result in results.values()))
    for distance in next(iter(results.values()))["camera_space_mm_by_distance"]:
        cells = [result["camera_space_mm_by_distance"].get(distance) for result in results.values()]
        table.add_row(f"camera space, {distance}", *("" if cell is None else _three(cell) for cell in cells))
    Console(width=100).print(table)
    for method, result in results.items():
        console.print(
            f"{method}: {result['found']} of {result['hands']} hands found, "
            f"{100 * result['handedness_right_fraction']:.1f} % on the right side"
        )


def _three(spread: dict[str, float]) -> str:
    return f"{spread['mean']:.1f} / {spread['median']:.1f} / {spread['percentile_90']:.1f} ({spread['count']})"
