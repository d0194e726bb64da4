"""The settings: one immutable value whose fields carry a title, a sentence and a range, kept as one JSON file.

A file that cannot be read is set aside, never thrown away, and the defaults are used. A single wrong value falls back
to its own default. Both are returned as warnings, for the window to show. `app.live.settings_store` holds the value
that is in use and is the one place that replaces it.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import platformdirs
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from app.environment import PROGRAM
from handdgp_core.errors import OutputError, UsageError
from handdgp_core.estimation.hand_length import HOW_TO_MEASURE, RULER_STD
from handdgp_core.files import write_text
from handdgp_core.hands.measure import length_of_chain
from handdgp_core.plain_files import parse_json, read_text
from handdgp_core.privacy import without_secrets

VERSION = 2
ENVIRONMENT_VARIABLE = "HANDDGP_SETTINGS"
RECENT_SOURCES_KEPT = 8
TYPED_PERCENT = 200 * RULER_STD  # two standard deviations of a hand length that was typed
_MOST_BYTES = 1 << 20


def _whole(value: Any) -> Any:
    """JSON writers may store 5 as 5.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _recent(value: Any) -> Any:
    return tuple(value[:RECENT_SOURCES_KEPT]) if isinstance(value, list | tuple) else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Whole = Annotated[int, BeforeValidator(_whole)]
Recent = Annotated[tuple[str, ...], BeforeValidator(_recent)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(_tuple)]
Names = Annotated[tuple[str, ...], BeforeValidator(_tuple)]


def _setting(
    default: Any,
    title: str,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
) -> Any:
    """A field with what a form needs to show it."""
    return Field(
        default, title=title, description=description, ge=low, le=high,
        json_schema_extra={"low": low, "high": high, "unit": unit},
    )  # fmt: skip


class Settings(BaseModel, frozen=True, extra="forbid", strict=True, allow_inf_nan=False):
    """Everything that a user can set and expects to find again. Units stand in the names."""

    recent_sources: Recent = _setting((), "Recent", "Sources used lately.")
    webcam_width: Whole = _setting(
        1280, "Width", "Requested width; the camera may use another.", low=160, high=7680, unit="px"
    )
    webcam_height: Whole = _setting(
        720, "Height", "Requested height; the camera may use another.", low=120, high=4320, unit="px"
    )
    webcam_fps: float = _setting(
        30.0, "Frame rate", "Requested frame rate; the camera may use another.", low=1, high=240, unit="fps"
    )
    webcam_lock_focus: bool = _setting(
        False, "Lock the focus", "Turn autofocus off: a calibration holds for one focus only."
    )
    board: str = _setting("charuco:10x7:26:19", "Board", "The calibration board that was used last.")
    board_ruler_mm: float = _setting(
        100.0, "Ruler", "What the printed 100 mm line measures.", low=10, high=1000, unit="mm"
    )
    model: str = _setting("open", "Model", "Estimates the hand mesh: a built-in model or the path of a checkpoint.")
    device: Literal["auto", "cpu", "cuda"] = _setting("auto", "Device", "Where the model runs.")
    engine: Literal["auto", "pytorch", "onnxruntime"] = _setting(
        "auto", "Engine", "What runs the model. Auto: the fastest that gives the numbers of PyTorch."
    )
    calibration_path: str = _setting(
        "", "Calibration", "A camera_info YAML (ROS) or OpenCV YAML file with the measured intrinsics of this camera."
    )
    calibration_camera: str = _setting(
        "", "Calibrated camera", "The camera, or the video, that the calibration file was loaded for."
    )
    assumed_fov_deg: float = _setting(
        60.0,
        "Assumed field of view",
        "Along the longer side of the picture, assumed while the camera is not calibrated. Most webcams: 55 to 80.",
        low=20,
        high=150,
        unit="°",
    )
    mirror_webcam: bool = _setting(
        True, "Mirror webcams", "Show webcams like a mirror. Only the display: results do not change."
    )
    mirror_files: bool = _setting(
        False, "Mirror files", "Show videos and folders like a mirror. Only the display: results do not change."
    )
    hand_length_enabled: bool = _setting(
        False, "Use my hand length", "Scale the hand model to your own hand: makes depth more accurate."
    )
    hand_length_mm: float = _setting(
        188.0,
        "Hand length",
        HOW_TO_MEASURE,
        low=80,
        high=280,
        unit="mm",
    )
    hand_length_percent: float = _setting(
        TYPED_PERCENT,
        "Hand length ±",
        "How far off the hand length may be; it goes into the ± of distances.",
        low=0,
        high=50,
        unit="%",
    )
    person: str = _setting("", "User", "Whose hand length is in use.")
    max_hands: Whole = _setting(2, "Max. hands", "How many hands are tracked at most.", low=1, high=2)
    smoothing_enabled: bool = _setting(
        True, "Smooth the motion", "Reduces jitter. Plots and exports keep the raw values."
    )
    steadiness: Whole = _setting(
        50, "Smoothing", "To the right: steadier when still. To the left: follows at once.", low=0, high=100
    )
    depth_steadiness: Whole = _setting(
        50, "Depth smoothing", "The same for the distance alone, which jitters most.", low=0, high=100
    )
    show_mesh: bool = _setting(True, "Mesh", "Draw the shaded hand mesh over the picture.")
    mesh_opacity: Whole = _setting(55, "Mesh opacity", "From transparent to opaque.", low=10, high=100, unit="%")
    show_wireframe: bool = _setting(False, "Wireframe", "Draw the visible edges of the mesh.")
    show_keypoints: bool = _setting(True, "Keypoints and bones", "Draw keypoints and bones, coloured by weight.")
    show_residuals: bool = _setting(
        False, "Residuals", "Draw the solved keypoints, and a line from each to the predicted 2D keypoint."
    )
    show_labels: bool = _setting(False, "Labels", "Write side and palm distance beside each hand.")
    plot_span_s: Whole = _setting(10, "Time span", "Seconds shown in the plots.", low=5, high=60, unit="s")
    export_folder: str = _setting("", "Export folder", "Where meshes were written last.")
    snapshot_folder: str = _setting("", "Snapshot folder", "Where snapshots were written last.")
    recordings_folder: str = _setting("", "Recordings folder", "Where recordings are kept.")
    record_quality: Whole = _setting(
        90,
        "JPEG quality",
        "Of recorded images. 90: about 200 MB a minute at 1280 × 720; results hardly change from 80 upwards.",
        low=20,
        high=100,
    )
    stream_to: str = _setting("", "Destinations", "Where hands were sent last: one URI a line.")
    stream_rate_hz: float = _setting(
        0.0, "At most", "Frames sent a second at most; 0 sends all.", low=0, high=240, unit="fps"
    )
    burst_s: Whole = _setting(
        5, "Burst", "Length of a lossless burst. At 1280 × 720 it takes about 40 MB a second.", low=1, high=30, unit="s"
    )
    theme: Literal["system", "light", "dark"] = _setting("system", "Theme", "Light, dark, or the one of the desktop.")
    panel: Literal["", "start", "weights", "motion", "performance", "beside", "settings"] = _setting(
        "start", "Panel", "The panel that is open beside the picture."
    )
    panel_width: Whole = _setting(350, "Panel width", "How wide that panel is.", low=200, high=1200, unit="px")
    show_scene: bool = _setting(True, "3D view", "Show the 3D view beside the picture.")
    scene_share: float = _setting(0.38, "3D view", "Its share of the width beside the picture.", low=0.1, high=0.9)
    had_camera: bool = _setting(False, "Camera opened", "First step: a camera was opened.")
    had_calibration: bool = _setting(False, "Camera calibrated", "Second step: a camera was calibrated.")
    had_hand: bool = _setting(False, "Hand measured", "Third step: a hand was measured.")
    scene_view: Numbers = _setting(
        (),
        "Viewpoint",
        "Of the 3D view: target x, y, z, azimuth, elevation, distance, field of view. Empty: automatic.",
    )
    scene_hidden: Names = _setting(("raw_root",), "Hidden parts", "What the 3D view does not show.")
    window_geometry: str = _setting("", "Window place", "Place and size of the window (base64).")
    window_layout: str = _setting("", "Window layout", "Where the panels are (base64).")

    def changed(self, **values: Any) -> Settings:
        """These settings with other values.

        Raises:
            UsageError: there is no such setting, or a value is not of its type or out of its range.
        """
        _, complaints = usable(values)
        if complaints:
            raise UsageError(complaints[0])
        return Settings(**{**dict(self), **values})

    def recent_with(self, spec: str) -> tuple[str, ...]:
        """The recent sources with `spec` at their head, once, without what opens a stream."""
        spec = without_secrets(spec)
        kept = [other for other in map(without_secrets, self.recent_sources) if other != spec]
        return (spec, *kept)[:RECENT_SOURCES_KEPT]


def describe(name: str) -> dict[str, Any]:
    """A setting for a form: title, description, low, high, unit, and choices (empty where any value will do)."""
    field = Settings.model_fields[name]
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    return {**extra, "title": field.title, "description": field.description, "choices": choices}


def usable(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Those values that settings can have, and one sentence for every other."""
    try:
        Settings(**content)
    except ValidationError as error:
        wrong = {str(entry["loc"][0]): entry for entry in reversed(error.errors())}
        good = {name: value for name, value in content.items() if name not in wrong}
        return good, [_complaint(content, entry) for entry in wrong.values()]
    return dict(content), []


def _complaint(content: Mapping[str, Any], entry: Any) -> str:
    path = ".".join(map(str, entry["loc"]))
    if entry["type"] == "extra_forbidden":
        return f"There is no setting “{path[:60]}”."
    name = str(entry["loc"][0])
    expected = entry["msg"].replace("Input should be", "expected")
    return f"The setting “{describe(name)['title']}” ({path}) cannot be {_short(content[name])}: {expected}."


def _short(value: Any) -> str:
    """A value as text, of a length and depth that a notice has room for."""
    try:
        return _repr.repr(value)
    except ValueError:  # a number of more digits than Python writes
        return "so large a number"


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxlong = _repr.maxother = 60


def default_path() -> Path:
    """Where settings live: the file named by HANDDGP_SETTINGS, else the user's configuration folder."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named)
    return Path(platformdirs.user_config_dir(PROGRAM, appauthor=False)) / "settings.json"


def load_settings(path: Path | None = None) -> tuple[Settings, list[str]]:
    """Read the settings; never fails.

    Args:
        path: the file; None for `default_path()`. A file that does not exist gives the defaults.
    Returns:
        the settings, and one sentence for every thing that could not be used.
    """
    path = path or default_path()
    try:
        content = parse_json(read_text(path, _MOST_BYTES), any_number=True)
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
    except FileNotFoundError:
        return Settings(), []
    except (OSError, ValueError) as error:
        return Settings(), [_set_aside(path, error)]
    good, complaints = usable(_of_this_version(content))
    return Settings(**good), [f"{complaint} It is ignored." for complaint in complaints]


def save_settings(settings: Settings, path: Path | None = None) -> None:
    """Write the settings, whole or not at all.

    Raises:
        OutputError: the folder or file cannot be written.
    """
    path = path or default_path()
    write_text(path, json.dumps({"version": VERSION, **dict(settings)}, indent=2), private=True)


def save_changes(changed: Mapping[str, Any], path: Path | None = None) -> None:
    """Write these settings into the file; all others stay as the file has them, also those that another window wrote.

    Raises:
        OutputError: the folder or file cannot be written.
    """
    path = path or default_path()
    try:
        content = parse_json(read_text(path, _MOST_BYTES), any_number=True)
    except (OSError, ValueError):
        content = None  # there is none, or `load_settings` will set it aside and say so
    good = usable(_of_this_version(content))[0] if _is_map(content) else {}
    write_text(path, json.dumps({"version": VERSION, **good, **changed}, indent=2), private=True)


def _of_this_version(content: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an earlier version as this one means them.

    The first version kept measured lengths as that of the keypoints' chain, which is shorter than the hand, and typed
    ones, then without a ± or with a ruler's, as they were typed.
    """
    values = {name: value for name, value in content.items() if name != "version"}
    length_mm, percent = values.get("hand_length_mm"), values.get("hand_length_percent", 0.0)
    if content.get("version", 1) != 1 or not isinstance(length_mm, int | float):
        return values
    if percent in (0.0, TYPED_PERCENT):
        return {**values, "hand_length_percent": TYPED_PERCENT}
    return {**values, "hand_length_mm": length_of_chain(length_mm)}


def _is_map(content: object) -> bool:
    return isinstance(content, dict) and all(isinstance(name, str) for name in content)


def reset_settings(path: Path | None = None) -> Path | None:
    """Set the settings file aside, so that the next start uses the defaults.

    Returns:
        where the old file is kept now, or None if there was none.
    Raises:
        OutputError: the file cannot be renamed.
    """
    path = path or default_path()
    if not path.exists():
        return None
    kept = _free_name(path.with_name(path.name + ".old"))
    try:
        os.replace(path, kept)
    except OSError as error:
        problem = f"Could not reset the settings in {path}: {error.strerror or error}."
        raise OutputError(problem, hint="Delete the file by hand.") from error
    return kept


def _set_aside(path: Path, error: Exception) -> str:
    if not path.is_file():
        return f"The settings in {path} could not be read ({error}); the defaults are used."
    kept = _free_name(path.with_name(path.name + ".damaged"))
    try:
        os.replace(path, kept)
    except OSError:
        return f"The settings in {path} could not be read ({error}); the defaults are used."
    return f"The settings could not be read ({error}); the defaults are used. The old file is kept as {kept}."


def _free_name(path: Path) -> Path:
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate
