"""What the program remembers: typed fields with a title, a sentence and a range, kept as one JSON file.

A file that cannot be read is set aside (never thrown away) and the defaults are used; a single value out of its range
falls back to its own default. Both are told to the caller as warnings, so that the window can show them.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from app.environment import PROGRAM
from handdgp_core.errors import OutputError
from handdgp_core.files import write_text

VERSION = 1
ENVIRONMENT_VARIABLE = "HANDDGP_SETTINGS"
RECENT_SOURCES_KEPT = 8


def _setting(
    default: Any,
    title: str,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    choices: tuple[str, ...] = (),
) -> Any:
    """A dataclass field that carries what a form needs to show it and what a check needs to judge it."""
    metadata = {
        "title": title,
        "description": description,
        "low": low,
        "high": high,
        "unit": unit,
        "choices": choices,
    }
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Settings:
    """Everything that a person can set and expects to find again. Units stand in the names."""

    recent_sources: list[str] = _setting([], "Recent", "Sources used lately.")  # noqa: RUF009 - a dataclass field
    webcam_width: int = _setting(1280, "Width", "Picture width asked of the webcam.", low=160, high=7680, unit="px")
    webcam_height: int = _setting(720, "Height", "Picture height asked of the webcam.", low=120, high=4320, unit="px")
    webcam_fps: float = _setting(
        30.0, "Frame rate", "Frames per second asked of the webcam.", low=1, high=240, unit="fps"
    )
    webcam_lock_focus: bool = _setting(
        False, "Lock the focus", "Switch autofocus off: a calibration holds for one focus only."
    )
    board: str = _setting("charuco:10x7:26:19", "Board", "The calibration board that was used last.")
    board_ruler_mm: float = _setting(
        100.0, "Ruler", "What the 100 mm line of the print measures.", low=10, high=1000, unit="mm"
    )
    model: str = _setting(
        "open",
        "Model",
        "What turns the picture of a hand into a mesh: a built-in name or the path of a checkpoint.",
    )
    device: str = _setting("auto", "Device", "Where the network runs.", choices=("auto", "cpu", "cuda"))
    calibration_path: str = _setting(
        "",
        "Calibration",
        "A camera_info YAML (ROS) or OpenCV YAML file with the measured intrinsics of this camera.",
    )
    assumed_fov_deg: float = _setting(
        60.0,
        "Assumed field of view",
        "Horizontal angle that the camera is assumed to see while it is not calibrated. Most webcams: 55 to 80.",
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
        False, "Use my hand length", "Scale the hand model to your own hand: the surest cure for a wrong distance."
    )
    hand_length_mm: float = _setting(
        180.0,
        "Hand length",
        "From the crease of the wrist along the middle finger to its tip, the finger stretched.",
        low=80,
        high=260,
        unit="mm",
    )
    person: str = _setting("", "Person", "Whose hand length is in use.")
    max_hands: int = _setting(2, "Hands", "How many hands are looked for.", low=1, high=2)
    smoothing_enabled: bool = _setting(
        True, "Smooth the motion", "Calms the trembling of the result. Raw values stay in the plots and exports."
    )
    steadiness: int = _setting(
        50, "Steadiness", "To the right: calmer when still. To the left: follows at once.", low=0, high=100
    )
    depth_steadiness: int = _setting(
        50, "Depth steadiness", "The same for the distance alone, which trembles most.", low=0, high=100
    )
    show_mesh: bool = _setting(True, "Mesh", "Draw the shaded hand mesh over the picture.")
    mesh_opacity: int = _setting(
        55, "Mesh opacity", "How much of the picture the mesh hides.", low=10, high=100, unit="%"
    )
    show_wireframe: bool = _setting(False, "Wireframe", "Draw the visible edges of the mesh.")
    show_keypoints: bool = _setting(True, "Keypoints and bones", "Draw keypoints and bones, coloured by weight.")
    show_residuals: bool = _setting(
        False, "Residuals", "Draw the solved keypoints, and a line from each to the keypoint seen in the picture."
    )
    show_labels: bool = _setting(False, "Labels", "Write side and depth of the root beside each hand.")
    plot_span_s: int = _setting(10, "Time span", "Seconds shown in the plots.", low=5, high=60, unit="s")
    export_folder: str = _setting("", "Export folder", "Where meshes were written last.")
    snapshot_folder: str = _setting("", "Snapshot folder", "Where snapshots were written last.")
    recordings_folder: str = _setting("", "Recordings folder", "Where recordings are kept.")
    record_quality: int = _setting(
        90,
        "JPEG quality",
        "Of recorded pictures. 90: about 200 MB a minute at 1280 × 720; results hardly change from 80 upwards.",
        low=20,
        high=100,
    )
    burst_s: int = _setting(
        5, "Burst", "Length of a lossless burst. At 1280 × 720 it takes about 40 MB a second.", low=1, high=30, unit="s"
    )
    theme: str = _setting(
        "system", "Colours", "Light, dark, or what the desktop says.", choices=("system", "light", "dark")
    )
    window_geometry: str = _setting("", "Window place", "Place and size of the window (base64).")
    window_layout: str = _setting("", "Window layout", "Where the panels are (base64).")

    def remember_source(self, spec: str) -> None:
        """Put `spec` at the head of the recent sources, once."""
        kept = [other for other in self.recent_sources if other != spec]
        self.recent_sources = [spec, *kept][:RECENT_SOURCES_KEPT]


def describe(name: str) -> Field[Any]:
    """The dataclass field of a setting; its `metadata` holds title, description, low, high, unit and choices."""
    return Settings.__dataclass_fields__[name]


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
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
    except FileNotFoundError:
        return Settings(), []
    except (OSError, ValueError) as error:
        return Settings(), [_set_aside(path, error)]
    return _from_content(content)


def save_settings(settings: Settings, path: Path | None = None) -> None:
    """Write the settings, whole or not at all.

    Raises:
        OutputError: the folder or file cannot be written.
    """
    path = path or default_path()
    write_text(path, json.dumps({"version": VERSION, **asdict(settings)}, indent=2))


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
        raise OutputError("to reset the settings", f"{path}: {error.strerror or error}", "delete it by hand") from error
    return kept


def _from_content(content: dict[str, Any]) -> tuple[Settings, list[str]]:
    settings, warnings = Settings(), []
    for entry in fields(Settings):
        if entry.name not in content:
            continue
        value = content[entry.name]
        reason = _objection(entry, value)
        if reason:
            warnings.append(f"Setting “{entry.metadata['title']}” was {value!r}: {reason}. The default is used.")
        else:
            setattr(settings, entry.name, _converted(entry, value))
    return settings, warnings


def _default(entry: Field[Any]) -> Any:
    return entry.default_factory() if entry.default_factory is not MISSING else entry.default


def _objection(entry: Field[Any], value: Any) -> str:
    """Why `value` cannot be used for this field, or an empty text."""
    default = _default(entry)
    if isinstance(default, list):
        good = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return "" if good else "wanted a list of texts"
    if isinstance(default, bool) or isinstance(value, bool):
        return "" if type(value) is type(default) else f"wanted {type(default).__name__}"
    if isinstance(default, str):
        return _text_objection(entry, value)
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return "wanted a number"
    if isinstance(default, int) and value != int(value):
        return "wanted a whole number"
    low, high = entry.metadata["low"], entry.metadata["high"]
    return "" if low <= value <= high else f"wanted {low} to {high}"


def _text_objection(entry: Field[Any], value: Any) -> str:
    if not isinstance(value, str):
        return "wanted a text"
    choices = entry.metadata["choices"]
    return f"wanted one of {', '.join(choices)}" if choices and value not in choices else ""


def _converted(entry: Field[Any], value: Any) -> Any:
    kind = type(_default(entry))
    return list(value)[:RECENT_SOURCES_KEPT] if kind is list else kind(value)


def _set_aside(path: Path, error: Exception) -> str:
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
