"""A live stream by URL (RTSP, HTTP MJPEG, ...)."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import cv2

from handdgp_core.errors import SourceError
from handdgp_core.sources.capture import Capture, CaptureFactory, frame_rate, open_capture
from handdgp_core.sources.live import LiveSource
from handdgp_core.sources.protocol import Source
from handdgp_core.sources.reconnect import ReconnectingSource
from handdgp_core.sources.urls import shown_url
from handdgp_core.sources.video import VideoSource

OPEN_TIMEOUT_MS = 5000
READ_TIMEOUT_MS = 5000
_BY_ANGLE = {0: 1, 90: 6, 180: 3, 270: 8}  # clockwise, as OpenCV counts; EXIF's numbers
_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443, "http": 80, "https": 443}


def open_stream(
    url: str, capture_factory: CaptureFactory = open_capture, reconnect: bool = True, loop: bool = False
) -> Source:
    """A stream: live, newest frame first, reconnecting; or a video file where the URL leads to one that has an end.

    Args:
        url: as `urls.SCHEMES`; may carry user, password and query, which are shown nowhere.
        capture_factory: what opens it.
        reconnect: look for it again after a loss.
        loop: for a file behind a URL, start again at its end.

    Raises:
        SourceError: no such host, no answer, or nothing that can be decoded.
    """
    capture = _connect(url, capture_factory)
    if capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0:
        capture.release()
        return VideoSource(url, name=shown_url(url), loop=loop)
    first = _live(url, capture)
    return ReconnectingSource(lambda: _live(url, _connect(url, capture_factory)), first) if reconnect else first


def _live(url: str, capture: Capture) -> LiveSource:
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # turned by LiveSource, which tells the camera
    wide, high = capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
    return LiveSource(
        capture,
        shown_url(url),
        frame_rate(capture),
        driver_stamps=False,
        pixel_aspect=wide / high if wide > 0 and high > 0 and 0.25 <= wide / high <= 4.0 else 1.0,
        orientation=_BY_ANGLE.get(round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360, 1),
    )


def _connect(url: str, capture_factory: CaptureFactory) -> Capture:
    limits = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS
    ]  # fmt: skip
    capture = capture_factory(url, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        capture.release()
        raise _explain(url)
    return capture


def _explain(url: str) -> SourceError:
    parts = urlsplit(url)
    failed = f"Could not open the stream {shown_url(url)}"
    port = parts.port or _PORTS.get(parts.scheme.lower())
    if parts.hostname and port and parts.scheme.lower() not in ("udp", "rtp", "srt"):
        try:
            socket.create_connection((parts.hostname, port), timeout=2.0).close()
        except socket.gaierror:
            return SourceError(f"{failed}: host {parts.hostname} not found.", hint="Check the address and the network.")
        except OSError as error:
            reason = error.strerror or "no answer"
            unreachable = f"{parts.hostname}:{port} is not reachable ({reason})"
            return SourceError(f"{failed}: {unreachable}.", hint="Check that the camera or server is on.")
    return SourceError(f"{failed}: no video that can be decoded.", hint="Check the path, user name and password.")
