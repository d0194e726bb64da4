"""`calibrate`: a camera from a folder of pictures, a video or a live source, without a display."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, cast

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import TaskID

from app.cli.console import cancellable, console, progress_bar
from app.cli.options import CANCELLED, DONE
from calib.boards import Board
from calib.detection import BoardDetector, to_grey
from calib.quality import Verdict
from calib.quality import calibrate as solve_and_judge
from calib.report import write_report
from calib.session import CalibrationSession, State
from calib.solve import MIN_VIEWS, Solution
from calib.views import View, common_size
from handdgp_core.errors import CalibrationError
from handdgp_core.files import write_json
from handdgp_core.sources.image_folder import ImageFolderSource
from handdgp_core.sources.open import open_source
from handdgp_core.sources.protocol import Source, frames

_MIRROR_TRIES = 5
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


@dataclass
class _Found:
    views: list[View] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    blank: list[NDArray[np.uint8]] = field(default_factory=list)
    frames: int = 0

    def miss(self, name: str, grey: NDArray[np.uint8]) -> None:
        self.without.append(name)
        if len(self.blank) < _MIRROR_TRIES:
            self.blank.append(grey)


def calibrate(options: CalibrateOptions) -> bool:
    """Run `calibrate`. Returns False if it was cancelled before there were views enough.

    Raises:
        HandDGPError: bad input, views that cannot calibrate, or a place that cannot be written.
    """
    board = Board.parse(options.board)
    with open_source(options.source) as source, cancellable() as cancelled:
        found = _collect(source, board, options.every, cancelled)
        name = source.name
    if cancelled.is_set() and len(found.views) < MIN_VIEWS:
        return False
    _explain_nothing(board, found)
    common_size(found.views)
    console.print(f"Board found in {len(found.views)} of {found.frames} pictures. Solving.", markup=False)
    solution, verdict, dropped = _without_outliers(board, found.views)
    remarks = [f"Left out, because it does not fit the others: {', '.join(dropped)}."] if dropped else []
    if found.without:
        remarks.append(f"No board found in {len(found.without)} pictures: {_some(found.without)}.")
    if options.report is not None:
        write_report(options.report, name, solution, verdict, remarks)
    for line in (*verdict.notes, *remarks):
        console.print(line, markup=False, soft_wrap=True)
    if not verdict.usable:
        raise CalibrationError("views that determine the camera", "; ".join(verdict.reasons), verdict.advice)
    _write(options, solution, verdict, name)
    print(f"{verdict.headline}. Wrote {options.output}.")
    return True


def _collect(source: Source, board: Board, every: int, cancelled: threading.Event) -> _Found:
    found = _Found()
    are_photographs = isinstance(source, ImageFolderSource)
    take: Callable[..., None] = _from_photographs(board, found) if are_photographs else _from_stream(board, found)
    total = source.frame_count
    with progress_bar("calibrate", None if total is None else -(-total // every)) as bar:
        for frame in frames(source, cancelled):
            if frame.index % every:
                continue
            found.frames += 1
            take(to_grey(frame.image), frame.stamp_ns, frame.name or f"frame {frame.index}")
            bar.update(TaskID(0), advance=1, description=f"calibrate: {len(found.views)} views")
    return found


def _from_photographs(board: Board, found: _Found) -> Callable[[NDArray[np.uint8], int, str], None]:
    """Every picture in which the board is found."""
    detector = BoardDetector(board)

    def take(grey: NDArray[np.uint8], stamp_ns: int, name: str) -> None:
        view = detector.detect(grey, name)
        if view is None:
            found.miss(name, grey)
        else:
            found.views.append(view)

    return take


def _from_stream(board: Board, found: _Found) -> Callable[[NDArray[np.uint8], int, str], None]:
    """Frames in which the board is sharp, still and new."""
    session = CalibrationSession(board)

    def take(grey: NDArray[np.uint8], stamp_ns: int, name: str) -> None:
        look = session.look(grey, stamp_ns, name)
        if look.state in (State.NO_BOARD, State.MIRRORED):
            found.miss(name, grey)
        elif look.state is State.TAKEN and look.view is not None:
            found.views.append(look.view)

    return take


def _explain_nothing(board: Board, found: _Found) -> None:
    """Say why there is no view at all, where it can be told."""
    if found.views:
        return
    detector = BoardDetector(board)
    if any(detector.seen_in_mirror(grey) for grey in found.blank):
        cure = "switch mirroring off in the camera's settings, or flip the pictures back"
        raise CalibrationError(f"pictures of the board {board.spec}", "mirrored ones", cure)
    if found.frames == 0:
        raise CalibrationError("pictures of the board", "no pictures at all", "give a folder of images or a video")
    seen = f"none in which it is found, in {found.frames} pictures"
    if len(found.without) < found.frames:
        seen = f"none in which it is sharp and still for a moment, in {found.frames} frames"
    cure = f"check --board (it says {board.spec}); show the whole board, sharp and well lit"
    raise CalibrationError("pictures that show the board", seen, cure)


def _without_outliers(board: Board, views: list[View]) -> tuple[Solution, Verdict, list[str]]:
    """Solve, leave out the few views that do not fit, and solve again."""
    dropped: list[str] = []
    solution, verdict = solve_and_judge(board, views)
    for _ in range(3):
        outliers = verdict.outliers
        if not outliers or len(dropped) + len(outliers) > _MOST_OUTLIERS * (len(views) + len(dropped)):
            break
        dropped += [views[index].name or f"view {index + 1}" for index in outliers]
        views = [view for index, view in enumerate(views) if index not in outliers]
        solution, verdict = solve_and_judge(board, views)
    return solution, verdict, dropped


def _write(options: CalibrateOptions, solution: Solution, verdict: Verdict, name: str) -> None:
    camera = replace(solution.camera, name=name)
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
                "rms_px": solution.rms_px,
                "views": len(solution.views),
                "board": solution.board.spec,
                "board_bend_mm": (1e3 * solution.shape_m).tolist(),
                "notes": list(verdict.notes),
            },
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


class CameraFormat(StrEnum):
    ros = "ros"
    opencv = "opencv"
    kalibr = "kalibr"


def command(
    source: Annotated[str, typer.Argument(help="Folder of images, video, webcam number or URL.")],
    board: Annotated[
        str, typer.Option("--board", help="charuco:10x7:26:19 (squares, mm) or chessboard:9x6:25 (inner corners, mm).")
    ],
    output: Annotated[Path, typer.Option("--output", help="Camera file to write (YAML).")],
    report: Annotated[Path | None, typer.Option("--report", help="HTML report with plots.")] = None,
    format: Annotated[CameraFormat, typer.Option("--format", help="Form of the camera file.")] = CameraFormat.ros,
    every: Annotated[int, typer.Option("--every", min=1, help="Every Nth frame.")] = 1,
) -> int:
    """Intrinsics from pictures of a board. Videos give the frames in which it is sharp, still and new."""
    return DONE if calibrate(CalibrateOptions(source, board, output, report, format.value, every)) else CANCELLED
