"""Saves what is on screen, in the background: the picture with its overlay as PNG, the hands as OBJ."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.live.controller import Controller
from app.live.frame_result import FrameResult
from app.live.settings_store import SettingsStore
from app.notices import Action, Notice, Severity
from handdgp_core.drawing.overlay import OverlayStyle, draw_hands
from handdgp_core.errors import OutputError
from handdgp_core.export.meshes import write_meshes
from handdgp_core.files import output_errors, whole_file


class Saver:
    """Snapshots and meshes: decides on folder and name, and has them written in the background.

    Args:
        controller: does the jobs and announces their end with `job_done`.
        settings: name the folders.
    """

    def __init__(self, controller: Controller, settings: SettingsStore) -> None:
        self._controller = controller
        self._settings = settings

    def save_snapshot(self, result: FrameResult | None) -> Notice | None:
        """Write the picture with overlay at full size; a notice where there is none."""
        if result is None:
            return Notice(Severity.WARNING, "No picture yet.", "Open a source first.", topic="snapshot")
        style = self._controller.options.overlay
        folder, stem = self.folder("snapshot_folder"), self._stem(result)
        self._controller.submit("snapshot", lambda: save_snapshot(result, style, folder, stem))
        return None

    def export_mesh(self, result: FrameResult | None) -> Notice | None:
        """Write the hands as OBJ; a notice where there is none."""
        if result is None or all(hand.degenerate is not None for hand in result.hands):
            hint = "Hold a hand in front of the camera until its mesh is shown."
            return Notice(Severity.WARNING, "No hand to export.", hint, topic="mesh")
        if result.frames_ago:
            hint = "Go to a frame that has one, or re-run the model."
            return Notice(Severity.WARNING, "This frame has no recorded result.", hint, topic="mesh")
        folder, stem = self.folder("export_folder"), self._stem(result)
        self._controller.submit("mesh", lambda: save_mesh(result, folder, stem))
        return None

    def folder(self, setting: str) -> Path:
        """The folder that a setting names, or a folder of the program's own in the home folder."""
        chosen = getattr(self._settings.current, setting)
        return Path(chosen) if chosen else Path.home() / "HandDGP Live"

    def _stem(self, result: FrameResult) -> str:
        return file_stem(result, self._controller.status.source_name)


def saved_notice(name: str, path: Path) -> Notice:
    """Says where something was written."""
    return Notice(
        Severity.INFO,
        f"{name.capitalize()} saved.",
        str(path),
        action=Action.OPEN_FOLDER,
        folder=path.parent,
        topic="saved",
    )


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
    return write_png(draw_hands(result.frame.image, hands, result.camera, style), folder, stem)


def write_png(picture: NDArray[np.uint8], folder: Path, stem: str) -> Path:
    """Write an RGB picture under a free name.

    Returns:
        the file written.
    Raises:
        OutputError: the folder cannot be written.
    """
    done, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise OutputError(f"Could not write a PNG of {picture.shape[1]}x{picture.shape[0]} pixels.")
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
