"""The printed board: rendered back by a PDF reader and detected, it has the size it claims."""

import os
import re

import numpy as np
import pytest

from calib.board_pdf import PAPERS, board_pdf, write_board_pdf
from calib.boards import Board
from calib.detection import BoardDetector
from handdgp_core.errors import OutputError, UsageError

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
PX_PER_MM = 6


def rendered_back(path):
    """Grey picture of the page at `PX_PER_MM`."""
    core = pytest.importorskip("PyQt6.QtCore")
    pdf = pytest.importorskip("PyQt6.QtPdf")
    from PyQt6.QtGui import QImage
    from PyQt6.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])
    document = pdf.QPdfDocument(None)
    assert document.load(str(path)) == pdf.QPdfDocument.Error.None_
    points = document.pagePointSize(0)
    size = core.QSize(*(round(side * PX_PER_MM * 25.4 / 72) for side in (points.width(), points.height())))
    page = document.render(0, size)
    paper = QImage(size, QImage.Format.Format_RGB32)
    paper.fill(core.Qt.GlobalColor.white)
    from PyQt6.QtGui import QPainter

    painter = QPainter(paper)
    painter.drawImage(0, 0, page)
    painter.end()
    grey = paper.convertToFormat(QImage.Format.Format_Grayscale8)
    bits = grey.constBits()
    bits.setsize(grey.sizeInBytes())
    picture = np.frombuffer(bytes(bits), np.uint8).reshape(grey.height(), grey.bytesPerLine())[:, : grey.width()]
    document.close()
    assert application is not None
    return np.ascontiguousarray(picture)


@pytest.mark.parametrize(
    ("text", "paper"),
    [
        ("charuco:10x7:26:19", "a4"),
        ("charuco:10x7:26:19", "letter"),
        ("chessboard:9x6:25", "a4"),
        ("charuco:5x7:34:25", "a4"),
    ],
)
def test_the_print_is_true_to_scale(tmp_path, text, paper):
    board = Board.parse(text)
    write_board_pdf(tmp_path / "board.pdf", board, paper)
    picture = rendered_back(tmp_path / "board.pdf")
    view = BoardDetector(board).detect(picture)
    assert view is not None and len(view) == board.corner_count
    there, here = board.points_m[view.ids, :2] * 1e3, view.corners_px / PX_PER_MM
    across = np.polyfit(there[:, 0], here[:, 0], 1)[0], np.polyfit(there[:, 1], here[:, 1], 1)[0]
    np.testing.assert_allclose(np.abs(across), 1.0, atol=5e-4)
    left_out = np.abs((here - here.mean(0)) - np.sign(across) * (there - there.mean(0))).max()
    assert left_out < 0.06  # millimetres


def test_the_line_beside_it_measures_100_mm(tmp_path):
    text = board_pdf(Board()).decode("latin-1")
    start, _, end, _ = map(float, re.search(r"([\d.]+) ([\d.]+) m ([\d.]+) ([\d.]+) l", text).groups())
    assert end - start == pytest.approx(100.0)
    write_board_pdf(tmp_path / "board.pdf", Board())
    picture = rendered_back(tmp_path / "board.pdf")
    line = (picture[-90:, : 121 * PX_PER_MM] < 128).sum(axis=1).max() / PX_PER_MM
    assert line == pytest.approx(100.0, abs=0.5)


def test_a_board_too_large_for_the_paper_names_one_that_fits():
    with pytest.raises(UsageError, match=r"does not fit on A4.*squares \d+(\.5)? mm or smaller"):
        board_pdf(Board.parse("charuco:10x7:40:30"))
    with pytest.raises(UsageError, match="no paper size"):
        board_pdf(Board(), "b5")
    assert set(PAPERS) >= {"a4", "letter"}


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"board\.pdf"):
        write_board_pdf(tmp_path / "file" / "board.pdf", Board())
