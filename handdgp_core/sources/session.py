"""A recorded session as a source: every frame with its own time and the camera that was in use."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handdgp_core.errors import SourceError
from handdgp_core.estimation.hand_size import MeasuredLength
from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions.reader import DamagedFrame, SessionReader
from handdgp_core.sources.cameras import DEFAULT_FOV_DEG, CameraChooser
from handdgp_core.sources.protocol import DEFAULT_TIMEOUT_S, BaseSource, Source, check_index
from handdgp_core.types import Frame

_SKIPPED_KEPT = 1000  # a looping damaged session must not grow without end


def cameras_of(source: Source, calibration: Camera | None, horizontal_fov_deg: float | None = None) -> CameraChooser:
    """What chooses the cameras of a source. Of a recording, what is given goes before what was recorded.

    Args:
        source: just opened.
        calibration: of its camera, or None.
        horizontal_fov_deg: assumed where nothing better is known; None for the usual one, or that of the recording.
    """
    again, fov_deg = isinstance(source, SessionSource), horizontal_fov_deg
    usual = DEFAULT_FOV_DEG if fov_deg is None else fov_deg
    return CameraChooser(calibration, usual, overrides=again, overrides_assumed=again and fov_deg is not None)


def length_of(source: Source, given: MeasuredLength) -> MeasuredLength:
    """The hand length that was given, else the one that a session was recorded with."""
    if given.length_m is not None or not isinstance(source, SessionSource):
        return given
    return MeasuredLength(source.session.hand_length_m, source.session.hand_length_std)


class SessionSource(BaseSource):
    """A session. Frames that are damaged are left out and listed in `skipped`; their numbers stay theirs.

    Args:
        path: a session, finished or not.
        loop: start again after the last frame; stamps go on rising.
        image_topic: as for `SessionReader`.

    Attributes:
        session: the open file, with the recorded results.

    Raises:
        SourceError: it cannot be read or holds no pictures.
    """

    is_seekable = True

    def __init__(self, path: Path, loop: bool = False, image_topic: str | None = None) -> None:
        super().__init__()
        self.session = SessionReader(path, image_topic)
        self.name = path.name
        self.is_rendered = self.session.is_rendered
        self.loop = loop
        self._lock = threading.Lock()
        self._closed = False
        self._next = 0
        self._lap_ns = 0
        self._size = self._first_size()

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    @property
    def nominal_fps(self) -> float | None:
        return self.session.nominal_fps

    @property
    def frame_count(self) -> int | None:
        return self.session.frame_count

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """(N,) time of each frame since the first: players keep to it."""
        return self.session.times_ns - self.session.times_ns[0]

    @property
    def camera(self) -> Camera | None:
        """None: each frame carries its own."""
        return None

    @property
    def warning(self) -> str | None:
        return f"{self.name}: {'; '.join(self.session.warnings)}" if self.session.warnings else None

    def read(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Frame | None:
        """Next frame that is whole, None after the last one or `close`. Raises SourceError where the disk fails."""
        with self._lock:
            while not self._closed:
                if self._next >= self.session.frame_count and not (self.loop and self._start_again()):
                    return None
                number, self._next = self._next, self._next + 1
                try:
                    return self._on_this_lap(self.session.frame(number))
                except DamagedFrame as error:
                    if len(self.skipped) < _SKIPPED_KEPT:
                        self.skipped.append((f"frame {number}", error.problem))
            return None

    def seek(self, index: int) -> None:
        """Make frame `index` the next one. Raises SourceError outside the session."""
        with self._lock:
            check_index(index, self.session.frame_count, self.name)
            self._next = index

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self.session.close()

    def _first_size(self) -> tuple[int, int]:
        """Of the first frame that is whole."""
        for number in range(self.session.frame_count):
            try:
                height, width = self.session.image(number).shape[:2]
            except DamagedFrame:
                continue
            return width, height
        self.session.close()
        raise SourceError(f"Could not open {self.name}: no frame in it is complete.", hint="Choose another file.")

    def _start_again(self) -> bool:
        count, fps = self.session.frame_count, self.session.nominal_fps or 30.0
        if len(self.skipped) >= min(count, _SKIPPED_KEPT):
            return False  # nothing to be had, on no lap
        self._next = 0
        self._lap_ns += int(self.stamps_ns[-1]) + round(1e9 / fps)
        return True

    def _on_this_lap(self, frame: Frame) -> Frame:
        height, width = frame.image.shape[:2]
        self._size = (width, height)
        stamp_ns = frame.stamp_ns + self._lap_ns
        return replace(frame, stamp_ns=stamp_ns)
