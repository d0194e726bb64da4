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
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from handdgp_core.errors import ShapeError
from handdgp_core.files import MIB, check_room, output_errors, part_of, remove, whole_file
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.keypoints import COUNT
from handdgp_core.hands.palm import distance_std_m
from handdgp_core.types import Frame, Hand

_NUMBERS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("score", "<f4", ()),
    ("track_id", "<i8", ()),
    ("hand_scale", "<f4", ()),
    ("root_m", "<f4", (3,)),
    ("root_covariance_m2", "<f4", (3, 3)),
    ("keypoints_m", "<f4", (COUNT, 3)),
    ("keypoints_px", "<f4", (COUNT, 2)),
    ("weights", "<f4", (COUNT,)),
)
_SLACK_BYTES = MIB // 4  # heads of the arrays and the short columns


class PredictionsWriter:
    """Exporter: rows go to a spool file as they come; leaving the `with` block makes predictions.npz of them.

    However the block is left, the file then holds every row that was added. So that this also holds on a disk that
    fills up, `add` stops while there is still room for the final file.

    Args:
        path: of the final file; its folder exists. One that is there is replaced.
        faces: (F, 3) of the right hand. None takes them from the first hand; then V and F are 0 if none ever comes.
        vertex_count: V; needed with `faces`.

    Examples:
        >>> with PredictionsWriter(folder / "predictions.npz") as writer:
        ...     writer.add(frame, hands, camera)
    """

    def __init__(
        self, path: str | os.PathLike[str], faces: NDArray[np.int32] | None = None, vertex_count: int | None = None
    ) -> None:
        self.path = Path(path)
        self.row_count = 0
        self._faces: dict[str, NDArray[np.int32]] = {} if faces is None else {"right": np.asarray(faces, np.int32)}
        self._row_type = None if vertex_count is None else _row_type(vertex_count)
        self._images: list[str] = []
        self._reasons: list[str] = []
        self._spool_path = part_of(self.path.with_suffix(".rows"))
        with output_errors(self.path):
            self._spool: BinaryIO = open(self._spool_path, "wb", buffering=0)  # noqa: SIM115 - closed by close()

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        return [self.path]

    @property
    def reserve_bytes(self) -> int:
        """Disk space that `close` will still need."""
        return self.row_count * self._row_bytes + _SLACK_BYTES

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
            check_room(self.path.parent, self.reserve_bytes + 2 * row.nbytes)
            self._append(row)
            self._images.append(frame.name or "")
            self._reasons.append(hand.degenerate or "")
            self.row_count += 1

    def close(self) -> None:
        """Makes the final file and removes the spool. A second call does nothing.

        Raises:
            OutputError: the final file cannot be written.
        """
        if self._spool.closed:
            return
        self._spool.close()
        try:
            with whole_file(self.path) as part, open(part, "wb") as file:
                np.savez(file, allow_pickle=False, **self._columns())
                file.flush()
                os.fsync(file.fileno())
        finally:
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
            self._row_type = _row_type(count)
        expected = self._row_type["vertices_m"].shape[0]
        if count != expected:
            raise ShapeError(
                f"A hand of {count} vertices does not fit into a table of hands of {expected} vertices.",
                hint="Write each hand model to its own file.",
            )
        self._faces.setdefault(hand.handedness, np.asarray(hand.faces, dtype=np.int32))

    def _append(self, row: NDArray[Any]) -> None:
        start = self.row_count * row.nbytes
        try:
            with output_errors(self.path):
                written = self._spool.write(row.tobytes())
                if written != row.nbytes:
                    raise OSError(28, "No space left on device")  # a short write, and the rest did not fit
        except BaseException:
            self._spool.truncate(start)
            self._spool.seek(start)
            raise

    def _columns(self) -> dict[str, NDArray[Any]]:
        row_type = self._row_type or _row_type(0)
        rows: NDArray[Any] = np.empty(0, row_type)
        if self.row_count:
            rows = np.memmap(self._spool_path, dtype=row_type, mode="r", shape=(self.row_count,))
        columns = {name: rows[name] for name in row_type.names or ()}
        if any(self._images):
            columns["image"] = np.array(self._images)
        columns["degenerate"] = np.array(self._reasons, dtype=np.str_)
        left, right = self._faces.get("left"), self._faces.get("right")
        none = np.zeros((0, 3), dtype=np.int32)
        # Mirroring turns a surface inside out, so the other side's faces are these with the winding flipped.
        columns["faces"] = right if right is not None else none if left is None else left[:, ::-1]
        columns["faces_left"] = left if left is not None else columns["faces"][:, ::-1]
        return columns


def _row_type(vertex_count: int) -> np.dtype[Any]:
    head = [("frame_index", "<i8", ()), ("stamp_ns", "<i8", ()), ("handedness", "<U5", ())]
    return np.dtype([*head, *_NUMBERS, ("distance_std_m", "<f4", ()), ("vertices_m", "<f4", (vertex_count, 3))])


def _row(row_type: np.dtype[Any] | None, frame: Frame, hand: Hand) -> NDArray[Any]:
    row = np.zeros((), dtype=row_type)
    row["frame_index"], row["stamp_ns"], row["handedness"] = frame.index, frame.stamp_ns, hand.handedness
    for name in (*(name for name, _, _ in _NUMBERS), "vertices_m"):
        row[name] = getattr(hand, name)
    row["distance_std_m"] = distance_std_m(hand)
    return row
