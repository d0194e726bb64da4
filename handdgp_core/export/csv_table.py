"""hands.csv: one row per detected hand, units in the column names. OpenCV camera frame. No mesh.

root_covariance holds the noise of the 2D keypoints alone; distance_std_m, of the palm's distance, all that is known to
be uncertain.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.files import name_part, output_errors, part_of, remove
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.keypoints import NAMES
from handdgp_core.hands.palm import distance_std_m
from handdgp_core.types import Frame, Hand

_KEYPOINTS = tuple(name.lower().replace(" ", "_") for name in NAMES)
_UPPER_TRIANGLE = np.triu_indices(3)
HEADER: tuple[str, ...] = (
    *("frame_index", "stamp_ns", "image", "hand", "handedness", "score", "track_id", "degenerate", "hand_scale"),
    *("root_x_m", "root_y_m", "root_z_m"),
    *(f"root_covariance_{pair}_m2" for pair in ("xx", "xy", "xz", "yy", "yz", "zz")),
    "distance_std_m",
    *(f"{name}_{axis}_m" for name in _KEYPOINTS for axis in "xyz"),
    *(f"{name}_{axis}_px" for name in _KEYPOINTS for axis in "uv"),
    *(f"{name}_weight" for name in _KEYPOINTS),
)


class CsvWriter:
    """Exporter: rows are written as they come; `close` gives the file its name.

    What has no value (a degenerate hand's root) is an empty cell.
    """

    reserve_bytes = 0

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Opens the table at `path` (its folder exists) under a temporary name; raises OutputError."""
        self.path = Path(path)
        self._part = part_of(self.path)
        self._size = 0
        with output_errors(self.path):
            self._file: BinaryIO = open(self._part, "wb", buffering=0)  # noqa: SIM115 - closed by close()
            self._write([HEADER])

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        return [self.path]

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera | None = None) -> None:
        """Adds one row a hand; a frame's rows are written together or, with an OutputError, not at all."""
        if hands:
            with output_errors(self.path):
                self._write([_cells(frame, number, hand) for number, hand in enumerate(hands)])

    def close(self) -> None:
        """Gives the file its final name. A second call does nothing. Raises OutputError."""
        if self._file.closed:
            return
        try:
            with output_errors(self.path):
                os.fsync(self._file.fileno())
                self._file.close()
            name_part(self._part, self.path)
        finally:
            self._file.close()
            remove(self._part)

    def _write(self, rows: Iterable[Sequence[object]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        data = text.getvalue().encode("utf-8")
        try:
            if self._file.write(data) != len(data):
                raise OSError(28, "No space left on device")  # a short write, and the rest did not fit
            self._size += len(data)
        except OSError:
            self._file.truncate(self._size)  # no half row
            self._file.seek(self._size)
            raise


def finish_table(part: Path, path: Path) -> None:
    """Give the table of a killed run its name, without a row that was half written. Raises OutputError."""
    with output_errors(path), open(part, "r+b") as file:
        file.truncate(file.read().rfind(b"\n") + 1)
    name_part(part, path)


def _cells(frame: Frame, number: int, hand: Hand) -> list[object]:
    head = [frame.index, frame.stamp_ns, frame.name or "", number, hand.handedness, f"{hand.score:.6g}", hand.track_id]
    return [
        *head,
        hand.degenerate or "",
        f"{hand.hand_scale:.6g}",
        *_numbers(hand.root_m),
        *_numbers(hand.root_covariance_m2[_UPPER_TRIANGLE]),
        *_numbers(distance_std_m(hand)),
        *_numbers(hand.keypoints_m),
        *_numbers(hand.keypoints_px),
        *_numbers(hand.weights),
    ]


def _numbers(values: Array | float) -> list[str]:
    return [f"{value:.8g}" if np.isfinite(value) else "" for value in np.ravel(values).tolist()]
