"""Settings in plain words, turned into what the parts of the program take. No Qt."""

from __future__ import annotations

from app.settings import Settings
from handdgp_core.drawing.overlay import OverlayStyle
from handdgp_core.estimation.smoothing import SmoothingSettings


def smoothing_settings(settings: Settings) -> SmoothingSettings:
    """Cut-offs of the smoother for the two steadiness sliders; 50 gives the smoother's own defaults."""
    usual = SmoothingSettings()
    lateral = _steadiness_factor(settings.steadiness)
    depth = _steadiness_factor(settings.depth_steadiness)
    return SmoothingSettings(
        enabled=settings.smoothing_enabled,
        min_cutoff_hz=usual.min_cutoff_hz * lateral,
        beta=usual.beta * lateral**0.5,
        depth_min_cutoff_hz=usual.depth_min_cutoff_hz * depth,
        depth_beta=usual.depth_beta * depth**0.5,
    )


def _steadiness_factor(percent: int) -> float:
    """4 at 0 % (follows at once), 1 at 50 %, a quarter at 100 % (calm)."""
    return 4.0 ** ((50 - percent) / 50.0)


def overlay_style(settings: Settings) -> OverlayStyle:
    """What is drawn over the picture."""
    return OverlayStyle(
        mesh=settings.show_mesh,
        opacity=settings.mesh_opacity / 100.0,
        wireframe=settings.show_wireframe,
        keypoints=settings.show_keypoints,
        projected=settings.show_residuals,
        root=settings.show_keypoints,
        labels=settings.show_labels,
    )
