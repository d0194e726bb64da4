"""Getting a board: as a PDF to print, or over a whole screen. Asked for by the first page of the calibration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject, QUrl
from PyQt6.QtGui import QDesktopServices, QGuiApplication
from PyQt6.QtWidgets import QApplication, QFileDialog, QInputDialog, QWidget

from app.wizards.board_page import BoardPage
from app.wizards.board_window import BoardWindow
from calib.board_pdf import write_board_pdf
from handdgp_core.errors import HandDGPError


class BoardTools(QObject):
    """Prints and shows the board of a page.

    Args:
        page: says which board, and takes its measured size.
        say: shows a sentence; the second argument says whether it is an error.
        window: the parent of the questions.
    """

    def __init__(self, page: BoardPage, say: Callable[[str, bool], None], window: QWidget) -> None:
        super().__init__(window)
        self._page, self._say, self._window = page, say, window
        page.print_requested.connect(self.print)
        page.screen_requested.connect(self.show)

    def print(self, paper: str) -> None:
        """Ask where, write the PDF, and open it in the program for PDFs."""
        board = self._page.nominal_board()
        if board is None:
            return
        name = str(Path.home() / f"board-{paper}.pdf")
        path = QFileDialog.getSaveFileName(self._window, "Save the board", name, "PDF (*.pdf)")[0]
        if not path:
            return
        try:
            write_board_pdf(Path(path), board, paper)
        except HandDGPError as error:
            self._say(error.message, True)
            return
        self._say(f"Saved {path}. Print it at 100 %.", False)
        QDesktopServices.openUrl(QUrl.fromLocalFile(path))

    def show(self, number: int) -> None:
        """The board over the screen of this number; how wide it was is asked for afterwards."""
        board, screens = self._page.nominal_board(), QGuiApplication.screens()
        if board is None or number >= len(screens):
            return
        window = BoardWindow(board, screens[number])
        window.closed.connect(self.ask_width)
        window.showFullScreen()
        self._say("Measure the width of the board on that screen, from outer edge to outer edge.", False)

    def ask_width(self, likely_mm: float) -> None:
        """The screen's own word on its size is often wrong, so the user has the last one."""
        board = self._page.nominal_board()
        if board is None or not self._window.isVisible():
            return
        question = "Width of the whole board on the screen, in millimetres (only needed for hand size):"
        width_mm, accepted = QInputDialog.getDouble(
            self._window, "Size of the board", question, likely_mm or board.size_mm[0], 20.0, 2500.0, 1
        )
        if accepted:
            self._page.ruler.setValue(100.0 * width_mm / board.size_mm[0])

    def close(self) -> None:
        """Take boards off the screens, without a question."""
        for window in QApplication.topLevelWidgets():
            if isinstance(window, BoardWindow):
                window.closed.disconnect()
                window.close()
