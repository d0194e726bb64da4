"""Why a webcam cannot be opened, in words for the user."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from handdgp_core.errors import SourceError
from handdgp_core.sources.webcam_list import DEVICE_FOLDER, WebcamInfo

_PERMISSION_HINTS = {
    "darwin": "Allow the camera for this program under System Settings > Privacy & Security > Camera.",
    "win32": "Allow the camera under Settings > Privacy & security > Camera, and close programs that use it.",
}


def explain_webcam(
    index: int,
    cameras: list[WebcamInfo],
    platform: str = sys.platform,
    device_folder: Path = DEVICE_FOLDER,
    process_folder: Path = Path("/proc"),
) -> SourceError:
    """The error for a camera that did not open: missing, not allowed, busy, or without usable pictures."""
    failed = f"Could not open webcam {index}"
    listed = ", ".join(f"{camera.index} ({camera.name})" for camera in cameras)
    if not platform.startswith("linux"):
        hint = _PERMISSION_HINTS.get(platform, "Check that it is connected and not in use.")
        there = f"connected cameras are {listed}" if listed else "no camera could be opened"
        return SourceError(f"{failed}: {there}.", hint=hint)
    path = device_folder / f"video{index}"
    if not path.exists():
        hint = f"Choose one of: {listed}." if listed else "Connect a webcam, or use a video file or the demo."
        others = "" if listed else " and no other webcam is connected"
        return SourceError(f"{failed}: there is no {path}{others}.", hint=hint)
    if not os.access(path, os.R_OK | os.W_OK):
        return SourceError(
            f"{failed}: you do not have permission to open {path}.",
            hint="Add yourself to the group that owns it (sudo usermod -aG video $USER) and log in again.",
        )
    holders = processes_using(path, process_folder)
    if holders:
        return SourceError(f"{failed}: {path} is in use by {', '.join(holders)}.", hint="Close it and try again.")
    return SourceError(
        f"{failed}: {path} is in use by another user's program, or is not a camera.",
        hint=f"Close other programs that use the camera, or choose another: {listed or 'none is connected'}.",
    )


def processes_using(path: Path, process_folder: Path = Path("/proc")) -> list[str]:
    """ "name (process id)" of every other process that holds this file open; those of other users are not visible."""
    holders = []
    for process in process_folder.iterdir() if process_folder.is_dir() else []:
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if any(os.path.realpath(link) == os.path.realpath(path) for link in (process / "fd").iterdir()):
                holders.append(f"{(process / 'comm').read_text().strip()} (process {process.name})")
        except OSError:
            continue  # another user's, or already gone
    return holders
