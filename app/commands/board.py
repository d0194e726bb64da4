"""`board`: a calibration board as PDF."""

from __future__ import annotations

from pathlib import Path

from app.commands.console import console
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
