"""predictions.npz: one row per detected hand, written with bounded memory.

Always in the OpenCV camera frame and metres (docs/conventions.md), whatever axes the meshes are exported in.
Keys, with N rows, V vertices and F faces; degenerate hands keep their row, with NaN:

    frame_index (N,) int64            stamp_ns (N,) int64           image (N,) file name, where the source is a folder
    handedness (N,) "left"|"right"    score (N,)                    track_id (N,) int64
    root_m (N, 3)                     root_covariance_m2 (N, 3, 3)  hand_scale (N,)
    distance_std_m (N,) standard deviation of the palm's distance, all that is known to be uncertain included;
        root_covariance_m2 holds the noise of the 2D keypoints alone
    keypoints_m (N, 21, 3)            keypoints_px (N, 21, 2)       weights (N, 21)
    vertices_m (N, V, 3)              degenerate (N,) the reason, or ""
    faces (F, 3) int32: outward for right hands                     faces_left (F, 3) int32: outward for left hands
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from handdgp_core.errors import OutputError, ShapeError
from handdgp_core.export import spool
from handdgp_core.files import MIB, check_room, output_errors, part_of, remove
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.palm import distance_std_m
from handdgp_core.types import Frame, Hand

_SLACK_BYTES = MIB // 4  # heads of the arrays and the short columns


class PredictionsWriter:
    """Exporter: rows go to a spool file as they come; leaving the `with` block makes predictions.npz of them.

    However the block is left, the file then holds every row that was added. So that this also holds on a disk that
    fills up, `add` stops while there is still room for the final file. Where the final file cannot be written, or the
    process is killed, the spool stays, and `handdgp repair` makes the file of it.

    Args:
        path: of the final file; its folder exists. One that is there is replaced.
        faces: (F, 3) of the right hand. None takes them from the first hand; then V and F are 0 if none ever comes.
        vertex_count: V; needed with `faces`.

    Raises:
        OutputError: the place cannot be written, or a run that was killed left its rows there.

    Examples:
        >>> with PredictionsWriter(folder / "predictions.npz") as writer:
        ...     writer.add(frame, hands, camera)
    """

    def __init__(
        self, path: str | os.PathLike[str], faces: NDArray[np.int32] | None = None, vertex_count: int | None = None
    ) -> None:
        self.path = Path(path)
        self.row_count = 0
        self._row_type: np.dtype[Any] | None = None
        self._sides: set[str] = set()
        self._longest_name = 0
        self._end = 0  # of the records; the file's own end follows
        self._spool_path = spool_path(self.path)
        with output_errors(self.path):
            self._spool: BinaryIO = _open_spool(self._spool_path)
        self._append(spool.HEAD)
        if vertex_count is not None:
            self._begin_rows(vertex_count)
        if faces is not None:
            self._add_faces("right", faces)

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        return [self.path]

    @property
    def reserve_bytes(self) -> int:
        """Disk space that `close` will still need."""
        return self.row_count * (self._row_bytes + 4 * self._longest_name) + _SLACK_BYTES

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera | None = None) -> None:
        """Adds one row a hand.

        Args:
            frame: where the hands were found.
            hands: all with the same number of vertices.
            camera: not used; exporters share this signature.

        Raises:
            ShapeError: a hand of another mesh than those before.
            OutputError: the disk is full or failed; the rows before are safe.
        """
        for hand in hands:
            self._learn_mesh(hand)
            row = _row(self._row_type, frame, hand)
            name = frame.name or ""
            self._longest_name = max(self._longest_name, len(name))
            check_room(self.path.parent, self.reserve_bytes + 2 * row.nbytes)
            self._append(spool.row_record(self.row_count, row, name, hand.degenerate or ""))
            self.row_count += 1

    def close(self) -> None:
        """Makes the final file and removes the spool. A second call does nothing.

        Raises:
            OutputError: the final file cannot be written; the spool is still there, and its name is in the message.
        """
        if self._spool.closed:
            return
        self._spool.close()
        try:
            spool.finish(self._spool_path, self.path)
        except OutputError as error:
            if not self.row_count:
                remove(self._spool_path)
                raise
            kept = f"The {self.row_count} rows are kept: python main.py repair {self._spool_path}."
            raise OutputError(error.problem, hint=f"{error.hint} {kept}") from error
        remove(self._spool_path)

    def __enter__(self) -> PredictionsWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _row_bytes(self) -> int:
        return 0 if self._row_type is None else self._row_type.itemsize

    def _learn_mesh(self, hand: Hand) -> None:
        """The first hand decides V; the first of each side gives its faces."""
        count = len(hand.vertices_m)
        if self._row_type is None:
            self._begin_rows(count)
        assert self._row_type is not None
        expected = self._row_type["vertices_m"].shape[0]
        if count != expected:
            raise ShapeError(
                f"A hand of {count} vertices does not fit into a table of hands of {expected} vertices.",
                hint="Write each hand model to its own file.",
            )
        if hand.handedness not in self._sides:
            self._add_faces(hand.handedness, hand.faces)

    def _begin_rows(self, vertex_count: int) -> None:
        self._append(spool.rows_head(vertex_count))
        self._row_type = spool.row_type(vertex_count)

    def _add_faces(self, side: str, faces: NDArray[np.int32]) -> None:
        self._append(spool.faces_record(side, faces))
        self._sides.add(side)

    def _append(self, records: bytes) -> None:
        """In one write, over the end that the last one made."""
        data = records + spool.TAIL
        try:
            with output_errors(self.path):
                self._spool.seek(self._end)
                if self._spool.write(data) != len(data):
                    raise OSError(28, "No space left on device")  # a short write, and the rest did not fit
        except BaseException:
            self._spool.truncate(self._end)
            with suppress(OSError):  # its own end, for which there may be room again
                self._spool.seek(self._end)
                self._spool.write(spool.TAIL)
            raise
        self._end += len(records)


def spool_path(path: Path) -> Path:
    """Where the rows of a predictions.npz are until it is made."""
    return part_of(path.with_suffix(".mcap"))


def _open_spool(path: Path) -> BinaryIO:
    """A new file, unless rows of a killed run are there."""
    if spool.is_spool(path) and spool.count_rows(path):
        raise OutputError(
            f"Could not write to {path.parent}: a run that did not end left its results there.",
            hint=f"Finish them with python main.py repair {path}, or choose another folder.",
        )
    return open(path, "wb", buffering=0)


def _row(row_type: np.dtype[Any] | None, frame: Frame, hand: Hand) -> NDArray[Any]:
    row = np.zeros((), dtype=row_type)
    row["frame_index"], row["stamp_ns"], row["handedness"] = frame.index, frame.stamp_ns, hand.handedness
    for name in (*(name for name, _, _ in spool.NUMBERS), "vertices_m"):
        row[name] = getattr(hand, name)
    row["distance_std_m"] = distance_std_m(hand)
    return row
