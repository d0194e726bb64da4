"""Calibration boards: ChArUco (chessboard with markers, the default), the plain chessboard, and Kalibr's AprilGrid.

Board frame: origin at the outer corner of the top-left square, x along a row, y down the columns, z into the board
(away from a viewer who sees the printed side), metres. A board seen face-on thus has the camera's axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.errors import UsageError

__all__ = ["DEFAULT_BOARD", "DICTIONARIES", "Board", "Rectangle"]

Kind = Literal["charuco", "chessboard", "aprilgrid"]
Rectangle = tuple[float, float, float, float]  # x, y, width, height in millimetres, y down

DEFAULT_DICTIONARY = "5x5_100"
# Marker families by the name that board generators print under their boards.
DICTIONARIES: dict[str, int] = {
    f"{bits}x{bits}_{count}": getattr(cv2.aruco, f"DICT_{bits}X{bits}_{count}")
    for bits in (4, 5, 6, 7)
    for count in (50, 100, 250, 1000)
} | {"original": cv2.aruco.DICT_ARUCO_ORIGINAL}
_FORMS = (
    "charuco:COLUMNSxROWS:SQUARE_MM:MARKER_MM[:DICTIONARY][:legacy], chessboard:COLUMNSxROWS:SQUARE_MM or "
    "aprilgrid:COLUMNSxROWS:TAG_MM:GAP_MM"
)
_TAG_BORDER, _TAG_BITS = 2, 6  # cells of Kalibr's tags
_EXAMPLE = "Use for example charuco:10x7:26:19 (squares are counted) or chessboard:9x6:25 (inner corners are counted)."
_MAX_COUNT, _MAX_SQUARE_MM = 60, 2000.0


@dataclass(frozen=True)
class Board:
    """A flat pattern whose corners are known.

    Attributes:
        kind: "charuco", "chessboard" or "aprilgrid".
        columns, rows: squares of a ChArUco board; inner corners of a chessboard; tags of an AprilGrid (the custom of
            their users).
        square_mm: side of a square, or of a tag. For the camera any value does; hand size and distance need the true
            one.
        marker_mm: side of a marker; 0 for a chessboard; the gap between two tags of an AprilGrid.
        dictionary: key of `DICTIONARIES`.
        legacy: ChArUco boards with an even number of rows that were made before OpenCV 4.6.

    Examples:
        >>> Board.parse("charuco:10x7:26:19").corner_count
        54
    """

    kind: Kind = "charuco"
    columns: int = 10
    rows: int = 7
    square_mm: float = 26.0
    marker_mm: float = 19.0
    dictionary: str = DEFAULT_DICTIONARY
    legacy: bool = False

    def __post_init__(self) -> None:
        least = 3 if self.kind == "charuco" else 2
        if not (least <= self.columns <= _MAX_COUNT and least <= self.rows <= _MAX_COUNT):
            what = {"charuco": "squares", "chessboard": "inner corners", "aprilgrid": "tags"}[self.kind]
            counts = f"{self.columns}x{self.rows} {what}"
            raise UsageError(
                f"A board of {counts} is not possible: {least} to {_MAX_COUNT} each way are.", hint=_EXAMPLE
            )
        if not 0 < self.square_mm <= _MAX_SQUARE_MM:
            raise UsageError(
                f"Squares of {self.square_mm:g} mm are not possible: more than 0 and up to {_MAX_SQUARE_MM:g} mm are.",
                hint="Measure one with a ruler.",
            )
        if self.kind == "charuco":
            self._check_markers()
        if self.kind == "aprilgrid":
            self._check_tags()

    def _check_tags(self) -> None:
        if not 0.1 * self.square_mm <= self.marker_mm <= self.square_mm:
            raise UsageError(
                f"Gaps of {self.marker_mm:g} mm do not fit tags of {self.square_mm:g} mm (10 to 100 % does).",
                hint="Kalibr's tagSpacing is the gap as a part of the tag: multiply it by tagSize.",
            )
        if self.columns * self.rows > len(self._dictionary.bytesList):
            raise UsageError(f"There are {len(self._dictionary.bytesList)} tags, not {self.columns * self.rows}.")

    def _check_markers(self) -> None:
        if not 0.3 * self.square_mm <= self.marker_mm < 0.95 * self.square_mm:
            raise UsageError(
                f"Markers of {self.marker_mm:g} mm do not fit squares of {self.square_mm:g} mm (30 to 95 % does).",
                hint=_EXAMPLE,
            )
        if self.dictionary not in DICTIONARIES:
            raise UsageError(
                f"There is no marker dictionary {self.dictionary!r}.", hint=f"Use one of {', '.join(DICTIONARIES)}."
            )
        needed, there = self.columns * self.rows // 2, len(self._dictionary.bytesList)
        if needed > there:
            raise UsageError(
                f"This board needs {needed} markers; the dictionary {self.dictionary} has {there}.",
                hint="Use a smaller board or a larger dictionary, such as 5x5_1000.",
            )

    @classmethod
    def parse(cls, text: str) -> Board:
        """The board that a text such as "charuco:10x7:26:19" or "chessboard:9x6:25" describes.

        Raises:
            UsageError: another form, or sizes that make no board.
        """
        kind, *parts = text.strip().lower().split(":")
        legacy = bool(parts) and parts[-1] == "legacy"
        parts = parts[:-1] if legacy else parts
        counts = parts[0].split("x") if parts else []
        allowed = {"charuco": (3, 4), "chessboard": (2,), "aprilgrid": (3,)}
        if kind not in allowed or len(parts) not in allowed[kind] or len(counts) != 2:
            raise _unreadable(text)
        try:
            columns, rows, sizes = int(counts[0]), int(counts[1]), [float(part) for part in parts[1:3]]
        except ValueError:
            raise _unreadable(text) from None
        if kind == "chessboard":
            return cls("chessboard", columns, rows, sizes[0], 0.0)
        if kind == "aprilgrid":
            return cls("aprilgrid", columns, rows, sizes[0], sizes[1])
        dictionary = parts[3] if len(parts) == 4 else DEFAULT_DICTIONARY
        return cls("charuco", columns, rows, sizes[0], sizes[1], dictionary, legacy)

    @property
    def spec(self) -> str:
        """The text that `parse` takes."""
        size = f"{self.kind}:{self.columns}x{self.rows}:{self.square_mm:g}"
        if self.kind == "chessboard":
            return size
        if self.kind == "aprilgrid":
            return f"{size}:{self.marker_mm:g}"
        named = "" if self.dictionary == DEFAULT_DICTIONARY else f":{self.dictionary}"
        return f"{size}:{self.marker_mm:g}{named}{':legacy' if self.legacy else ''}"

    @property
    def squares(self) -> tuple[int, int]:
        """Squares (across, down); of an AprilGrid as many of a tag's size as its width and height begin."""
        if self.kind == "aprilgrid":
            return math.ceil(self.size_mm[0] / self.square_mm), math.ceil(self.size_mm[1] / self.square_mm)
        return (self.columns, self.rows) if self.kind == "charuco" else (self.columns + 1, self.rows + 1)

    @property
    def size_mm(self) -> tuple[float, float]:
        """Printed width and height."""
        if self.kind == "aprilgrid":
            step, gap = self.square_mm + self.marker_mm, self.marker_mm
            return self.columns * step + gap, self.rows * step + gap
        return self.squares[0] * self.square_mm, self.squares[1] * self.square_mm

    @property
    def half_height_m(self) -> float:
        """Half of the board's second side, metres."""
        return 0.0005 * self.size_mm[1]

    @property
    def grid(self) -> tuple[int, int]:
        """Inner corners (across, down); of an AprilGrid the corners of its tags."""
        if self.kind == "aprilgrid":
            return 2 * self.columns, 2 * self.rows
        return self.squares[0] - 1, self.squares[1] - 1

    @property
    def corner_count(self) -> int:
        """Inner corners in all; their ids run from 0, row by row."""
        return self.grid[0] * self.grid[1]

    @cached_property
    def points_m(self) -> Array:
        """(N, 3) inner corners by id, board frame."""
        across, down = np.meshgrid(*(self._lines_mm(count) for count in self.grid))
        points = np.zeros((self.corner_count, 3))
        points[:, 0], points[:, 1] = 1e-3 * across.ravel(), 1e-3 * down.ravel()
        points.flags.writeable = False
        return points

    def _lines_mm(self, count: int) -> Array:
        """Where the corners of a row lie along it."""
        if self.kind != "aprilgrid":
            return np.asarray(self.square_mm * np.arange(1, count + 1), dtype=np.float64)
        tag, corner = np.divmod(np.arange(count), 2)
        place = self.marker_mm + tag * (self.square_mm + self.marker_mm) + corner * self.square_mm
        return np.asarray(place, dtype=np.float64)

    @cached_property
    def outline_m(self) -> Array:
        """(4, 3) outer corners: top left, top right, bottom right, bottom left."""
        width, height = (0.001 * side for side in self.size_mm)
        return np.array([[0, 0, 0], [width, 0, 0], [width, height, 0], [0, height, 0]])

    def scaled(self, factor: float) -> Board:
        """The same board printed larger or smaller, e.g. where its 100 mm line measures 99 mm.

        Raises:
            UsageError: the factor is no size of a print.
        """
        if not 0.1 <= factor <= 10:
            raise UsageError(
                f"A print of {factor:g} times its size is not possible: a tenth to ten times is.",
                hint="Measure the line again.",
            )
        return replace(self, square_mm=self.square_mm * factor, marker_mm=self.marker_mm * factor)

    @property
    def _dictionary(self) -> Any:
        tags = cv2.aruco.DICT_APRILTAG_36h11
        return cv2.aruco.getPredefinedDictionary(tags if self.kind == "aprilgrid" else DICTIONARIES[self.dictionary])

    def charuco(self) -> Any:
        """OpenCV's object for a ChArUco board, in metres.

        Raises:
            UsageError: this board is a chessboard.
        """
        if self.kind != "charuco":
            raise UsageError(f"{self.spec} is not a ChArUco board.", hint=_EXAMPLE)
        size = (self.columns, self.rows)
        board = cv2.aruco.CharucoBoard(size, 1e-3 * self.square_mm, 1e-3 * self.marker_mm, self._dictionary)
        board.setLegacyPattern(self.legacy)
        return board

    def black_and_white(self) -> tuple[list[Rectangle], list[Rectangle]]:
        """Rectangles to paint: first the black ones on white paper, then the white bits of the markers.

        Millimetres, origin at the outer corner of the top-left square, y down.
        """
        if self.kind == "aprilgrid":
            return self._tags_and_bits()
        side = self.square_mm
        across, down = self.squares
        dark = self._dark_parity()
        black = [
            (column * side, row * side, side, side)
            for row in range(down)
            for column in range(across)
            if (row + column) % 2 == dark
        ]
        if self.kind == "chessboard":
            return black, []
        margin, white, number = 0.5 * (side - self.marker_mm), [], 0
        for row in range(down):
            for column in range(across):
                if (row + column) % 2 != dark:
                    left, top = column * side + margin, row * side + margin
                    black.append((left, top, self.marker_mm, self.marker_mm))
                    white += self._white_bits(number, left, top)
                    number += 1
        return black, white

    def _tags_and_bits(self) -> tuple[list[Rectangle], list[Rectangle]]:
        """Kalibr's board: tag 0 at the bottom left, every tag turned by 180 degrees, black squares between corners."""
        side, gap, step = self.square_mm, self.marker_mm, self.square_mm + self.marker_mm
        places = [(column * step, row * step) for row in range(self.rows + 1) for column in range(self.columns + 1)]
        black, white = [(left, top, gap, gap) for left, top in places], []
        cells = _TAG_BITS + 2 * _TAG_BORDER
        cell = side / cells
        for number in range(self.columns * self.rows):
            row, column = divmod(number, self.columns)
            left, top = column * step + gap, (self.rows - 1 - row) * step + gap
            black.append((left, top, side, side))
            picture = self._dictionary.generateImageMarker(number, cells, borderBits=_TAG_BORDER)[::-1, ::-1] > 127
            white += [(left + x * cell, top + y * cell, cell, cell) for y, x in np.argwhere(picture).tolist()]
        return black, white

    def _dark_parity(self) -> int:
        """Whether the top-left square is black (0) or white (1)."""
        return 1 if self.kind == "charuco" and self.legacy and self.rows % 2 == 0 else 0

    def _white_bits(self, number: int, left: float, top: float) -> list[Rectangle]:
        """White runs of a marker, row by row."""
        cells = self._dictionary.markerSize + 2
        picture = self._dictionary.generateImageMarker(number, cells) > 127
        cell = self.marker_mm / cells
        runs = []
        for row, line in enumerate(picture):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
            runs += [
                (left + start * cell, top + row * cell, (end - start) * cell, cell)
                for start, end in edges.reshape(-1, 2).tolist()
            ]
        return runs

    def image(self, pixels_per_square: int = 80, margin_squares: float = 0.5) -> NDArray[np.uint8]:
        """The board as a grey picture on white, with a white margin all round."""
        side = pixels_per_square
        scale, margin = side / self.square_mm, round(margin_squares * side)
        wide, high = (round(length * scale) for length in self.size_mm)
        picture = np.full((high + 2 * margin, wide + 2 * margin), 255, dtype=np.uint8)
        for rectangles, shade in zip(self.black_and_white(), (0, 255), strict=True):
            for left, top, width, height in rectangles:
                x, y = round(left * scale) + margin, round(top * scale) + margin
                to_x, to_y = round((left + width) * scale) + margin, round((top + height) * scale) + margin
                picture[y:to_y, x:to_x] = shade
        return picture


def _unreadable(text: str) -> UsageError:
    return UsageError(f"{text!r} does not describe a board: the forms are {_FORMS}.", hint=_EXAMPLE)


DEFAULT_BOARD = Board()
