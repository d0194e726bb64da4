"""Getting a board: as a PDF to print, or over a whole screen. Asked for by the first page of the calibration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject, Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices, QGuiApplication
from PyQt6.QtWidgets import QFileDialog, QInputDialog, QWidget

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

    _gone = pyqtSignal(float)

    def __init__(self, page: BoardPage, say: Callable[[str, bool], None], window: QWidget) -> None:
        super().__init__(window)
        self._page, self._say, self._window = page, say, window
        self._shown: BoardWindow | None = None  # a window without a parent lives as long as somebody holds it
        page.print_requested.connect(self.print)
        page.screen_requested.connect(self.show)
        # Queued: until the board's window is gone it would cover the question.
        self._gone.connect(self.ask_width, type=Qt.ConnectionType.QueuedConnection)  # type: ignore[call-arg]

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
        """The board on the screen of this number; how wide it was is asked for once it is gone again."""
        board, screens = self._page.nominal_board(), QGuiApplication.screens()
        if board is None or number >= len(screens):
            return
        self.close()
        self._shown = BoardWindow(board, screens[number])
        self._shown.closed.connect(self._on_closed)
        self._shown.show_beside(self._window)
        self._say("Measure the width of the board on that screen, from outer edge to outer edge.", False)

    def _on_closed(self, likely_mm: float) -> None:
        self._shown = None
        self._gone.emit(likely_mm)

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
        window, self._shown = self._shown, None
        if window is not None:
            window.closed.disconnect()
            window.close()
