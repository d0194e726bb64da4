"""The thin layer over cv2.VideoCapture: one interface, one place that opens it, one pixel conversion."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

# OpenCV prints the decoder's own complaints to the terminal; ours say the same in words. A person who wants them
# back sets the variable before starting.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


_log_lock = threading.Lock()
_log_levels: list[int] = []


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used here."""

    def isOpened(self) -> bool: ...
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Any]: ...
    def get(self, prop: int) -> float: ...
    def set(self, prop: int, value: float) -> bool: ...
    def release(self) -> None: ...


class CaptureFactory(Protocol):
    """Opens a capture: (device number or path or URL, OpenCV backend, [property, value, ...])."""

    def __call__(self, target: int | str, api: int, params: Sequence[int] = ()) -> Capture: ...


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """No log lines of OpenCV's own on the terminal while something is being tried."""
    # Several threads may be inside at once: the first one in notes the level, the last one out restores it.
    with _log_lock:
        _log_levels.append(cv2.utils.logging.getLogLevel())
        cv2.utils.logging.setLogLevel(0)
    try:
        yield
    finally:
        with _log_lock:
            level = _log_levels.pop()
            if not _log_levels:
                cv2.utils.logging.setLogLevel(level)


def open_capture(target: int | str, api: int, params: Sequence[int] = ()) -> Capture:
    """The real factory: a cv2.VideoCapture, which may turn out not to be opened."""
    with quiet_opencv():
        return cv2.VideoCapture(target, api, list(params))


def frame_rate(capture: Capture) -> float | None:
    """Frames per second as the driver or the stream states it, None where that makes no sense."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if math.isfinite(fps) and 0.1 <= fps < 1000 else None


def to_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """OpenCV picture to RGB.

    Args:
        image: (height, width), (height, width, 1), BGR (height, width, 3) or BGRA (height, width, 4); uint8, or
            uint16, whose upper eight bits are kept. An alpha channel is dropped.

    Returns:
        (height, width, 3) uint8 RGB, contiguous, own memory.
    """
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}[channels]
    return np.asarray(cv2.cvtColor(image, code), dtype=np.uint8)


def is_image(image: Any) -> bool:
    """True for an array that `to_rgb` accepts."""
    return (
        isinstance(image, np.ndarray)
        and image.size > 0
        and image.dtype in (np.uint8, np.uint16)
        and (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4)))
    )
