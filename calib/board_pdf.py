"""A board as PDF, vector and true to scale, with a line of 100 mm to check the print by. Written without a library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calib.boards import Board, Rectangle
from handdgp_core.errors import UsageError
from handdgp_core.files import write_bytes

__all__ = ["PAPERS", "RULER_MM", "board_pdf", "write_board_pdf"]

PAPERS: dict[str, tuple[float, float]] = {"a4": (210.0, 297.0), "letter": (215.9, 279.4), "a3": (297.0, 420.0)}
RULER_MM = 100.0
_POINTS_PER_MM = 72.0 / 25.4
_MARGIN_MM = 6.0  # what home printers leave white
_FOOT_MM = 15.0  # room for ruler and text


@dataclass(frozen=True)
class _Sheet:
    width: float
    height: float
    left: float
    top: float


def board_pdf(board: Board, paper: str = "a4") -> bytes:
    """The PDF as bytes.

    Args:
        board: to print.
        paper: key of `PAPERS`; the sheet is turned so that the board fits.

    Raises:
        UsageError: another paper, or a board that does not fit on it.
    """
    sheet = _sheet(board, paper)
    black, white = board.black_and_white()
    drawing = [f"{_POINTS_PER_MM:.8f} 0 0 {-_POINTS_PER_MM:.8f} 0 {sheet.height * _POINTS_PER_MM:.6f} cm"]
    for shade, rectangles in (("0 g", black), ("1 g", white)):
        if rectangles:
            # One path a colour: rectangles that touch then show no hairline between them.
            drawing += [shade, *(_path(r, sheet) for r in rectangles), "f"]
    drawing += _foot(board, sheet)
    return _document("\n".join(drawing).encode("latin-1"), sheet)


def write_board_pdf(path: Path, board: Board, paper: str = "a4") -> None:
    """Write the PDF, whole or not at all.

    Raises:
        UsageError: as `board_pdf`.
        OutputError: the place cannot be written.
    """
    write_bytes(path, board_pdf(board, paper))


def _sheet(board: Board, paper: str) -> _Sheet:
    if paper.lower() not in PAPERS:
        raise UsageError(f"There is no paper size {paper!r}.", hint=f"Use one of {', '.join(PAPERS)}.")
    short, long = PAPERS[paper.lower()]
    wide, high = board.size_mm
    for width, height in ((long, short), (short, long)):
        if wide <= width - 2 * _MARGIN_MM and high <= height - 2 * _MARGIN_MM - _FOOT_MM:
            left = 0.5 * (width - wide)
            return _Sheet(width, height, left, _MARGIN_MM + 0.5 * (height - 2 * _MARGIN_MM - _FOOT_MM - high))
    across, down = board.squares
    largest = min((long - 2 * _MARGIN_MM) / across, (short - 2 * _MARGIN_MM - _FOOT_MM) / down)
    largest = max(largest, min((short - 2 * _MARGIN_MM) / across, (long - 2 * _MARGIN_MM - _FOOT_MM) / down))
    raise UsageError(
        f"A board of {wide:g} x {high:g} mm does not fit on {paper.upper()} with its ruler.",
        hint=f"Make its squares {int(largest * 2) / 2:g} mm or smaller, or choose a larger paper.",
    )


def _path(rectangle: Rectangle, sheet: _Sheet) -> str:
    left, top, width, height = rectangle
    return f"{left + sheet.left:.4f} {top + sheet.top:.4f} {width:.4f} {height:.4f} re"


def _foot(board: Board, sheet: _Sheet) -> list[str]:
    """A line of 100 mm with its ticks, and what to do with it."""
    left = min(sheet.left, sheet.width - RULER_MM - _MARGIN_MM)
    line = sheet.height - _MARGIN_MM - 5.0
    marks = ["0 G 0.3 w", f"{left:.4f} {line:.4f} m {left + RULER_MM:.4f} {line:.4f} l"]
    for tick in range(0, int(RULER_MM) + 1, 10):
        high = 4.0 if tick % 50 == 0 else 2.0
        marks.append(f"{left + tick:.4f} {line:.4f} m {left + tick:.4f} {line - high:.4f} l")
    text_left = left + RULER_MM + 5.0
    below = text_left + 60 > sheet.width
    lines = [
        "Print at 100 % (no scaling). This line measures 100 mm; mine: ______ mm",
        f"HandDGP Live board {board.spec}. Glue it flat on something stiff.",
    ]
    beside = [(text_left, line - 2.0), (text_left, line + 2.0)]
    places = [(left, line + 4.0), (left, line + 7.5)] if below else beside
    texts = [_text(text, x, y) for text, (x, y) in zip(lines, places, strict=True)]
    return [*marks, "S", "0 g", *texts]


def _text(text: str, x: float, y: float) -> str:
    # The page's y runs down, letters must not: mirrored once more.
    plain = text.replace("\\", "").replace("(", "\\(").replace(")", "\\)")
    return f"BT /F1 3 Tf 1 0 0 -1 {x:.3f} {y:.3f} Tm ({plain}) Tj ET"


def _document(stream: bytes, sheet: _Sheet) -> bytes:
    size = f"0 0 {sheet.width * _POINTS_PER_MM:.4f} {sheet.height * _POINTS_PER_MM:.4f}"
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R /ViewerPreferences << /PrintScaling /None >> >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{size}] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>".encode("latin-1"),
        b"<< /Length %d >>\nstream\n" % len(stream) + stream + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    return _assembled(parts)


def _assembled(parts: Sequence[bytes]) -> bytes:
    content, offsets = b"%PDF-1.7\n", []
    for number, part in enumerate(parts, start=1):
        offsets.append(len(content))
        content += b"%d 0 obj\n" % number + part + b"\nendobj\n"
    start = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n" % (len(parts) + 1)
    content += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return content + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(parts) + 1, start)
