"""`figures`: pictures that show one hand by several methods, as the paper's supplement does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from app.cli.console import cancellable, console, progress_bar
from app.cli.options import (
    CANCELLED,
    DONE,
    Bone,
    Calibration,
    Device,
    DeviceOption,
    Fov,
    HandLength,
    measured_hand,
)
from app.cli.source_losses import tell_losses
from app.notices import count_of
from handdgp_core.errors import UsageError
from handdgp_core.files import prepare_output, write_bytes, write_json
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.cameras import CameraChooser
from handdgp_core.sources.open import open_source
from handdgp_core.sources.protocol import Source, check_index

if TYPE_CHECKING:
    from handdgp_core.estimation.hand_size import MeasuredLength
    from handdgp_core.evaluation.figures import FigureSample, Method

_MOST_METHODS = 4  # as many colours are told apart


def command(
    source: Annotated[str, typer.Argument(help="Video, folder of images, recorded session, or demo.")],
    output: Annotated[Path, typer.Option("--output", help="Folder for the figures.")],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="A model to show: open, landmarks, or a .safetensors file. Repeatable."),
    ] = None,
    results: Annotated[
        list[str] | None,
        typer.Option(
            "--results",
            help="Another method's results: NAME=predictions.npz, or NAME=pred.json (FreiHAND). Repeatable.",
        ),
    ] = None,
    frames: Annotated[
        str, typer.Option("--frames", help="Frame numbers such as 30,180. Default: spread over the source.")
    ] = "",
    count: Annotated[int, typer.Option("--count", min=1, help="How many frames, where --frames is not given.")] = 4,
    size: Annotated[int, typer.Option("--size", min=64, max=1024, help="Side of each picture, pixels.")] = 280,
    calibration: Calibration = None,
    fov: Fov = 60.0,
    device: DeviceOption = Device.auto,
    hand_length_mm: HandLength = None,
    bone: Bone = None,
) -> int:
    """Draw hands by several methods side by side: projection, network input, weights, and the scene from three sides.

    Writes one PNG for each hand, and figures.json with the numbers shown.
    """
    hand = measured_hand(hand_length_mm, bone)
    names = [_named(entry) for entry in results or []]
    models = model or ([] if names else ["open"])
    if len(models) + len(names) > _MOST_METHODS:
        raise UsageError(f"A figure shows at most {_MOST_METHODS} methods.", hint="Make two figures.")
    camera = Camera.load(calibration) if calibration else None
    with ExitStack() as stack:
        opened = stack.enter_context(open_source(source))
        cancelled = stack.enter_context(cancellable())
        indices = _indices(opened, frames, count)
        methods = [*_models(models, device.value, hand, stack), *_result_files(names)]
        chooser = CameraChooser(camera, fov)
        from handdgp_core.evaluation.figures import figure_samples

        folder, about = prepare_output(output), []
        bar = stack.enter_context(progress_bar(opened.name, None))
        for sample in figure_samples(opened, methods, chooser, indices, cancelled):
            about.append(_draw(folder, sample, size))
            bar.advance(bar.task_ids[0])
        write_json(folder / "figures.json", {"source": opened.name, "figures": about})
    console.print(f"{count_of(len(about), 'figure')} written to {output}")
    if not about:
        console.print("No hand was found in these frames. Choose others with --frames.")
    tell_losses(opened)
    return CANCELLED if cancelled.is_set() else DONE


def _named(entry: str) -> tuple[str, Path]:
    name, equals, path = entry.partition("=")
    if not (name and equals and path):
        raise UsageError(f"--results {entry} is not NAME=FILE.", hint="Such as --results hasson=their/predictions.npz.")
    return name, Path(path)


def _indices(source: Source, frames: str, count: int) -> frozenset[int]:
    from handdgp_core.evaluation.figures import spread_indices

    if frames:
        try:
            wanted = frozenset(int(part) for part in frames.split(","))
        except ValueError as error:
            raise UsageError(f"--frames {frames} is no list of frame numbers.", hint="Such as 30,180.") from error
        for index in sorted(wanted):
            check_index(index, source.frame_count or index + 1, source.name)
        return wanted
    if source.is_live or not source.frame_count:
        raise UsageError("It is not known how many frames this source has.", hint="Choose them with --frames 0,30.")
    return spread_indices(count, source.frame_count)


def _models(names: Sequence[str], device: str, hand: MeasuredLength, stack: ExitStack) -> list[Method]:
    from handdgp_core.detection.landmarker import MediaPipeHandFinder
    from handdgp_core.estimation.estimator import HandEstimator
    from handdgp_core.estimation.models import limit_threads, load_predictor
    from handdgp_core.evaluation.figures import RunModel

    methods: list[Method] = []
    for name in names:
        limit_threads(name)
        predictor = load_predictor(name, device)
        estimator = HandEstimator(predictor, MediaPipeHandFinder(), hand.length_m, hand_length_std=hand.std)
        stack.callback(estimator.close)
        methods.append(RunModel(Path(name).stem, estimator))
    return methods


def _result_files(named: Sequence[tuple[str, Path]]) -> list[Method]:
    from handdgp_core.evaluation.result_files import ResultFile

    return [ResultFile(name, path) for name, path in named]


def _draw(folder: Path, figure: FigureSample, size: int) -> dict[str, Any]:
    """Write the PNG; what it shows in numbers."""
    import cv2

    from handdgp_core.drawing.comparison import draw_comparison

    drawn = draw_comparison(figure.sample, size)
    name = f"{figure.key}.png"
    write_bytes(folder / name, cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))[1].tobytes())
    true_m = figure.sample.true_root_m
    roots = {
        method.name: None if method.hand is None or method.hand.degenerate else method.hand.root_m.tolist()
        for method in figure.sample.methods
    }
    errors = {
        method: None if root is None or true_m is None else 1e3 * float(np.linalg.norm(np.array(root) - true_m))
        for method, root in roots.items()
    }
    return {
        "file": name,
        "frame_index": figure.frame.index,
        "image": figure.frame.name,
        "root_m": roots,
        "true_root_m": None if true_m is None else true_m.tolist(),
        "root_error_mm": errors,
    }
