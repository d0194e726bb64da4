"""`calibrate`: a camera from a folder of pictures, a video or a live source, without a display."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from app.cli.calibration_views import collect, explain_few
from app.cli.compare import hand_differences
from app.cli.console import cancellable, console
from app.cli.options import CANCELLED, DONE
from calib.boards import Board
from calib.lens_models import LENS_MODELS, RADTAN, LensModel
from calib.quality import Verdict, judge
from calib.quality import calibrate as solve_and_judge
from calib.report import write_report
from calib.rolling_shutter import shutter_words
from calib.solve import MIN_VIEWS, Solution, solve
from calib.views import View
from handdgp_core.errors import CalibrationError
from handdgp_core.files import write_json
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.open import open_source

_MOST_OUTLIERS = 0.25  # of the views: where more do not fit, it is not they that are wrong


@dataclass(frozen=True)
class CalibrateOptions:
    """What `calibrate` was asked for; names as on the command line."""

    source: str
    board: str
    output: Path
    report: Path | None = None
    format: str = "ros"
    every: int = 1
    compare: Path | None = None
    lens: str = "auto"


def calibrate(options: CalibrateOptions) -> bool:
    """Run `calibrate`. Returns False if it was cancelled before there were views enough.

    Raises:
        HandDGPError: bad input, views that cannot calibrate, or a place that cannot be written.
    """
    board = Board.parse(options.board)
    before = None if options.compare is None else Camera.load(options.compare)
    with open_source(options.source) as source, cancellable() as cancelled:
        found = collect(source, board, options.every, cancelled)
        name = source.name
    _say(found.remarks)
    if len(found.views) < MIN_VIEWS:
        if cancelled.is_set():
            return False
        explain_few(board, found)
    console.print(f"Board found in {len(found.views)} of {found.frames} pictures. Solving.", markup=False)
    solution, verdict, dropped = _without_outliers(board, found.views, LENS_MODELS.get(options.lens))
    remarks = [f"Left out, because it does not fit the others: {', '.join(dropped)}."] if dropped else []
    if options.format == "kalibr" and solution.lens.lens != "fisheye" and verdict.usable:
        solution, verdict, remark = _without_k3(solution, [view for view in found.views if view.name not in dropped])
        remarks.append(remark)
    shutter = shutter_words(solution, found.moving.kept) if verdict.usable else ""
    remarks += [shutter] if shutter else []
    if before is not None:
        remarks += hand_differences(before, solution.camera)
    if options.report is not None:
        write_report(options.report, name, solution, verdict, [*remarks, *found.remarks], found.pictures)
    _say([*verdict.notes, *remarks])
    if not verdict.usable:
        advice = f"{verdict.advice[:1].upper()}{verdict.advice[1:]}." if verdict.advice else ""
        raise CalibrationError(f"These views do not determine the camera: {'; '.join(verdict.reasons)}.", hint=advice)
    _write(options, solution, verdict, name)
    print(f"{verdict.headline}. Wrote {options.output}.")
    return True


def _without_outliers(board: Board, views: list[View], lens: LensModel | None) -> tuple[Solution, Verdict, list[str]]:
    """Solve, leave out the few views that do not fit, and solve again."""
    dropped: list[str] = []
    solution, verdict = solve_and_judge(board, views, lens=lens)
    for _ in range(3):
        outliers = verdict.outliers
        if not outliers or len(dropped) + len(outliers) > _MOST_OUTLIERS * (len(views) + len(dropped)):
            break
        dropped += [views[index].name or f"view {index + 1}" for index in outliers]
        views = [view for index, view in enumerate(views) if index not in outliers]
        solution, verdict = solve_and_judge(board, views, lens=lens)
    return solution, verdict, dropped


def _without_k3(before: Solution, views: list[View]) -> tuple[Solution, Verdict, str]:
    """The same views with the lens that Kalibr's model has: k1 k2 p1 p2."""
    solution = solve(before.board, views, lens=RADTAN)
    remark = (
        f"Kalibr's lens model has no k3: corners are {solution.rms_px:.3f} px off with it (rms), "
        f"{before.rms_px:.3f} px with {before.lens.name}."
    )
    return solution, judge(solution), remark


def _write(options: CalibrateOptions, solution: Solution, verdict: Verdict, name: str) -> None:
    camera = replace(solution.camera, name=name)
    if options.format == "kalibr" and camera.lens != "fisheye":
        camera = replace(camera, distortion=camera.distortion[:4], std=None if camera.std is None else camera.std[:8])
    options.output.parent.mkdir(parents=True, exist_ok=True)
    camera.save(options.output, cast(Literal["ros", "opencv", "kalibr"], options.format))
    if options.output.suffix.lower() in (".yaml", ".yml"):
        write_json(
            options.output.with_suffix(".json"),
            {
                "headline": verdict.headline,
                "grade": verdict.grade,
                "focal_percent": verdict.focal_percent,
                "depth_mm_at_half_a_metre": verdict.depth_mm,
                "lens": solution.lens.name,
                "rms_px": solution.rms_px,
                "views": len(solution.views),
                "board": solution.board.spec,
                "board_bend_mm": (1e3 * solution.shape_m).tolist(),
                "notes": list(verdict.notes),
            },
        )


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


class Lens(StrEnum):
    auto = "auto"
    plumb_bob = "plumb_bob"
    fisheye = "fisheye"
    rational = "rational"


class CameraFormat(StrEnum):
    ros = "ros"
    opencv = "opencv"
    kalibr = "kalibr"


def command(
    source: Annotated[str, typer.Argument(help="Folder of images, video, webcam number or URL.")],
    board: Annotated[
        str,
        typer.Option(
            "--board",
            help="charuco:10x7:26:19 (squares, mm), chessboard:9x6:25 (corners) or aprilgrid:6x6:20:6 (tags).",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", help="Camera file to write (YAML).")],
    report: Annotated[Path | None, typer.Option("--report", help="HTML report with plots and pictures.")] = None,
    format: Annotated[CameraFormat, typer.Option("--format", help="Form of the camera file.")] = CameraFormat.ros,
    lens: Annotated[
        Lens, typer.Option("--lens", help="Lens model; auto takes the one that predicts held-out views best.")
    ] = Lens.auto,
    every: Annotated[int, typer.Option("--every", min=1, help="Every Nth frame.")] = 1,
    compare: Annotated[
        Path | None, typer.Option("--compare", help="Another camera file: say where it puts a hand instead.")
    ] = None,
) -> int:
    """Intrinsics from pictures of a board. Videos give the frames in which it is sharp, still and new."""
    options = CalibrateOptions(source, board, output, report, format.value, every, compare, lens.value)
    return DONE if calibrate(options) else CANCELLED
