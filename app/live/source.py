"""Sources for the window: files play in real time and can be paused. No Qt."""

from __future__ import annotations

from app.live.camera_profiles import locked_focus
from app.settings import Settings
from handdgp_core.errors import HandDGPError
from handdgp_core.sources import PacedSource, Source, WebcamSettings, list_webcams, open_source
from handdgp_core.sources.open import is_webcam
from handdgp_core.sources.webcam import webcam_index


def open_live_source(spec: str, settings: Settings, loop: bool = False) -> Source:
    """Open what `spec` names with the user's webcam settings; the demo always plays in a loop.

    Raises:
        HandDGPError: as `handdgp_core.sources.open_source`.
    """
    size = (settings.webcam_width, settings.webcam_height)
    focus = _locked_focus(spec, size) if settings.webcam_lock_focus else None
    webcam = WebcamSettings(size, settings.webcam_fps, lock_focus=settings.webcam_lock_focus, focus=focus)
    source = open_source(spec, webcam=webcam, loop=loop or spec == "demo")
    # A session stands still at its end, so that one can seek back.
    return PacedSource(source, hold_at_end=hasattr(source, "session")) if source.is_seekable else source


def _locked_focus(spec: str, size: tuple[int, int]) -> float | None:
    """Where the focus stood when this webcam was calibrated; None where that is not known before it is opened."""
    if not is_webcam(spec):
        return None
    try:
        index = webcam_index(spec)
    except HandDGPError:
        return None
    identity = next((camera.identity for camera in list_webcams() if camera.index == index), "")
    return locked_focus(identity, size) if identity else None
