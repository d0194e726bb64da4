"""`process`: a source through the whole pipeline into files, without a display."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from app.cli.console import cancellable, console, progress_bar
from app.cli.estimators import hand_length_for, load_estimator
from app.cli.options import (
    CANCELLED,
    DONE,
    Axes,
    Bone,
    Calibration,
    Device,
    DeviceOption,
    Engine,
    EngineOption,
    FovOfSource,
    HandLength,
    Model,
    exports_help,
    measured_hand,
)
from app.cli.source_losses import tell_losses, warn
from app.environment import PROGRAM, version_of
from app.notices import BEYOND_LENS_HINT, BEYOND_LENS_TITLE, IN_VIEW_HINT, LEAST_IN_VIEW, count_of, in_view_title
from app.sessions.session_tap import model_hash
from handdgp_core.errors import UsageError
from handdgp_core.estimation.hand_size import MeasuredLength
from handdgp_core.evaluation.side_by_side import OtherModel, SideBySide, short_names
from handdgp_core.export.exporter import NAMES, ExporterGroup, ExportOptions, open_exporters
from handdgp_core.files import locked_output, prepare_output, write_json
from handdgp_core.geometry.camera import Camera
from handdgp_core.pipeline import estimated_frames
from handdgp_core.privacy import public_name
from handdgp_core.sources.cameras import CameraChooser, CameraFrame
from handdgp_core.sources.open import open_source
from handdgp_core.sources.protocol import Source
from handdgp_core.sources.session import cameras_of
from handdgp_core.types import Hand

if TYPE_CHECKING:
    from handdgp_core.estimation.estimator import HandEstimator

_DEFAULT_FPS = 30.0


@dataclass(frozen=True)
class ProcessOptions:
    """What `process` was asked for; names as on the command line."""

    source: str
    output: Path
    calibration: Path | None = None
    horizontal_fov_deg: float | None = None
    model: str = "open"
    device: str = "auto"
    engine: str = "auto"
    hand_length_m: float | None = None
    hand_length_std: float = 0.0
    max_hands: int = 2
    export: tuple[str, ...] = ()
    axes: str | None = None
    every: int = 1
    limit: int | None = None
    beside: tuple[str, ...] = ()


@dataclass
class RunCounts:
    """Counts of a run so far."""

    frames: int = 0
    frames_with_hands: int = 0
    hands: int = 0
    degenerate: int = 0
    beyond_lens: int = 0
    in_view: list[float] = field(default_factory=list)
    handedness: dict[str, int] = field(default_factory=lambda: {"left": 0, "right": 0})
    tracks: set[int] = field(default_factory=set)
    stage_ms: dict[str, list[float]] = field(default_factory=dict)
    first_camera: Camera | None = None
    mirrored: int = 0

    def add(self, frame: CameraFrame, hands: Sequence[Hand], stage_ms: dict[str, float], beyond_lens: int) -> None:
        camera = frame.used_camera
        self.frames += 1
        self.mirrored += frame.transform is not None and frame.transform.is_mirrored
        self.beyond_lens += beyond_lens
        self.frames_with_hands += bool(hands)
        self.hands += len(hands)
        self.first_camera = self.first_camera or camera
        for hand in hands:
            self.degenerate += hand.degenerate is not None
            self.in_view.append(hand.in_view)
            self.handedness[hand.handedness] += 1
            self.tracks.add(hand.track_id)
        for stage, time_ms in stage_ms.items():
            self.stage_ms.setdefault(stage, []).append(time_ms)


def process(options: ProcessOptions) -> bool:
    """Run `process`. Returns False if it was cancelled; what was done until then is on disk all the same.

    Raises:
        HandDGPError: bad input, or an output that cannot be written.
    """
    for name, value in (("--every", options.every), ("--limit", options.limit)):
        if value is not None and value < 1:
            raise UsageError(f"{name} cannot be {value}.", hint="Give 1 or more.")
    short_names([options.model, *options.beside])
    with ExitStack() as held:
        return _process(options, held)


def _process(options: ProcessOptions, held: ExitStack) -> bool:
    """`held` keeps other runs out of the output folder until summary.json is written."""
    from handdgp_core.estimation.models import limit_threads  # PyTorch takes seconds, which --help need not

    limit_threads(options.model)
    calibration = Camera.load(options.calibration) if options.calibration else None
    counts, started_s = RunCounts(), time.perf_counter()
    with open_source(options.source) as source, cancellable() as cancelled:
        chooser = cameras_of(source, calibration, options.horizontal_fov_deg)
        output = held.enter_context(locked_output(prepare_output(options.output)))
        length = hand_length_for(source, options.hand_length_m, options.hand_length_std)
        count = _frames_to_come(source, options)
        estimator = load_estimator(options.model, options.device, length, options.max_hands, options.engine, count)
        loaded_s = time.perf_counter()
        try:
            export = ExportOptions(
                camera_axes=options.axes,
                fps=(source.nominal_fps or _DEFAULT_FPS) / options.every,
                faces=estimator.faces,
                vertex_count=int(estimator.faces.max()) + 1,
            )
            with ExitStack() as opened:
                others = _others(options, length, count, output, opened)
                exporters = opened.enter_context(open_exporters(["npz", *options.export], output, export))
                _run(source, estimator, chooser, exporters, others, counts, cancelled, options)
        finally:
            estimator.close()
    elapsed_s = time.perf_counter() - loaded_s
    summary = _summary(options, source, estimator, counts, elapsed_s, loaded_s - started_s)
    summary["cancelled"] = cancelled.is_set()
    if others.models:
        others.write(output / "differences.csv")
        summary["beside"] = others.summary()
    write_json(output / "summary.json", summary)
    _tell(counts, summary, source, options)
    return not cancelled.is_set()


def _others(
    options: ProcessOptions, length: MeasuredLength, count: int | None, output: Path, opened: ExitStack
) -> SideBySide:
    """The models of `--beside`, each with a folder of its own."""
    names = short_names([options.model, *options.beside])[1:]
    models = []
    for name, model in zip(names, options.beside, strict=True):
        # "auto": a model that ONNX Runtime does not run may stand beside one that it does.
        estimator = load_estimator(model, options.device, length, options.max_hands, "auto", count)
        opened.callback(estimator.close)
        export = ExportOptions(faces=estimator.faces, vertex_count=int(estimator.faces.max()) + 1)
        exporters = open_exporters(["npz"], output / "beside" / name, export)
        models.append(OtherModel(name, estimator, opened.enter_context(exporters)))
    return SideBySide(models)


def _run(
    source: Source,
    estimator: HandEstimator,
    chooser: CameraChooser,
    exporters: ExporterGroup,
    others: SideBySide,
    counts: RunCounts,
    cancelled: threading.Event,
    options: ProcessOptions,
) -> None:
    with progress_bar(source.name, _frames_to_come(source, options)) as bar:
        for result in estimated_frames(
            source,
            estimator,
            chooser,
            select=lambda frame: frame.index % options.every == 0,
            limit=options.limit,
            stop=cancelled,
            on_wait=bar.console.print,
        ):
            if counts.frames == 0 and chooser.calibration and result.frame.camera is not None and not chooser.overrides:
                bar.console.print("This source knows its own camera: the calibration given is not used.")
            exporters.add(result.frame, result.hands, result.camera)
            counts.add(result.frame, result.hands, estimator.stage_ms, estimator.beyond_lens)
            others.add(result)
            bar.advance(bar.task_ids[0])


def _frames_to_come(source: Source, options: ProcessOptions) -> int | None:
    """How many frames will be processed; None where a source without an end has no limit either."""
    in_source = None if source.frame_count is None else -(-source.frame_count // options.every)
    known = [count for count in (in_source, options.limit) if count is not None]
    return min(known, default=None)


def _summary(
    options: ProcessOptions,
    source: Source,
    estimator: HandEstimator,
    counts: RunCounts,
    elapsed_s: float,
    load_s: float,
) -> dict[str, object]:
    return {
        "program": {"name": PROGRAM, "version": version_of(), "python": platform.python_version()},
        "parts": {
            name: version_of(name) for name in ("torch", "onnxruntime", "mediapipe", "opencv-contrib-python", "numpy")
        },
        "source": {
            "name": source.name,
            "rendered": source.is_rendered,
            "warning": source.warning,
            "skipped": [list(entry) for entry in source.skipped],
            "stored_mirrored": counts.mirrored,
        },
        "camera": camera_facts(counts.first_camera),
        "model": public_name(estimator.model_name),
        "model_sha256": model_hash(options.model),
        "engine": estimator.engine,
        "positioning": estimator.method,
        "hand_length_mm": None if estimator.hand_length_m is None else estimator.hand_length_m * 1e3,
        "hand_length_std": estimator.hand_length_std,
        "frames": counts.frames,
        "frames_with_hands": counts.frames_with_hands,
        "hands": counts.hands,
        "hands_by_handedness": counts.handedness,
        "tracks": len(counts.tracks),
        "degenerate_hands": counts.degenerate,
        "hands_beyond_lens": counts.beyond_lens,
        "hand_in_view": {
            "mean": float(np.mean(counts.in_view)) if counts.in_view else None,
            "hands_below_half": sum(part < LEAST_IN_VIEW for part in counts.in_view),
        },
        "every": options.every,
        "limit": options.limit,
        "load_s": load_s,
        "elapsed_s": elapsed_s,
        "frames_per_s": counts.frames / elapsed_s if elapsed_s > 0 else 0.0,
        "stage_ms": {
            stage: {"median": float(np.median(times)), "mean": float(np.mean(times)), "max": float(np.max(times))}
            for stage, times in counts.stage_ms.items()
        },
        "searches": estimator.search_cost.runs,
        "units": "metres, OpenCV camera axes (x right, y down, z forward) unless an export says otherwise",
    }


def camera_facts(camera: Camera | None) -> dict[str, object] | None:
    """A camera for JSON."""
    if camera is None:
        return None
    return {
        "name": camera.name,
        "source": camera.source,
        "width": camera.width,
        "height": camera.height,
        "matrix": camera.matrix.tolist(),
        "distortion": camera.distortion.tolist(),
        "lens": camera.lens,
        "scaled_from": camera.derived_from,
    }


def _tell(counts: RunCounts, summary: dict[str, object], source: Source, options: ProcessOptions) -> None:
    camera = summary["camera"]
    console.print(
        f"{count_of(counts.frames, 'frame')}, hands in {counts.frames_with_hands}, "
        f"{summary['frames_per_s']:.1f} frames/s; written to {options.output}"
    )
    _tell_beside(summary)
    worst = min(counts.in_view, default=1.0)
    if worst < LEAST_IN_VIEW:
        console.print(f"{in_view_title(worst)} {IN_VIEW_HINT} See hand_in_view in summary.json.", markup=False)
    if counts.beyond_lens:
        console.print(f"{BEYOND_LENS_TITLE} {BEYOND_LENS_HINT} See hands_beyond_lens in summary.json.", markup=False)
    if isinstance(camera, dict) and camera["source"] == "assumed":
        console.print("The camera is not calibrated, so depth is a guess. Give --calibration FILE.")
    elif isinstance(camera, dict) and camera["scaled_from"] is not None:
        width, height = camera["scaled_from"]
        size = f"{camera['width']}x{camera['height']}"
        warn(f"The calibration is for {width}x{height} and was scaled to {size}: right if the camera crops nothing.")
    if counts.mirrored:
        told, them = (
            ("is stored mirrored and was", "it") if counts.mirrored == 1 else ("are stored mirrored and were", "them")
        )
        camera = "" if options.calibration is None else f"; the camera was mirrored with {them}"
        warn(f"{count_of(counts.mirrored, 'picture')} {told} turned round{camera}.")
    tell_losses(source)


def _tell_beside(summary: dict[str, object]) -> None:
    others = summary.get("beside", {})
    assert isinstance(others, dict)
    for name, other in others.items():
        line = f"{name}: {count_of(other['hands'], 'hand')}"
        if other["compared"]:
            root, shape = other["root_mm"], other["shape_mm"]
            line += f"; root {root['median']:.1f} mm and shape {shape['median']:.1f} mm from the first model (medians)"
        console.print(f"{line}. See differences.csv.", markup=False, soft_wrap=True)


def command(
    source: Annotated[
        str, typer.Argument(help="Webcam number, URL, video, folder of images, recorded session, or demo.")
    ],
    output: Annotated[Path, typer.Option("--output", help="Folder for the results.")],
    calibration: Calibration = None,
    fov: FovOfSource = None,
    model: Model = "open",
    device: DeviceOption = Device.auto,
    engine: EngineOption = Engine.auto,
    hand_length_mm: HandLength = None,
    bone: Bone = None,
    max_hands: Annotated[int, typer.Option("--max-hands", min=1, max=2)] = 2,
    export: Annotated[
        list[str] | None,
        typer.Option("--export", help=exports_help(NAMES)),
    ] = None,
    axes: Annotated[
        Axes | None, typer.Option("--axes", help="Axes of exported meshes. Default: opencv, and opengl for GLB.")
    ] = None,
    every: Annotated[int, typer.Option("--every", min=1, help="Every Nth frame.")] = 1,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after this many frames.")] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--beside", help="Another model on the same frames, into beside/NAME, with differences.csv."),
    ] = None,
) -> int:
    """A source through the whole pipeline, without a display. Writes predictions.npz and summary.json."""
    hand = measured_hand(hand_length_mm, bone)
    options = ProcessOptions(
        source=source,
        output=output,
        calibration=calibration,
        horizontal_fov_deg=fov,
        model=model,
        device=device.value,
        engine=engine.value,
        hand_length_m=hand.length_m,
        hand_length_std=hand.std,
        max_hands=max_hands,
        export=tuple(name.strip() for entry in export or [] for name in entry.split(",") if name.strip()),
        axes=None if axes is None else axes.value,
        every=every,
        limit=limit,
        beside=tuple(beside or ()),
    )
    return DONE if process(options) else CANCELLED
