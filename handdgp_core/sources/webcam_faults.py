"""Why a webcam cannot be opened, in words for a person."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from handdgp_core.errors import SourceError
from handdgp_core.sources.webcam_list import DEVICE_FOLDER, WebcamInfo

_PERMISSION_CURES = {
    "darwin": "allow the camera for this program under System Settings > Privacy & Security > Camera",
    "win32": "allow the camera under Settings > Privacy & security > Camera, and close programs that use it",
}


def explain_webcam(
    index: int,
    cameras: list[WebcamInfo],
    platform: str = sys.platform,
    device_folder: Path = DEVICE_FOLDER,
    process_folder: Path = Path("/proc"),
) -> SourceError:
    """The error for a camera that did not open: missing, not allowed, busy, or without usable pictures."""
    wanted = f"webcam {index}"
    listed = ", ".join(f"{camera.index} ({camera.name})" for camera in cameras)
    if not platform.startswith("linux"):
        cure = _PERMISSION_CURES.get(platform, "check that it is connected and not in use")
        return SourceError(wanted, f"cameras: {listed}" if listed else "no camera that opens", cure)
    path = device_folder / f"video{index}"
    if not path.exists():
        cure = f"choose one of: {listed}" if listed else "connect a webcam, or use a video file or the demo"
        return SourceError(wanted, f"no {path}" + ("" if listed else " and no other webcam"), cure)
    if not os.access(path, os.R_OK | os.W_OK):
        return SourceError(
            wanted,
            f"{path}, which you are not allowed to open",
            "add yourself to the group that owns it (sudo usermod -aG video $USER) and log in again",
        )
    holders = processes_using(path, process_folder)
    if holders:
        return SourceError(wanted, f"{path} in use by {', '.join(holders)}", "close that program and try again")
    return SourceError(
        wanted,
        f"{path}, which does not open for video: in use by another user's program, or not a camera",
        f"close other programs that use the camera, or choose another: {listed or 'none is listed'}",
    )


def processes_using(path: Path, process_folder: Path = Path("/proc")) -> list[str]:
    """ "name (process id)" of every other process seen to hold this file open; those of other users stay unseen."""
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
