"""A batch from its inputs to its results. One that was stopped or killed goes on where it was."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from app.batch.cluster import ClusterOptions, joined_cluster, run_jobs
from app.batch.dataset import write_partition
from app.batch.inputs import BatchInput, found_inputs
from app.batch.parts import Part, join, split
from app.batch.worker import TABLE, Job, JobResult, ModelOptions
from handdgp_core.errors import HandDGPError, UsageError
from handdgp_core.files import locked_output, prepare_output, remove, write_json
from handdgp_core.sources.open import open_source
from handdgp_core.sources.session import SessionSource

__all__ = ["BatchOptions", "BatchReport", "run_batch"]

_SETTINGS, _FAILURES, _SUMMARY, _DONE, _DATA_SET = "batch.json", "failures.json", "summary.json", "done.json", "hands"
_USUAL_FPS = 30.0


@dataclass(frozen=True)
class BatchOptions:
    """What `batch` was asked for.

    Attributes:
        inputs: as for `found_inputs`.
        output: the folder.
        model, cluster: see there.
        part_s: longer videos are split into parts of this many seconds; None splits none.
        overlap_s: what a part looks at before its beginning, to be in step.
    """

    inputs: tuple[str, ...]
    output: Path
    model: ModelOptions = field(default_factory=ModelOptions)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    part_s: float | None = None
    overlap_s: float = 2.0


@dataclass
class BatchReport:
    """What became of it.

    Attributes:
        done, skipped: inputs, of this run and of one before.
        failed: why, by the path of the input.
        is_cancelled: whether inputs are left.
        frames, hands: of this run, overlaps included.
        elapsed_s: of this run, from the first job on.
    """

    inputs: int = 0
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    is_cancelled: bool = False
    frames: int = 0
    hands: int = 0
    workers: int = 0
    elapsed_s: float = 0.0


@dataclass
class _Open:
    """An input whose parts are not all done."""

    given: BatchInput
    parts: list[tuple[Part, Path]]
    missing: set[int]


def run_batch(
    options: BatchOptions,
    stop: Event | None = None,
    progress: Callable[[int, int, BatchReport], None] = lambda done, jobs, report: None,
) -> BatchReport:
    """Run a batch.

    Args:
        options: see there.
        stop: set it to begin nothing more; what is done is kept.
        progress: told after every job: how many are done, of how many, and the report so far.

    Raises:
        HandDGPError: no inputs, a folder of another batch, no cluster. What is wrong with an input is in the report.
    """
    stop = stop or Event()
    inputs = found_inputs(options.inputs)
    with locked_output(prepare_output(options.output)) as output:
        _same_settings(options, output)
        report = BatchReport(inputs=len(inputs))
        opened = _planned(inputs, options, output, report)
        jobs = [
            Job(plan.given.name, str(plan.given.path), part, folder)
            for plan in opened.values()
            for part, folder in plan.parts
            if part.number in plan.missing
        ]
        if jobs:
            with joined_cluster(options.cluster) as workers:
                report.workers, begun_s = workers, time.perf_counter()
                results = run_jobs(jobs, options.model, options.cluster, workers, stop)
                for count, (job, result) in enumerate(results, start=1):
                    _take(job, result, opened, output, report)
                    report.elapsed_s = time.perf_counter() - begun_s
                    progress(count, len(jobs), report)
        report.is_cancelled = len(report.done) + len(report.skipped) + len(report.failed) < report.inputs
        _write_failures(output, report)
        write_json(output / _SUMMARY, {**asdict(report), "options": _as_json(options)})
    return report


def _planned(inputs: list[BatchInput], options: BatchOptions, output: Path, report: BatchReport) -> dict[str, _Open]:
    """What is left to do, by the input's name; parts that a run before has finished are not missing."""
    opened: dict[str, _Open] = {}
    for given in inputs:
        folder = output / given.name
        if _is_done(given, folder):
            report.skipped.append(given.name)
            continue
        try:
            parts = _parts_of(given, options)
        except HandDGPError as error:
            report.failed[str(given.path)] = error.message
            continue
        mark = f"parts-{given.size_bytes}-{given.changed_ns}"  # of an input that has changed, none counts
        places = [(part, folder if len(parts) == 1 else folder / mark / f"{part.number:03d}") for part in parts]
        missing = {part.number for part, place in places if len(parts) == 1 or not (place / TABLE).exists()}
        opened[given.name] = _Open(given, places, missing)
        if not missing:
            _finish(opened[given.name], output, report)
    return opened


def _parts_of(given: BatchInput, options: BatchOptions) -> list[Part]:
    if options.part_s is None or given.path.is_dir():
        return split(None, None, 0)
    with open_source(str(given.path)) as source:
        if not source.is_seekable or isinstance(source, SessionSource):
            return split(None, None, 0)
        fps = source.nominal_fps or _USUAL_FPS
        return split(source.frame_count, max(1, round(options.part_s * fps)), round(options.overlap_s * fps))


def _take(job: Job, result: JobResult, opened: dict[str, _Open], output: Path, report: BatchReport) -> None:
    plan = opened[job.input_name]
    report.frames += result.frames
    report.hands += result.hands
    if result.error is not None:
        report.failed.setdefault(str(plan.given.path), result.error)
        _write_failures(output, report)
        return
    plan.missing.discard(job.part.number)
    if not plan.missing:
        _finish(plan, output, report)


def _finish(plan: _Open, output: Path, report: BatchReport) -> None:
    """Its tables become one, and a partition of the data set; then it counts as done."""
    folder = output / plan.given.name
    if len(plan.parts) > 1:
        join([(part, place / TABLE) for part, place in plan.parts], folder / TABLE)
    write_partition(folder / TABLE, output / _DATA_SET, plan.given.name)
    write_json(folder / _DONE, {"path": str(plan.given.path), "parts": len(plan.parts), **_mark(plan.given)})
    if len(plan.parts) > 1:
        for _, place in plan.parts:
            remove(place / TABLE)
            place.rmdir()
        plan.parts[0][1].parent.rmdir()
    report.done.append(plan.given.name)


def _mark(given: BatchInput) -> dict[str, int]:
    return {"size_bytes": given.size_bytes, "changed_ns": given.changed_ns}


def _is_done(given: BatchInput, folder: Path) -> bool:
    try:
        said = json.loads((folder / _DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and {name: said.get(name) for name in _mark(given)} == _mark(given)


def _same_settings(options: BatchOptions, output: Path) -> None:
    """Results of one folder were all made in one way. Raises UsageError."""
    settings = _as_json(options)
    path = output / _SETTINGS
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            before = None
        if before != settings:
            raise UsageError(
                f"{output} holds a batch with other settings (see {_SETTINGS} there).",
                hint="Choose another folder, or give the same settings to go on.",
            )
    write_json(path, settings)


def _as_json(options: BatchOptions) -> dict[str, Any]:
    """What the results depend on: not the inputs, nor the number of processes."""
    settings = {**asdict(options.model), "part_s": options.part_s, "overlap_s": options.overlap_s}
    return {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}


def _write_failures(output: Path, report: BatchReport) -> None:
    if report.failed:
        write_json(output / _FAILURES, {"failed": report.failed})
    else:
        remove(output / _FAILURES)
