"""Which webcams there are, and how to recognise one after it was unplugged."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

SYSTEM_FOLDER = Path("/sys/class/video4linux")
DEVICE_FOLDER = Path("/dev")
_QUERY_CAPABILITIES = 0x80685600  # VIDIOC_QUERYCAP of linux/videodev2.h
_CAPABILITIES_SIZE = 104
_CAPTURE = 0x1 | 0x1000  # single- and multi-planar video capture
# Each API numbers cameras in an order of its own: list with the one that `webcam` opens first.
_LISTED_API = {"win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}


@dataclass(frozen=True)
class WebcamInfo:
    """One camera.

    Attributes:
        index: the number that OpenCV opens.
        name: as the maker calls it; "camera N" where the system does not say.
        path: device file, or None outside Linux.
        identity: stays the same when the camera is plugged in again or two cameras swap numbers. On Linux the link in
            /dev/v4l/by-id, else by-path, else the device file; on Windows the device's path, on macOS its unique ID.
    """

    index: int
    name: str
    path: str | None
    identity: str


def list_webcams(
    system_folder: Path = SYSTEM_FOLDER,
    device_folder: Path = DEVICE_FOLDER,
    can_capture: Callable[[Path], bool] | None = None,
    platform: str = sys.platform,
) -> list[WebcamInfo]:
    """Cameras in the order of their numbers; empty where there is none. No camera is switched on for it.

    Args:
        system_folder, device_folder: where the Linux kernel lists video devices and keeps their files.
        can_capture: tells of a Linux device file whether it gives pictures (others carry metadata); None asks the
            kernel.
        platform: as `sys.platform`.
    """
    if not platform.startswith("linux"):
        return _list_elsewhere(platform)
    found = []
    for node in system_folder.glob("video*"):
        number = node.name.removeprefix("video")
        path = device_folder / node.name
        if number.isdigit() and path.exists() and (can_capture or _node_captures)(path):
            found.append(WebcamInfo(int(number), _node_name(node), str(path), stable_identity(path, device_folder)))
    return sorted(found, key=lambda camera: camera.index)


def stable_identity(path: Path, device_folder: Path = DEVICE_FOLDER) -> str:
    """The link under v4l/by-id (or by-path) that points to this device file; the file itself where there is none."""
    for kind in ("by-id", "by-path"):
        folder = device_folder / "v4l" / kind
        for link in sorted(folder.iterdir()) if folder.is_dir() else []:
            if link.resolve() == path.resolve():
                return str(link)
    return str(path)


def _node_name(node: Path) -> str:
    try:
        return (node / "name").read_text(encoding="utf-8", errors="replace").strip() or node.name
    except OSError:
        return node.name


def _node_captures(path: Path) -> bool:
    import fcntl  # Unix alone has it

    try:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        # Not ours to open: list it all the same, so that choosing it can tell why it does not work.
        return _node_index(path) == 0
    try:
        answer = fcntl.ioctl(device, _QUERY_CAPABILITIES, bytes(_CAPABILITIES_SIZE))
        return bool(struct.unpack_from("=I", answer, 88)[0] & _CAPTURE)
    except OSError:
        return False
    finally:
        os.close(device)


def _node_index(path: Path) -> int:
    try:
        return int((SYSTEM_FOLDER / path.name / "index").read_text())
    except (OSError, ValueError):
        return 0


def _list_elsewhere(platform: str) -> list[WebcamInfo]:
    # Not used on Linux: it knows neither links that survive replugging nor multi-planar cameras there.
    from cv2_enumerate_cameras import enumerate_cameras

    api = _LISTED_API.get(platform)
    cameras = enumerate_cameras(api) if api is not None else []
    return [
        WebcamInfo(camera.index, camera.name or f"camera {camera.index}", None, camera.path or str(camera.index))
        for camera in cameras
    ]
