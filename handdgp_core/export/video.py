"""overlay.mp4: the camera images with the hands drawn over them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.drawing.colours import LIGHT
from handdgp_core.drawing.overlay import OverlayStyle, draw_hands
from handdgp_core.drawing.text import draw_text, text_size
from handdgp_core.errors import OutputError, UsageError
from handdgp_core.files import MIB, check_room, name_part, output_errors, part_of, remove
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame, Hand

# What OpenCV's wheels bring, fastest first: MPEG-4 part 2 takes 4 ms for a 720p frame, VP9 100 ms. H.264 is there only
# on machines that have an encoder of their own.
CODECS = ("mp4v", "avc1", "vp09")
_SMALLEST_PX, _LARGEST_PX = 16, 3840
_SAFETY_BYTES = 4 * MIB  # enough for what the encoder still holds, and for the index at the end of the file


class OverlayVideo:
    """Exporter: a video of constant size; `close` checks it and gives it its name.

    The first frame decides the size (even, at most 3840 pixels on the long side). Frames of another size are scaled to
    fit and get black bars. Without a frame there is no file.

    Args:
        path: ending in .mp4; its folder exists. One that is there is replaced.
        fps: frames per second of the result, so the source's rate divided by `--every`.
        style: what to draw.
        codec: one of `CODECS`, or None for the first that works here.

    Attributes:
        codec: the one in use, once the first frame has come.

    Raises:
        UsageError: a frame rate that is not a positive number, or an unknown codec.
    """

    def __init__(
        self, path: str | os.PathLike[str], fps: float, style: OverlayStyle | None = None, codec: str | None = None
    ) -> None:
        if not (math.isfinite(fps) and fps > 0.0):
            raise UsageError(f"A video cannot have a frame rate of {fps}.", hint="Give a positive number.")
        if codec is not None and codec not in CODECS:
            raise UsageError(f"There is no codec {codec!r} for videos.", hint=f"Choose one of {', '.join(CODECS)}.")
        self.path, self.fps, self.style, self.codec = Path(path), fps, style or OverlayStyle(), codec
        self.frame_count = 0
        self._part = part_of(self.path)
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        return [self.path] if self.frame_count else []

    @property
    def reserve_bytes(self) -> int:
        """Disk space that `close` may still need."""
        return _SAFETY_BYTES

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Draws and encodes one frame.

        Raises:
            OutputError: no codec works, or the disk is nearly full; the frames before are safe.
        """
        picture = draw_hands(frame.image, hands, camera, self.style)
        if self._writer is None:
            self._open(picture.shape[1], picture.shape[0])
        assert self._writer is not None
        check_room(self.path.parent, _SAFETY_BYTES)  # OpenCV reports no full disk
        picture = letterbox(picture, *self._size)
        _draw_frame_number(picture, frame.index)
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        self.frame_count += 1

    def close(self) -> None:
        """Ends the video, counts its frames and names it. A second call does nothing.

        Raises:
            OutputError: frames are missing. What can be played is kept.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        readable = _count_frames(self._part)
        try:
            if readable:
                name_part(self._part, self.path)
        finally:
            remove(self._part)
        if readable < self.frame_count:
            raise OutputError(
                f"Only {readable} of {self.frame_count} frames can be read back from {self.path}.",
                hint="Check that the disk is not full, and export again.",
            )

    def _open(self, width: int, height: int) -> None:
        self._size = video_size(width, height)
        check_room(self.path.parent, 2 * _SAFETY_BYTES)
        for codec in CODECS if self.codec is None else (self.codec,):
            fourcc = cv2.VideoWriter.fourcc(*codec)
            writer = cv2.VideoWriter(str(self._part), cv2.CAP_FFMPEG, fourcc, self.fps, self._size)
            if writer.isOpened():
                self._writer, self.codec = writer, codec
                return
            writer.release()
        remove(self._part)
        tried = self.codec or ", ".join(CODECS)
        with output_errors(self.path):
            self._part.touch()  # tells a folder that cannot be written from a missing codec
            self._part.unlink()
        raise OutputError(
            f"Could not write {self.path}: none of the video codecs {tried} works here.",
            hint="Install the opencv-contrib-python wheel, which brings one, or export no video.",
        )


def video_size(width: int, height: int) -> tuple[int, int]:
    """(width, height) for a video of images of this size: even, and within what codecs and players take."""
    factor = min(1.0, _LARGEST_PX / max(width, height))
    return _even(width * factor), _even(height * factor)


def _even(length: float) -> int:
    return max(_SMALLEST_PX, 2 * math.ceil(length / 2))


def letterbox(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """(height, width, 3): the image scaled to fit without changing its shape, centred between black bars."""
    if image.shape[:2] == (height, width):
        return image
    factor = min(width / image.shape[1], height / image.shape[0])
    inner = max(1, min(width, round(image.shape[1] * factor))), max(1, min(height, round(image.shape[0] * factor)))
    fitted = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if factor < 1.0 else cv2.INTER_LINEAR)
    boxed = np.zeros((height, width, 3), dtype=np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    boxed[top : top + inner[1], left : left + inner[0]] = fitted
    return boxed


def _draw_frame_number(picture: NDArray[np.uint8], index: int) -> None:
    """In the lower left corner."""
    size = max(9.0, 18.0 * max(picture.shape) / 1280)
    text = f"frame {index}"
    draw_text(picture, text, (0, picture.shape[0] - text_size(text, size)[1]), size, LIGHT)


def _count_frames(path: Path) -> int:
    """How many frames the file claims to have; 0 where it cannot be opened."""
    if not path.exists() or not path.stat().st_size:
        return 0
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
    video.release()
    return max(count, 0)
