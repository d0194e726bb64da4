"""Saves what is on screen, in the background: decides on folder and name, and tells the end of it."""

from __future__ import annotations

from pathlib import Path

from app.live.controller import Controller
from app.live.pipeline import FrameResult
from app.notices import Action, Notice, Severity
from app.settings import Settings
from app.window.snapshot import file_stem, save_mesh, save_snapshot


class Saver:
    """Snapshots and meshes.

    Args:
        controller: does the jobs and announces their end with `job_done`.
        settings: name the folders.
    """

    def __init__(self, controller: Controller, settings: Settings) -> None:
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
            cure = "Hold a hand in view until its mesh is shown."
            return Notice(Severity.WARNING, "No hand to export.", cure, topic="mesh")
        if result.frames_ago:
            cure = "Step to a frame that has one, or run the model anew."
            return Notice(Severity.WARNING, "Nothing was recorded for this very frame.", cure, topic="mesh")
        folder, stem = self.folder("export_folder"), self._stem(result)
        self._controller.submit("mesh", lambda: save_mesh(result, folder, stem))
        return None

    def folder(self, setting: str) -> Path:
        """The folder that a setting names, or a folder of the program's own in the home folder."""
        chosen = getattr(self._settings, setting)
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
