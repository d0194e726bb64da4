"""Sources as the window wants them: files play in real time and can be paused. No Qt."""

from __future__ import annotations

from app.settings import Settings
from handdgp_core.sources import PacedSource, Source, WebcamSettings, open_source


def open_live_source(spec: str, settings: Settings, loop: bool = False) -> Source:
    """Open what `spec` names with the webcam settings of the person; the demo always plays in a loop.

    Raises:
        HandDGPError: as `handdgp_core.sources.open_source`.
    """
    webcam = WebcamSettings(size=(settings.webcam_width, settings.webcam_height), fps=settings.webcam_fps)
    source = open_source(spec, webcam=webcam, loop=loop or spec == "demo")
    return PacedSource(source) if source.is_seekable else source
