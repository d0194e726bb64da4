"""Writes what is on screen: the picture with its overlay as PNG, the hands as OBJ. No Qt; runs in the background."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import cv2

from app.live.pipeline import FrameResult
from handdgp_core.drawing.overlay import OverlayStyle, draw_hands
from handdgp_core.errors import OutputError
from handdgp_core.export.meshes import write_meshes
from handdgp_core.files import output_errors, whole_file


def free_path(folder: Path, stem: str, suffix: str) -> Path:
    """`stem` + `suffix` in `folder`, with a number behind the stem where that name is taken."""
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path


def file_stem(result: FrameResult, source_name: str, now: datetime | None = None) -> str:
    """A name that says what and when: source, frame and time, without characters that file systems refuse."""
    source = re.sub(r"[^\w.-]+", "_", Path(source_name).stem).strip("._")[:40] or "hand"
    return f"{source}-{result.frame.index:06d}-{now or datetime.now():%Y%m%d-%H%M%S}"


def save_snapshot(result: FrameResult, style: OverlayStyle, folder: Path, stem: str) -> Path:
    """Draw the overlay at the full size of the frame and write it as PNG.

    Returns:
        the file written.
    Raises:
        OutputError: the folder cannot be written.
    """
    hands = [] if result.frames_ago else result.hands  # another frame's hands are for the eye alone
    picture = draw_hands(result.frame.image, hands, result.camera, style)
    done, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise OutputError("a picture that PNG can hold", f"one of {picture.shape[1]}x{picture.shape[0]} pixels")
    path = _free_file(folder, stem, ".png")
    with whole_file(path) as part:
        part.write_bytes(encoded.tobytes())
    return path


def save_mesh(result: FrameResult, folder: Path, stem: str) -> Path:
    """Write the hands of a result as one OBJ file, in metres and camera axes.

    Returns:
        the file written.
    Raises:
        UsageError: no hand of this result has a mesh.
        OutputError: the folder cannot be written.
    """
    return write_meshes(_free_file(folder, stem, ".obj"), result.hands)


def _free_file(folder: Path, stem: str, suffix: str) -> Path:
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return free_path(folder, stem, suffix)
