"""From what a user types to a source."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from handdgp_core.errors import SourceError, UsageError
from handdgp_core.files import expanded
from handdgp_core.sources.capture import CaptureFactory, open_capture
from handdgp_core.sources.demo import DEMO_FOLDER, DemoSource
from handdgp_core.sources.file_kinds import head_of, image_format, is_session
from handdgp_core.sources.image_folder import ImageFolderSource
from handdgp_core.sources.names import local_path, shown_name
from handdgp_core.sources.protocol import Source
from handdgp_core.sources.reconnect import ReconnectingSource
from handdgp_core.sources.stream import open_stream
from handdgp_core.sources.urls import SCHEMES, is_url
from handdgp_core.sources.video import VideoSource
from handdgp_core.sources.webcam import WebcamSettings, open_webcam, reopen_webcam

RECORDING = ".mcap"
ACCEPTED = (
    "a webcam number (0), a device file (/dev/video0), a stream URL (rtsp://, http://, ...), a video file, "
    "an image, a folder of images, a recorded session (.mcap), or demo"
)


def open_source(
    spec: str,
    *,
    webcam: WebcamSettings | None = None,
    loop: bool = False,
    reconnect: bool = True,
    demo_folder: str | Path = DEMO_FOLDER,
    capture_factory: CaptureFactory = open_capture,
) -> Source:
    """Open whatever `spec` names.

    Args:
        spec: "0", "/dev/video0", a URL, a video file, an image, a folder of images, a session, or "demo". Of a
            recording with images of several topics, one may be named: "take.mcap#/left/image".
        webcam: what to ask of a webcam.
        loop: let videos, sessions and the demo start again at their end.
        reconnect: let webcams and streams be looked for after a loss.
        demo_folder: where the demo lies.
        capture_factory: what opens webcams and streams.

    Raises:
        UsageError: an empty spec or an unknown kind of URL.
        SourceError: what it names cannot be opened.
        AssetError: the demo is missing or damaged.
    """
    spec = os.fspath(spec).strip()
    if not spec:
        raise UsageError("No source is given.", hint=f"Give {ACCEPTED}.")
    if spec == "demo":
        return DemoSource(demo_folder, loop)
    if is_webcam(spec):
        return _open_webcam(spec, webcam, reconnect, capture_factory)
    if is_url(spec):
        return open_stream(spec, capture_factory, reconnect, loop)
    spec, topic = split_topic(spec)
    return _open_path(_local_path(spec), loop, topic)


def split_topic(spec: str) -> tuple[str, str | None]:
    """The path of a recording and the topic of its images, of "take.mcap#/left/image"; None where none is named."""
    path, mark, topic = spec.partition(f"{RECORDING}#")
    return (path + RECORDING, topic) if mark and not expanded(spec).exists() else (spec, None)


def is_webcam(spec: str) -> bool:
    """True for a number or a device file."""
    return spec.isdecimal() or spec.startswith(("/dev/video", "/dev/v4l/"))


def _open_webcam(
    spec: str, settings: WebcamSettings | None, reconnect: bool, capture_factory: CaptureFactory
) -> Source:
    first = open_webcam(spec, settings, capture_factory=capture_factory)
    if not reconnect:
        return first
    # By identity, not by number: after a replug the same camera may come back under another one.
    return ReconnectingSource(lambda: reopen_webcam(first, settings, capture_factory=capture_factory), first)


def _local_path(spec: str) -> Path:
    parts = urlsplit(spec)
    if parts.scheme == "file":
        spec = url2pathname(parts.path)
    elif "://" in spec:
        raise UsageError(f"Cannot open {parts.scheme}:// URLs.", hint=f"Supported are {', '.join(SCHEMES)}.")
    try:
        return local_path(spec)
    except SourceError as error:
        if error.problem.endswith("does not exist."):
            hint = f"{_suggestion(expanded(spec))} A source is {ACCEPTED}."
            raise SourceError(error.problem, hint=hint) from None
        raise


def _open_path(path: Path, loop: bool, topic: str | None) -> Source:
    """By content: what is neither folder, session nor image is a video, or refused as none."""
    if path.is_dir():
        return ImageFolderSource(path)
    try:
        head = head_of(path)
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise SourceError(f"Could not open {shown_name(path)}: {reason}.", hint="Check the file.") from error
    if is_session(head) or path.suffix.lower() in (RECORDING, ".part"):
        from handdgp_core.sources.session import SessionSource  # here: its schemas take a moment to import

        return SessionSource(path, loop, topic)
    if image_format(head, path.suffix) is not None:
        return ImageFolderSource(path)
    return VideoSource(path, loop=loop)


def _suggestion(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"Check the path: there is no folder {shown_name(folder)} either."
    try:
        names = [shown_name(entry.name) for entry in folder.iterdir()]
    except OSError:
        return "Check the path."
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    return (
        f"Did you mean {' or '.join(close)}?"
        if close
        else f"Check the name: {shown_name(folder)} holds nothing like it."
    )
