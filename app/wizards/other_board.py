"""Notices that the board in the picture is not the one that was chosen, and names it. No Qt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calib.boards import Board
from calib.diagnosis import likely_board

__all__ = ["OtherBoard"]

FIRST_AFTER, AGAIN_AFTER = 15, 60  # pictures without the board: a look for others takes up to half a second


class OtherBoard:
    """Asked about every picture; looks closer now and then while the chosen board is not seen.

    Args:
        board: the one that was chosen.
    """

    def __init__(self, board: Board) -> None:
        self._board, self._without, self._sentence = board, 0, ""

    def look(self, grey: NDArray[np.uint8], found: bool) -> str:
        """What to tell the user; empty while the chosen board is seen, or no other one.

        Args:
            grey: (height, width).
            found: whether the chosen board was seen in it.
        """
        if found:
            self._without, self._sentence = 0, ""
            return ""
        self._without += 1
        if self._without >= FIRST_AFTER and (self._without - FIRST_AFTER) % AGAIN_AFTER == 0:
            self._sentence = self._name(grey)
        return self._sentence

    def _name(self, grey: NDArray[np.uint8]) -> str:
        likely = likely_board(self._board, [grey])
        if likely is None or likely.mirrored or likely.board == self._board:
            return ""
        return f"This is another board: {_words(likely.board)}. Choose the board that you hold on the first page."


def _words(board: Board) -> str:
    if board.kind == "chessboard":
        return f"a chessboard with {board.columns} × {board.rows} inner corners"
    # One picture does not tell how many rows a board has whose edge may be hidden; its markers are certain.
    return f"a ChArUco board with {board.dictionary.partition('_')[0]} markers"
