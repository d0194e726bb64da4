"""A webcam through OpenCV."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

from handdgp_core.errors import SourceError, UsageError
from handdgp_core.sources.capture import Capture, CaptureFactory, frame_rate, open_capture
from handdgp_core.sources.live import LiveSource
from handdgp_core.sources.webcam_faults import explain_webcam
from handdgp_core.sources.webcam_list import WebcamInfo, list_webcams

BACKENDS = {
    "any": cv2.CAP_ANY,
    "v4l2": cv2.CAP_V4L2,
    "dshow": cv2.CAP_DSHOW,
    "msmf": cv2.CAP_MSMF,
    "avfoundation": cv2.CAP_AVFOUNDATION,
    "gstreamer": cv2.CAP_GSTREAMER,
}
# Tried in this order for "auto". DirectShow opens in a fraction of the time that Media Foundation takes.
_AUTO = {"linux": ("v4l2", "any"), "win32": ("dshow", "msmf", "any"), "darwin": ("avfoundation", "any")}


@dataclass(frozen=True)
class LensState:
    """What the driver says of the lens; None where it says nothing.

    Attributes:
        autofocus: 1 on, 0 off.
        focus, zoom: in the driver's own units.
    """

    autofocus: float | None = None
    focus: float | None = None
    zoom: float | None = None

    @property
    def locked(self) -> bool:
        """Whether autofocus is surely off."""
        return self.autofocus == 0


@dataclass(frozen=True)
class WebcamSettings:
    """What is asked of a webcam; what it gives is read back and may differ.

    Attributes:
        size: (width, height) in pixels.
        fps: frames per second.
        pixel_format: four characters. "MJPG" is what lets USB 2 cameras reach 720p at 30 frames per second; "" leaves
            the choice to the camera.
        backend: "auto" or a key of `BACKENDS`.
        lock_focus: switch autofocus off; `WebcamSource.lens` tells whether the camera obeyed.
        focus: with `lock_focus`, where to lock it, in the driver's own units; None for where it is.
    """

    size: tuple[int, int] = (1280, 720)
    fps: float = 30.0
    pixel_format: str = "MJPG"
    backend: str = "auto"
    lock_focus: bool = False
    focus: float | None = None

    def __post_init__(self) -> None:
        if min(self.size) < 1 or not 0 < self.fps < 10_000:
            raise UsageError(f"Resolution and frame rate must be positive, not {self.size} at {self.fps}.")
        if len(self.pixel_format) not in (0, 4):
            raise UsageError(f"A pixel format has four characters (e.g. MJPG), not {self.pixel_format!r}.")
        if self.backend != "auto" and self.backend not in BACKENDS:
            raise UsageError(f"Unknown camera backend {self.backend!r}.", hint=f"Use auto, {', '.join(BACKENDS)}.")


class WebcamSource(LiveSource):
    """A webcam, opened by its number; ends with `SourceLost` when it is unplugged.

    Args:
        index: OpenCV's number of the camera.
        settings: what to ask for.
        capture_factory: what opens it.
        cameras: lists what is connected, for names and messages.
        device_path: the camera's file, whose vanishing means "unplugged"; None works it out (Linux), "" has none.

    Attributes:
        identity: see `WebcamInfo`.
        settings: what was asked for; `size` and `nominal_fps` are what came.
        pixel_format: four characters, as the camera reports it, or empty.
        lens: focus and zoom as the driver reported them at the start.

    Raises:
        SourceError: no such camera, busy, not allowed.
    """

    def __init__(
        self,
        index: int = 0,
        settings: WebcamSettings | None = None,
        capture_factory: CaptureFactory = open_capture,
        cameras: Callable[[], list[WebcamInfo]] = list_webcams,
        device_path: str | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.settings = settings or WebcamSettings()
        info = next((camera for camera in cameras() if camera.index == index), None)
        self.index = index
        self.identity = info.identity if info else str(index)
        capture = _open(index, self.settings, capture_factory)
        if capture is None:
            raise explain_webcam(index, cameras())
        _configure(capture, self.settings)
        self.pixel_format = _pixel_format(capture)
        self.lens = _lens_state(capture)
        path = device_path if device_path is not None else (info.path if info else None)
        super().__init__(
            capture,
            info.name if info else f"webcam {index}",
            frame_rate(capture),
            is_gone=lambda: bool(path) and not os.path.exists(str(path)),
            clock_ns=clock_ns,
        )

    @property
    def warning(self) -> str | None:
        width, height = self.size
        if (width, height) != self.settings.size:
            asked = f"{self.settings.size[0]}x{self.settings.size[1]}"
            return super().warning or f"{self.name} uses {width}x{height} instead of the requested {asked}"
        return super().warning


def open_webcam(identity: str | int, settings: WebcamSettings | None = None, **options: object) -> WebcamSource:
    """Open by number, device file or stable link.

    Args:
        identity: 0, "0", "/dev/video0", a link such as those under /dev/v4l/by-id, or another `WebcamInfo.identity`.
        settings: what to ask for.
        options: for `WebcamSource`.

    Raises:
        SourceError: no such camera, busy, not allowed.
    """
    return WebcamSource(webcam_index(identity), settings, **options)  # type: ignore[arg-type]


def reopen_webcam(first: WebcamSource, settings: WebcamSettings | None = None, **options: object) -> WebcamSource:
    """Open the same camera as `first` again, under whatever number it has now.

    A camera without an identity of its own is known by its device file or number alone, which another camera may have
    by now: where that one has another name it is left alone, for it must not go on with the calibration of `first`.

    Raises:
        SourceError: it is not there, busy, not allowed, or another camera has its place.
    """
    index = webcam_index(first.identity)
    name = next((camera.name for camera in list_webcams() if camera.index == index), first.name)
    if name != first.name:
        raise SourceError(
            f"Could not open {first.name} again: {name} has its place now.",
            hint="Connect it again, or choose the other camera.",
        )
    return WebcamSource(index, settings, **options)  # type: ignore[arg-type]


def webcam_index(identity: str | int, cameras: Callable[[], list[WebcamInfo]] = list_webcams) -> int:
    """OpenCV's number for a number, a device file, a link to one, or the identity of a connected camera.

    Raises SourceError for anything else.
    """
    text = str(identity)
    if text.isdigit():
        return int(text)
    listed = next((camera.index for camera in cameras() if camera.identity == text), None)
    if listed is not None:
        return listed
    node = Path(os.path.realpath(text)).name
    number = node.removeprefix("video")
    if node.startswith("video") and number.isdigit():
        return int(number)
    reason = f"{text} is not a webcam" if os.path.lexists(text) else f"there is no {text}"
    raise SourceError(f"Could not open the webcam: {reason}.", hint="Connect it, or give a number or /dev/video0.")


def _open(index: int, settings: WebcamSettings, factory: CaptureFactory) -> Capture | None:
    names = _AUTO.get(sys.platform, ("any",)) if settings.backend == "auto" else (settings.backend,)
    for name in names:
        capture = factory(index, BACKENDS[name])
        if capture.isOpened():
            return capture
        capture.release()
    return None


def _configure(capture: Capture, settings: WebcamSettings) -> None:
    # The pixel format first: it decides which sizes and rates the camera offers.
    if settings.pixel_format:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*settings.pixel_format))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.size[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.size[1])
    capture.set(cv2.CAP_PROP_FPS, settings.fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    if settings.lock_focus:
        capture.set(cv2.CAP_PROP_AUTOFOCUS, 0)
        if settings.focus is not None:
            capture.set(cv2.CAP_PROP_FOCUS, settings.focus)


def _pixel_format(capture: Capture) -> str:
    code = capture.get(cv2.CAP_PROP_FOURCC)
    if not math.isfinite(code) or code <= 0:
        return ""
    text = int(code).to_bytes(8, "little")[:4].decode("latin-1").strip()
    return text if text.isalnum() else ""


def _lens_state(capture: Capture) -> LensState:
    """Drivers that do not know a property give -1, some give 0 for all three: then nothing is known."""
    values = [capture.get(prop) for prop in (cv2.CAP_PROP_AUTOFOCUS, cv2.CAP_PROP_FOCUS, cv2.CAP_PROP_ZOOM)]
    autofocus, focus, zoom = (value if math.isfinite(value) and value >= 0 else None for value in values)
    if not any(values):
        return LensState()
    return LensState(autofocus, focus, zoom)
