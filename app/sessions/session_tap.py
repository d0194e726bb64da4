"""From the live pipeline to a session file: frames, results, and the facts of the session. No Qt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.environment import PROGRAM, version_of
from app.live.frame_result import FrameResult, PipelineOptions
from app.live.state import Status
from app.settings import Settings
from handdgp_core.bundled import bundled
from handdgp_core.privacy import public_name
from handdgp_core.sessions import (
    RecordedHands,
    RecorderLimits,
    RecorderStatus,
    SessionInfo,
    SessionRecorder,
    WriterOptions,
)
from handdgp_core.sources.cameras import CameraFrame

# Whoever gets a recording must not learn from it where things lie on this computer, or what the window looked like.
PRIVATE_SETTINGS = frozenset(
    {
        "recent_sources", "window_geometry", "window_layout", "export_folder", "snapshot_folder", "recordings_folder",
        "calibration_path", "calibration_camera", "person", "stream_to", "panel", "panel_width", "show_scene",
        "scene_share", "scene_view", "scene_hidden", "had_camera", "had_calibration", "had_hand",
    }
)  # fmt: skip
BURST_RESERVE_BYTES = 64 << 20


def recorded_settings(settings: Settings) -> dict[str, Any]:
    """The settings that go into a session: all but the private ones; of a checkpoint its file's name alone."""
    kept = {name: value for name, value in settings if name not in PRIVATE_SETTINGS}
    return {**kept, "model": public_name(settings.model)}


def known_settings(recorded: dict[str, Any]) -> dict[str, Any]:
    """Those of recorded settings that this version of the program has."""
    names = Settings.model_fields.keys() - PRIVATE_SETTINGS
    return {name: value for name, value in recorded.items() if name in names}


@lru_cache(maxsize=4)
def model_hash(name_or_path: str) -> str:
    """SHA-256 of the weights: of the file for a path; for a built-in model of all model files of the program.

    The loader of a model asks once in its own thread, so that asking again costs nothing.
    """
    path = Path(name_or_path)
    folders = (bundled(f"assets/{name}") for name in ("hands", "models", "weights"))
    own = (file for folder in folders for file in folder.glob("*") if file.is_file())
    files = [path] if path.is_file() else sorted(own)
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def session_info(settings: Settings, status: Status) -> SessionInfo:
    """The facts of the session, for the head of its file."""
    return SessionInfo(
        program=PROGRAM,
        program_version=version_of(),
        source=status.source_name or public_name(status.spec),
        is_live=status.is_live,
        is_rendered=status.is_rendered,
        model=public_name(status.model_name or settings.model),
        model_sha256=model_hash(settings.model),
        device=status.engine or settings.device,
        hand_length_mm=settings.hand_length_mm if settings.hand_length_enabled else None,
        settings=recorded_settings(settings),
    )


class Recording:
    """One recording under way. `on_frame` and `on_result` are called in the threads of the workers.

    Args:
        path: of the session.
        settings, status: as they are now.
        options: gives the pipeline's options at any moment.
        lossless: keep every bit, for `settings.burst_s` seconds.
        on_end: called in the recorder's thread.

    Raises:
        OutputError: the file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        status: Status,
        options: Callable[[], PipelineOptions],
        lossless: bool,
        on_end: Callable[[RecorderStatus], None],
    ) -> None:
        self.lossless = lossless
        self._options = options
        self._model = status.model_name
        how = WriterOptions(settings.record_quality, lossless)
        limits = RecorderLimits()
        if lossless:
            how = WriterOptions(settings.record_quality, lossless, BURST_RESERVE_BYTES)
            limits = RecorderLimits(queue_frames=60, longest_s=float(settings.burst_s))
        self.recorder = SessionRecorder(path, session_info(settings, status), how, limits, on_end)

    def on_frame(self, frame: CameraFrame) -> None:
        """Every captured frame."""
        self.recorder.add_frame(frame, frame.used_camera)

    def on_result(self, result: FrameResult, model_name: str) -> None:
        """Every result of the model, but no preview (while it is loaded)."""
        if result.preview:
            return
        options = self._options()
        recorded = RecordedHands(
            result.raw_hands,
            result.camera,
            public_name(model_name),
            result.inference_ms,
            options.hand_length_m,
            options.muted,
        )
        self.recorder.add_hands(result.frame, recorded)
