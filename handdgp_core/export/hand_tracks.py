"""The hands of a whole recording, told apart, for files that are made at its end. Their vertices wait on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array, Handedness
from handdgp_core.errors import OutputError
from handdgp_core.export.axes import target_from_opencv
from handdgp_core.export.hand_mesh import has_mesh
from handdgp_core.files import MIB, output_errors, part_of, remove, whole_file
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame, Hand

__all__ = ["AXES", "FAR_M", "NEAR_M", "FileOfHands", "HandTrack", "HandTracks"]

AXES = "opengl"  # of the files: what animation programs expect
NEAR_M, FAR_M = 0.01, 10.0  # that their cameras show

_LEAST_STEP_S = 1e-4  # between frames: animations need times that grow


@dataclass
class HandTrack:
    """All frames of one hand; its vertices lie in a file.

    Attributes:
        name: "right hand", "left hand 2".
        side: of the hand.
        faces: (F, 3) outward.
        frames: numbers within the export, N of them.
        roots_m: N times (3,), in the axes of the tracks.
        keypoints_m: N times (21, 3), the same axes.
    """

    name: str
    side: Handedness
    faces: NDArray[np.int32]
    vertex_count: int
    spool_path: Path
    spool: BinaryIO
    frames: list[int] = field(default_factory=list)
    roots_m: list[Array] = field(default_factory=list)
    keypoints_m: list[Array] = field(default_factory=list)

    def vertices_m(self) -> NDArray[np.float32]:
        """(N, V, 3), from the file."""
        return np.memmap(self.spool_path, np.float32, "r", shape=(len(self.frames), self.vertex_count, 3))


class HandTracks:
    """Collects hands frame by frame. They are told apart by side, and by place where one frame has two of a side.

    Args:
        path: of the file to be made; vertices wait beside it.
        target_from_camera: (3, 3) rotation into the axes of that file.

    Attributes:
        tracks: in the order of their first frames.
        times_s: of every frame since the first, growing.
    """

    def __init__(self, path: Path, target_from_camera: Array) -> None:
        self._path, self._turn = path, target_from_camera
        self._by_name: dict[str, HandTrack] = {}
        self._first_ns = 0
        self.times_s: list[float] = []

    @property
    def tracks(self) -> list[HandTrack]:
        return list(self._by_name.values())

    def add(self, frame: Frame, hands: Sequence[Hand]) -> None:
        """Take in one frame; degenerate hands count as not seen. Raises OutputError."""
        number = len(self.times_s)
        if not number:
            self._first_ns = frame.stamp_ns
        time_s = (frame.stamp_ns - self._first_ns) / 1e9
        self.times_s.append(max(time_s, self.times_s[-1] + _LEAST_STEP_S) if self.times_s else 0.0)
        count: dict[str, int] = {}
        for hand in hands:
            if has_mesh(hand):
                count[hand.handedness] = count.get(hand.handedness, 0) + 1
                self._add_hand(number, hand, count[hand.handedness])

    def finish(self) -> None:
        """No frames will come: what waits can be read."""
        for track in self.tracks:
            track.spool.close()

    def remove(self) -> None:
        """Removes what waited on disk."""
        self.finish()
        for track in self.tracks:
            remove(track.spool_path)

    def _add_hand(self, number: int, hand: Hand, place: int) -> None:
        name = f"{hand.handedness} hand" + (f" {place}" if place > 1 else "")
        track = self._by_name.get(name) or self._begin(name, hand)
        if track.vertex_count != len(hand.vertices_m):
            raise OutputError(
                f"A hand of {len(hand.vertices_m)} vertices does not fit into an animation of "
                f"{track.vertex_count} vertices.",
                hint="Export each hand model to its own file.",
            )
        data = (hand.vertices_m @ self._turn.T).astype(np.float32).tobytes()
        with output_errors(self._path):
            if track.spool.write(data) != len(data):
                raise OSError(28, "No space left on device")
        track.frames.append(number)
        track.roots_m.append(self._turn @ hand.root_m)
        track.keypoints_m.append(hand.keypoints_m @ self._turn.T)

    def _begin(self, name: str, hand: Hand) -> HandTrack:
        waiting = f"{self._path.stem}{self._path.suffix.replace('.', '-')}-{name.replace(' ', '-')}.vertices"
        spool_path = part_of(self._path.with_name(waiting))
        with output_errors(self._path):
            spool = open(spool_path, "wb", buffering=0)  # noqa: SIM115 - closed by finish()
        track = HandTrack(name, hand.handedness, hand.faces, len(hand.vertices_m), spool_path, spool)
        self._by_name[name] = track
        return track


class FileOfHands(ABC):
    """Exporter: collects all frames; `close` makes the file. Without a hand there is no file.

    Args:
        path: its folder exists. One that is there is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hands = HandTracks(path, target_from_opencv(AXES))
        self._first: tuple[int, Camera] | None = None
        self._closed = False

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        return [self.path] if self._hands.tracks else []

    @property
    def reserve_bytes(self) -> int:
        """Disk space that `close` will still need."""
        return sum(self._size_bytes(track) for track in self._hands.tracks) + MIB

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Take in one frame; degenerate hands count as not seen. Raises OutputError."""
        if self._first is None:
            self._first = frame.index, camera
        self._hands.add(frame, hands)

    def close(self) -> None:
        """Makes the file. A second call does nothing. Raises OutputError."""
        if self._closed:
            return
        self._closed = True
        try:
            self._hands.finish()
            if self._first and self._hands.tracks:
                with whole_file(self.path) as part:
                    self._write(part, *self._first)
        finally:
            self._hands.remove()

    @abstractmethod
    def _size_bytes(self, track: HandTrack) -> int:
        """At most what one hand takes in the file."""

    @abstractmethod
    def _write(self, path: Path, first_index: int, camera: Camera) -> None:
        """Write the file. Args: its name while it is made; number and camera of the first frame."""
