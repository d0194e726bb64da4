"""`board`: a calibration board as PDF."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console
from app.cli.options import DONE
from calib.board_pdf import write_board_pdf
from calib.boards import Board


def write_board(text: str, paper: str, output: Path) -> None:
    """Write the PDF and say what to do with it.

    Raises:
        HandDGPError: no such board, one that does not fit, or a place that cannot be written.
    """
    made = Board.parse(text)
    write_board_pdf(output, made, paper)
    console.print(
        f"Wrote {output}: {made.spec} on {paper.upper()}. Print it at 100 %, check that its line measures 100 mm, "
        "and glue it flat on something stiff.",
        markup=False,
        soft_wrap=True,
    )


class Paper(StrEnum):
    a4 = "a4"
    letter = "letter"
    a3 = "a3"


def command(
    output: Annotated[Path, typer.Option("--output", help="PDF file to write.")],
    type: Annotated[
        str,
        typer.Option(
            "--type", help="charuco:10x7:26:19 (squares, mm), chessboard:9x6:25 (corners) or aprilgrid:6x6:20:6 (tags)."
        ),
    ] = "charuco:10x7:26:19",
    paper: Annotated[Paper, typer.Option("--paper", help="Paper that it is printed on.")] = Paper.a4,
) -> int:
    """A calibration board as PDF, true to scale: print it at 100 % and check its line of 100 mm."""
    write_board(type, paper.value, output)
    return DONE
