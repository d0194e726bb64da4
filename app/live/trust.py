"""What the numbers on screen rest on, in a few words: the calibration and the size of the hand in use. No Qt."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from app.live.frame_result import FrameResult
from app.live.readout import SIGMAS
from app.notices import count_of
from app.settings import Settings
from handdgp_core.estimation.distance_error import ASSUMED_FOCAL_STD

__all__ = ["CalibrationInUse", "Trust", "camera_trust", "hand_trust"]

_DAY_S = 86_400.0
_LONGEST_NAME = 26


@dataclass(frozen=True)
class CalibrationInUse:
    """The calibration that frames are solved with where their source knows no camera of its own.

    Attributes:
        name: of the camera, or of the file.
        made_s: when, seconds since 1970; None where that is not known.
        doubts: why it may not fit, one sentence each.
    """

    name: str
    made_s: float | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trust:
    """One chip over the picture.

    Attributes:
        text: a few words.
        details: what it means and what to do.
        doubtful: whether the user should act.
    """

    text: str
    details: str
    doubtful: bool = False


def camera_trust(result: FrameResult, calibration: CalibrationInUse | None, now_s: float | None = None) -> Trust:
    """Which camera the hands of this result were solved with."""
    camera = result.camera
    if camera.source == "assumed":
        fov_rad = 2 * math.atan(0.5 * max(camera.size) / camera.focal_px[0])  # of the longer side, as the setting
        return _assumed(math.degrees(fov_rad), problem=result.problem is not None)
    own = result.frame.camera
    if own is not None and own.scaled_to(*camera.size) == camera:
        return Trust(
            "Camera: known by the source",
            f"The source brings the intrinsics of its camera{f' ({own.name})' if own.name else ''}.",
        )
    name = _short((calibration.name if calibration else "") or camera.name or "this camera")
    age = "" if calibration is None or calibration.made_s is None else f", {_age(calibration.made_s, now_s)}"
    doubts = list(calibration.doubts) if calibration else []
    if camera.derived_from is not None:
        width, height = camera.derived_from
        size = f"{width} × {height}"
        doubts.append(f"It was made at {size} and scaled to this resolution; some cameras crop when it changes.")
        age = f", at {size}"
    text = f"Calibrated: {name}{age}"
    if doubts:
        return Trust(text, f"{' '.join(doubts)} Click to check it with one view of the board.", doubtful=True)
    return Trust(text, "Distances are solved with this calibration. Click to check it with one view of the board.")


def _assumed(fov_deg: float, problem: bool) -> Trust:
    why = "The calibration does not fit these pictures" if problem else "No calibration is in use"
    percent = round(100 * SIGMAS * ASSUMED_FOCAL_STD)
    return Trust(
        f"Assumed {fov_deg:.0f}°: distances ±{percent} %",
        f"{why}, so {fov_deg:.0f}° along the longer side are assumed. Webcams have 55° to 80°: if this one's is "
        "another, every distance is wrong by the same factor. Click to calibrate the camera: takes two minutes, needed "
        "once. Or load a calibration, or set the field of view, in the settings.",
        doubtful=True,
    )


def hand_trust(settings: Settings) -> Trust:
    """Whose size the hands are taken to have."""
    if not settings.hand_length_enabled:
        return Trust(
            "Hand: average adult",
            "The size of your hand is not known, so it is taken for about an adult's of mean size. A hand that is 5 % "
            "larger is seen 5 % too near. Click to measure yours.",
        )
    person = f" of {settings.person}" if settings.person else ""
    return Trust(
        f"Hand: {settings.hand_length_mm:.0f} mm measured",
        f"All hands are taken to have the hand length{person}. Click to measure again or to choose another person.",
    )


def _age(made_s: float, now_s: float | None) -> str:
    days = int(((time.time() if now_s is None else now_s) - made_s) / _DAY_S)
    if days < 1:
        return "today"
    if days < 60:
        return f"{count_of(days, 'day')} ago"
    months = round(days / 30.4)
    return f"{months} months ago" if months < 24 else f"{count_of(round(days / 365.25), 'year')} ago"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1].rstrip()}…"
