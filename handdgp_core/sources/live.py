"""A live capture in its own thread: the reader always gets the newest frame and never a queued one."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import cv2

from handdgp_core.errors import SourceError
from handdgp_core.geometry.image_transform import transform_of
from handdgp_core.sources.capture import Capture, is_image, to_rgb
from handdgp_core.sources.protocol import DEFAULT_TIMEOUT_S, BaseSource, NoFrameYet, SourceLost
from handdgp_core.types import Frame

MAX_AGE_NS = 250_000_000  # an unread frame older than this is not shown: the camera has fallen silent since
LOST_AFTER_NS = 3_000_000_000  # failing this long without one good frame means that the camera is gone
RETRY_S = 0.02  # between two failed grabs, so that a dead device does not spin a core
_RECONNECT = "Connect it again."
JOIN_S = 0.3  # a thread stuck inside a driver is left to end by itself
BLACK_LEVEL = 8
BLACK_FRAMES = 30


class DriverStamps:
    """Capture times: the driver's where it gives them on our clock, else the time just after the grab.

    V4L2 stamps a buffer with the system's monotonic clock, the one of `time.monotonic_ns`, when the frame arrives: a
    steadier time than that of our waking up. Other backends report a media position, zero or nothing. The first
    stamp that is not within `window_ns` before the grab, or does not increase, ends the trust in the driver for
    good, so that two clocks are never mixed frame by frame.
    """

    def __init__(self, use_driver: bool, window_ns: int = 500_000_000) -> None:
        self._trusted = use_driver
        self._window_ns = window_ns
        self._last_ns = -1

    def stamp(self, driver_ms: float, grabbed_ns: int) -> int:
        """Time of this frame in nanoseconds, strictly increasing."""
        driver_ns = int(driver_ms * 1e6) if 0 < driver_ms < 1e12 else 0
        if not (0 <= grabbed_ns - driver_ns <= self._window_ns and driver_ns > self._last_ns):
            self._trusted = False
        self._last_ns = max(driver_ns if self._trusted else grabbed_ns, self._last_ns + 1)
        return self._last_ns


class LiveSource(BaseSource):
    """Newest frame of an open capture. The thread made here owns the capture and is the one to release it.

    Args:
        capture: opened and set up; handed over for good.
        name: to show.
        nominal_fps: as the capture reports it, or None.
        is_gone: asked after a failed grab; True means that waiting is useless (the device's file has vanished).
        driver_stamps: let the capture's own time stamps be used where they are sane.
        clock_ns: the time, for tests.
        pixel_aspect: width of a pixel of the capture over its height.
        orientation: EXIF's, of the pictures as the capture gives them.
    """

    is_live = True

    def __init__(
        self,
        capture: Capture,
        name: str,
        nominal_fps: float | None = None,
        is_gone: Callable[[], bool] = lambda: False,
        driver_stamps: bool = sys.platform.startswith("linux"),
        clock_ns: Callable[[], int] = time.monotonic_ns,
        pixel_aspect: float = 1.0,
        orientation: int = 1,
    ) -> None:
        super().__init__()
        self.name = name
        self._pixel_aspect, self._orientation = pixel_aspect, orientation
        self._capture = capture
        self._fps = nominal_fps
        self._is_gone = is_gone
        self._clock_ns = clock_ns
        self._stamps = DriverStamps(driver_stamps)
        self._size = (round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._newest: Frame | None = None
        self._newest_ns = 0
        self._failure: SourceError | None = None
        self._black = 0
        self._thread = threading.Thread(target=self._run, name=f"capture {name}", daemon=True)
        self._thread.start()

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    @property
    def nominal_fps(self) -> float | None:
        return self._fps

    @property
    def warning(self) -> str | None:
        if self._black >= BLACK_FRAMES:
            return f"{self.name} sends black frames: is the lens covered, or its privacy shutter closed?"
        return None

    def read(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> Frame | None:
        """Newest frame not read yet; waits for the next one where there is none, or only a stale one.

        Raises:
            NoFrameYet: nothing within `timeout_s`.
            SourceLost: the camera is gone.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or self._failure or self._fresh(), timeout_s)
            if self._stop.is_set():
                return None
            frame, self._newest = (self._newest if self._fresh() else None), None
            if frame is not None:
                return frame
            if self._failure is not None:
                raise self._failure
        raise NoFrameYet(f"{self.name} sends no frames")

    def close(self) -> None:
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_S)

    def _fresh(self) -> bool:
        return self._newest is not None and self._clock_ns() - self._newest_ns <= MAX_AGE_NS

    def _run(self) -> None:
        try:
            self._grab_all()
        except SourceError as error:
            self._fail(error)
        except Exception as error:  # whatever the backend throws must reach the reader, not die with this thread
            reason = f"{type(error).__name__}: {error}"
            self._fail(SourceLost(f"Could not read from {self.name}: {reason}.", hint=_RECONNECT))
        finally:
            self._capture.release()

    def _grab_all(self) -> None:
        index = 0
        last_good_ns = self._clock_ns()
        while not self._stop.is_set():
            frame = self._next_frame(index)
            if frame is not None:
                index += 1
                last_good_ns = self._clock_ns()
                self._publish(frame, last_good_ns)
            elif self._is_gone() or self._clock_ns() - last_good_ns > LOST_AFTER_NS:
                raise SourceLost(f"{self.name} has stopped sending frames.", hint=_RECONNECT)
            else:
                self._stop.wait(RETRY_S)

    def _next_frame(self, index: int) -> Frame | None:
        if not self._capture.grab():
            return None
        grabbed_ns = self._clock_ns()
        driver_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        good, image = self._capture.retrieve()
        if not good or not is_image(image):
            return None
        stored = to_rgb(image)
        transform = transform_of(stored, self._pixel_aspect, self._orientation)
        shown = stored if transform is None else transform.show(stored)
        return Frame(shown, self._stamps.stamp(driver_ms, grabbed_ns), index, transform=transform)

    def _publish(self, frame: Frame, now_ns: int) -> None:
        is_black = int(frame.image[::16, ::16].max()) < BLACK_LEVEL
        self._black = self._black + 1 if is_black else 0
        with self._changed:
            height, width = frame.image.shape[:2]
            self._size = (width, height)
            self._newest, self._newest_ns = frame, now_ns
            self._changed.notify_all()

    def _fail(self, error: SourceError) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()
