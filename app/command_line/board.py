"""`board`: a calibration board to print."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.command_line.exit_codes import DONE


class Paper(StrEnum):
    a4 = "a4"
    letter = "letter"
    a3 = "a3"


def board(
    output: Annotated[Path, typer.Option("--output", help="PDF file to write.")],
    type: Annotated[
        str, typer.Option("--type", help="charuco:10x7:26:19 (squares, mm) or chessboard:9x6:25 (inner corners, mm).")
    ] = "charuco:10x7:26:19",
    paper: Annotated[Paper, typer.Option("--paper", help="Paper that it is printed on.")] = Paper.a4,
) -> int:
    """A calibration board as PDF, true to scale: print it at 100 % and check its line of 100 mm."""
    from app.commands.board import write_board

    write_board(type, paper.value, output)
    return DONE
