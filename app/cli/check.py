"""`check`: the accuracy card of one's own desk, from a hand flat on a calibration board or a finger on its corners."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.accuracy.checker import Card, Checker, require_calibrated
from app.accuracy.page import About, rows, verdict, write_page
from app.cli.console import cancellable, console, progress_bar
from app.cli.estimators import hand_length_for, load_estimator
from app.cli.options import DONE, Bone, Calibration, Device, DeviceOption, HandLength, Model, measured_hand
from app.environment import PROGRAM, version_of
from app.notices import count_of
from calib.boards import DEFAULT_BOARD, Board
from handdgp_core.errors import CalibrationError, UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.pipeline import estimated_frames
from handdgp_core.privacy import public_name
from handdgp_core.sources.open import open_source
from handdgp_core.sources.session import cameras_of


@dataclass(frozen=True)
class CheckOptions:
    """What `check` was asked for; names as on the command line."""

    source: str
    board: str = DEFAULT_BOARD.spec
    ruler_mm: float = 100.0
    touch: bool = False
    calibration: Path | None = None
    model: str = "open"
    device: str = "auto"
    hand_length_m: float | None = None
    hand_length_std: float = 0.0
    report: Path | None = None
    every: int = 1
    limit: int | None = None


def check(options: CheckOptions) -> Card:
    """Run `check`; cancelling ends it with what there is.

    Raises:
        HandDGPError: bad input, an uncalibrated camera, too few frames that show a hand on the board, or a calibration
            that the board contradicts.
    """
    from handdgp_core.estimation.models import limit_threads

    board = Board.parse(options.board).scaled(options.ruler_mm / 100.0)
    calibration = Camera.load(options.calibration) if options.calibration else None
    if calibration is not None:
        require_calibrated(calibration)
    limit_threads(options.model)
    with open_source(options.source) as source, cancellable() as cancelled:
        chooser = cameras_of(source, calibration)
        length = hand_length_for(source, options.hand_length_m, options.hand_length_std)
        checker = Checker(board, length.length_m, options.touch)
        with (
            load_estimator(options.model, options.device, length) as estimator,
            progress_bar(source.name, options.limit or source.frame_count) as bar,
        ):
            for result in estimated_frames(
                source,
                estimator,
                chooser,
                select=lambda frame: frame.index % options.every == 0,
                limit=options.limit,
                stop=cancelled,
                on_wait=bar.console.print,
            ):
                checker.add(result.frame.image, result.camera, result.hands)
                used = f"{source.name}: {len(checker.comparisons)} used, {count_of(checker.places, 'place')}"
                bar.update(bar.task_ids[0], advance=1, description=used)
        if checker.camera is None:
            raise CalibrationError("Could not check: the source has no frames.")
        card = checker.card()
        about = About(
            date=time.strftime("%Y-%m-%d %H:%M"),
            program=f"{PROGRAM} {version_of()}",
            source=source.name,
            camera=checker.camera,
            model=public_name(options.model),
            hand_length_m=length.length_m,
            hand_length_std=length.std,
            board=board.spec,
        )
    _tell(about, card)
    if options.report is not None:
        write_page(options.report, about, card)
        console.print(f"Wrote {options.report}.", markup=False)
    return card


def _tell(about: About, card: Card) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows(about, card):
        table.add_row(name, value)
    out = Console(highlight=False)
    out.print(verdict(card), style="bold")
    out.print(table)


def command(
    source: Annotated[
        str,
        typer.Argument(help="Webcam number, URL, video, folder of images or recorded session of a hand on a board."),
    ],
    board: Annotated[str, typer.Option("--board", help="As for `calibrate`.")] = DEFAULT_BOARD.spec,
    ruler_mm: Annotated[float, typer.Option("--ruler-mm", help="What the printed 100 mm line measures.")] = 100.0,
    touch: Annotated[
        bool,
        typer.Option("--touch", help="The index fingertip touches corners, instead of a hand lying flat."),
    ] = False,
    calibration: Calibration = None,
    model: Model = "open",
    device: DeviceOption = Device.auto,
    hand_length_mm: HandLength = None,
    bone: Bone = None,
    report: Annotated[Path | None, typer.Option("--report", help="HTML page to keep or print.")] = None,
    every: Annotated[int, typer.Option("--every", min=1, help="Every Nth frame.")] = 1,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after this many frames.")] = None,
) -> int:
    """How far off hands are here: a hand flat on the printed board, or a finger on its corners, and the known place."""
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--report writes HTML, not {report.name}.", hint="Name a file that ends in .html.")
    hand = measured_hand(hand_length_mm, bone)
    check(
        CheckOptions(
            source=source,
            board=board,
            ruler_mm=ruler_mm,
            touch=touch,
            calibration=calibration,
            model=model,
            device=device.value,
            hand_length_m=hand.length_m,
            hand_length_std=hand.std,
            report=report,
            every=every,
            limit=limit,
        )
    )
    return DONE
