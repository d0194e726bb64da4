"""`export`: a recorded session into files for other programs: the recorded results, or those of a model run again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

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
    HandLength,
    exports_help,
    measured_hand,
)
from app.cli.source_losses import warn
from app.notices import count_of
from handdgp_core.errors import UsageError
from handdgp_core.export.exporter import NAMES, ExporterGroup, ExportOptions, open_exporters
from handdgp_core.files import locked_output, prepare_output
from handdgp_core.geometry.camera import Camera
from handdgp_core.pipeline import EstimatedFrame, estimated_frames
from handdgp_core.sessions.reader import DamagedFrame
from handdgp_core.sessions.scan import describe_losses
from handdgp_core.sources.cameras import CameraChooser, with_camera
from handdgp_core.sources.open import open_source
from handdgp_core.sources.protocol import frames
from handdgp_core.sources.session import SessionSource

if TYPE_CHECKING:
    from handdgp_core.estimation.estimator import HandEstimator

_DEFAULT_FPS = 30.0


class _Reading(TypedDict):
    """How a source is read."""

    stop: threading.Event
    on_wait: Callable[[str], None]


@dataclass(frozen=True)
class ExportRequest:
    """What `export` was asked for; names as on the command line. Without a model: the recorded results."""

    session: Path
    output: Path
    formats: tuple[str, ...]
    axes: str | None = None
    model: str | None = None
    device: str = "auto"
    calibration: Path | None = None
    hand_length_m: float | None = None
    hand_length_std: float = 0.0


@dataclass
class _Counts:
    frames: int = 0
    without_result: int = 0
    damaged: int = 0
    hands: int = 0


def export(request: ExportRequest) -> bool:
    """Run `export`. Returns False if it was cancelled; what was done until then is on disk all the same.

    Raises:
        HandDGPError: bad input, or an output that cannot be written.
    """
    unknown = [name for name in request.formats if name not in NAMES]
    if unknown or not request.formats:
        found = f"There is no format {' or '.join(map(repr, unknown))}." if unknown else "--format names none."
        raise UsageError(found, hint=f"Choose among {', '.join(NAMES)}, separated by commas.")
    if request.model is None and (request.calibration or request.hand_length_m):
        raise UsageError(
            "Recorded results cannot be changed to another calibration or hand length.",
            hint="Give --model NAME to run a model again.",
        )
    source = open_source(str(request.session))
    with source, cancellable() as cancelled:
        if not isinstance(source, SessionSource):
            raise UsageError(
                f"{request.session} is not a recorded session (.mcap).", hint="Use `process` for other sources."
            )
        estimator = _estimator(request, source)
        options = ExportOptions(
            camera_axes=request.axes,
            fps=source.nominal_fps or _DEFAULT_FPS,
            faces=None if estimator is None else estimator.faces,
            vertex_count=None if estimator is None else int(estimator.faces.max()) + 1,
        )
        try:
            output = locked_output(prepare_output(request.output))
            with output as folder, open_exporters(request.formats, folder, options) as exporters:
                counts = _run(source, estimator, request, exporters, cancelled)
                files = exporters
        finally:
            if estimator is not None:
                estimator.close()
        _tell(source, counts, files.files, request)
    return not cancelled.is_set()


def _estimator(request: ExportRequest, source: SessionSource) -> HandEstimator | None:
    if request.model is None:
        return None
    from handdgp_core.estimation.models import limit_threads

    limit_threads(request.model)
    length = hand_length_for(source, request.hand_length_m, request.hand_length_std)
    return load_estimator(request.model, request.device, length)


def _results(
    source: SessionSource, estimator: HandEstimator | None, request: ExportRequest, counts: _Counts, how: _Reading
) -> Iterator[EstimatedFrame]:
    """The recorded results, or those of a model over every frame."""
    if estimator is not None:
        calibration = Camera.load(request.calibration) if request.calibration else None
        yield from estimated_frames(source, estimator, CameraChooser(calibration, overrides=True), **how)
        return
    fallback = CameraChooser()
    for frame in frames(source, **how):
        try:
            recorded = source.session.hands(frame.index)
            counts.without_result += recorded is None
        except DamagedFrame:
            recorded = None
            counts.damaged += 1
        if recorded is None:
            yield EstimatedFrame(fallback.choose(frame), [])
        else:
            yield EstimatedFrame(with_camera(frame, recorded.camera), recorded.hands)


def _run(
    source: SessionSource,
    estimator: HandEstimator | None,
    request: ExportRequest,
    exporters: ExporterGroup,
    cancelled: threading.Event,
) -> _Counts:
    counts = _Counts()
    with progress_bar(source.name, source.frame_count) as bar:
        how: _Reading = {"stop": cancelled, "on_wait": bar.console.print}
        for result in _results(source, estimator, request, counts, how):
            counts.frames += 1
            counts.hands += len(result.hands)
            exporters.add(result.frame, result.hands, result.camera)
            bar.update(bar.task_ids[0], completed=result.frame.index + 1)
    return counts


def _tell(source: SessionSource, counts: _Counts, files: list[Path], request: ExportRequest) -> None:
    hands, written = count_of(counts.hands, "hand"), count_of(len(files), "file")
    console.print(f"{count_of(counts.frames, 'frame')}, {hands}, {written} in {request.output}", markup=False)
    if counts.without_result:
        without = count_of(counts.without_result, "frame")
        console.print(
            f"{without} without a recorded result (the model was busy), exported without hands. "
            "--model NAME runs a model on every frame.",
            soft_wrap=True,
        )
    if counts.damaged:
        warn(f"{count_of(counts.damaged, 'frame')} with a damaged result, exported without hands.")
    lost = describe_losses(source.session.losses)
    if lost or source.skipped:
        warn(f"Skipped: {count_of(len(source.skipped), 'damaged frame')}. {lost}")
    if source.is_rendered:
        console.print("The recorded frames were rendered, not taken by a camera.")


def command(
    session: Annotated[Path, typer.Argument(help="A recorded session (.mcap).")],
    output: Annotated[Path, typer.Option("--output", help="Folder for the files.")],
    file_format: Annotated[
        list[str],
        typer.Option("--format", help=exports_help(NAMES)),
    ],
    axes: Annotated[
        Axes | None, typer.Option("--axes", help="Axes of OBJ and PLY files. Default: opencv. GLB has its own.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Run this model on every frame instead of using the recorded results."),
    ] = None,
    device: DeviceOption = Device.auto,
    calibration: Calibration = None,
    hand_length_mm: HandLength = None,
    bone: Bone = None,
) -> int:
    """A recorded session as meshes, one animated GLB with its camera, tables, video, or a FreiHAND-like folder."""
    hand = measured_hand(hand_length_mm, bone)
    request = ExportRequest(
        session=session,
        output=output,
        formats=tuple(name.strip().lower() for entry in file_format for name in entry.split(",") if name.strip()),
        axes=None if axes is None else axes.value,
        model=model,
        device=device.value,
        calibration=calibration,
        hand_length_m=hand.length_m,
        hand_length_std=hand.std,
    )
    return DONE if export(request) else CANCELLED
