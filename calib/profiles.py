"""Calibrations by camera, kept with the observations that made them, so that they can be judged and solved again.

One folder a calibration, never overwritten: `camera.yaml` (ROS camera_info, readable by other programs), `profile.json`
and `views.npz`. The newest that can be read counts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import platformdirs
from numpy.typing import NDArray
from pydantic import TypeAdapter

from calib.boards import Board
from calib.lens_models import lens_model_of
from calib.solve import Solution, solve
from calib.views import View
from handdgp_core.errors import CalibrationError, HandDGPError
from handdgp_core.files import output_errors
from handdgp_core.geometry.camera import Camera
from handdgp_core.plain_files import read_json, read_npz

__all__ = [
    "ENVIRONMENT_VARIABLE",
    "CameraKey",
    "Match",
    "Profile",
    "ProfileStore",
    "default_folder",
    "load_profile",
    "load_views",
    "new_profile",
    "stored_solution",
]

ENVIRONMENT_VARIABLE = "HANDDGP_PROFILES"
_VERSION = 1
_APP_NAME = "handdgp-live"
_CAMERA, _ABOUT, _VIEWS = "camera.yaml", "profile.json", "views.npz"
_SAME_FOCUS = 0.02


@dataclass(frozen=True)
class CameraKey:
    """What a calibration depends on.

    Attributes:
        identity: of the device; stays the same when it is plugged in again.
        width, height: of its pictures.
        pixel_format: four characters, or empty where unknown.
        name: to show.
        autofocus: 1 on, 0 off, None where the driver does not report it.
        focus, zoom: as the driver reports them, or None.
    """

    identity: str
    width: int
    height: int
    pixel_format: str = ""
    name: str = ""
    autofocus: float | None = None
    focus: float | None = None
    zoom: float | None = None


@dataclass(frozen=True)
class Profile:
    """A stored calibration.

    Attributes:
        key: the camera it belongs to.
        camera: the intrinsics.
        board: the text of `Board.spec`.
        created_s: seconds since 1970.
        headline: the verdict's.
        focal_percent: the verdict's.
        folder: where it lies, or None before it is saved.
    """

    key: CameraKey
    camera: Camera
    board: str
    created_s: float
    headline: str
    focal_percent: float
    folder: Path | None = None

    @property
    def camera_file(self) -> Path | None:
        """The camera_info YAML."""
        return None if self.folder is None else self.folder / _CAMERA


@dataclass(frozen=True)
class Match:
    """The profile for a camera.

    Attributes:
        kind: "exact"; "derived": scaled from another size of the same shape; "none": do not use it unasked.
        profile: the one found; with "none" the closest one of the same device, or None.
        camera: for the asked size; None with "none".
        warnings: what differs, one sentence each.
    """

    kind: Literal["exact", "derived", "none"]
    profile: Profile | None = None
    camera: Camera | None = None
    warnings: tuple[str, ...] = ()


def default_folder() -> Path:
    """The folder named by HANDDGP_PROFILES, else one in the user's data folder."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_data_dir(_APP_NAME, appauthor=False)) / "cameras"


class ProfileStore:
    """Reads and writes profiles in a folder.

    Args:
        folder: made when something is saved; None for `default_folder()`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()

    def save(self, profile: Profile, views: Sequence[View]) -> Profile:
        """Write a profile beside the older ones; returns it with its folder.

        Raises:
            OutputError: the place cannot be written.
        """
        parent = self.folder / _slug(profile.key)
        with output_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".part-", dir=parent))
        try:
            with output_errors(parent):
                profile.camera.save(partial / _CAMERA)
                (partial / _ABOUT).write_text(json.dumps(_content(profile), indent=2) + "\n", encoding="utf-8")
                with open(partial / _VIEWS, "wb") as file:
                    np.savez_compressed(file, **_packed(views))
                target = _free_folder(parent, profile.created_s)
                os.chmod(partial, 0o755)
                os.replace(partial, target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return Profile(**{**_fields(profile), "folder": target})

    def profiles(self) -> list[Profile]:
        """All that can be read, the newest first."""
        found = []
        for about in self.folder.glob(f"*/*/{_ABOUT}"):
            if about.parent.name.startswith("."):
                continue
            try:
                found.append(load_profile(about.parent))
            except HandDGPError:
                continue  # a damaged one must not hide the others
        return sorted(found, key=lambda profile: profile.created_s, reverse=True)

    def find(self, key: CameraKey) -> Match:
        """The profile for this camera as it is set now."""
        own = [profile for profile in self.profiles() if profile.key.identity == key.identity]
        same_size = [p for p in own if (p.key.width, p.key.height) == (key.width, key.height)]
        for profile in same_size:
            if _same_format(profile.key, key):
                return Match("exact", profile, profile.camera, tuple(_lens_warnings(profile.key, key)))
        for profile in same_size:
            old, new = profile.key.pixel_format, key.pixel_format
            return Match(
                "none", profile, None, (f"It was calibrated with the pixel format {old}, and now gives {new}.",)
            )
        for profile in own:
            if _same_format(profile.key, key) and (camera := _scaled(profile.camera, key)) is not None:
                size = f"{profile.key.width}x{profile.key.height}"
                warning = f"Scaled from a calibration at {size}: check it with one view of a tilted board."
                return Match("derived", profile, camera, (warning, *_lens_warnings(profile.key, key)))
        if own:
            size = f"{own[0].key.width}x{own[0].key.height}"
            return Match(
                "none", own[0], None, (f"It was calibrated at {size} only, which is another shape of picture.",)
            )
        return Match("none")


def load_profile(folder: Path) -> Profile:
    """Read one profile.

    Raises:
        CalibrationError, CameraError: a part of it is missing or damaged.
    """
    try:
        content = read_json(folder / _ABOUT)
        key = _key(content["key"])
        board, created = str(content["board"]), float(content["created_s"])
        headline, percent = str(content["headline"]), float(content["focal_percent"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CalibrationError(
            f"Could not read the stored calibration {folder}: it is damaged ({error}).", hint="Calibrate again."
        ) from None
    return Profile(key, Camera.load(folder / _CAMERA), board, created, headline, percent, folder)


def load_views(folder: Path) -> list[View]:
    """The observations of a profile.

    Raises:
        CalibrationError: they are missing or damaged.
    """
    try:
        return _views(read_npz(folder / _VIEWS))
    except (OSError, ValueError, KeyError) as error:
        raise CalibrationError(
            f"Could not read the views of the stored calibration {folder}: they are damaged ({error}).",
            hint="Calibrate again.",
        ) from None


def _key(values: Any) -> CameraKey:
    """Raises ValueError."""
    key = TypeAdapter(CameraKey).validate_json(json.dumps(values), strict=True)
    if not 0 < min(key.width, key.height) <= max(key.width, key.height) < 1 << 16:
        raise ValueError(f"a camera of {key.width}x{key.height}")
    return key


def _views(data: dict[str, NDArray[Any]]) -> list[View]:
    """Raises ValueError, KeyError."""
    counts, ids, corners, size, names = (data[name] for name in ("counts", "ids", "corners_px", "size", "names"))
    whole = all(array.dtype.kind in "iu" for array in (counts, ids, size))
    if not whole or counts.ndim != 1 or ids.ndim != 1 or size.shape != (2,) or names.shape != counts.shape:
        raise ValueError("arrays of other shapes or types")
    if corners.shape != (len(ids), 2) or corners.dtype.kind != "f" or not np.isfinite(corners).all():
        raise ValueError(f"corners of shape {corners.shape} for {len(ids)} ids")
    if (counts < 0).any() or int(counts.sum()) != len(ids) or not ((size > 0) & (size < 1 << 16)).all():
        raise ValueError("counts or a size that do not fit")
    ends = np.cumsum(counts)[:-1]
    width, height = (int(side) for side in size)
    return [
        View(i.astype(np.int32), c.astype(np.float64), (width, height), str(name))
        for i, c, name in zip(np.split(ids, ends), np.split(corners, ends), names, strict=True)
    ]


def stored_solution(profile: Profile) -> Solution | None:
    """The solution from which a profile came, solved once more from its views; None where they are lost or damaged."""
    if profile.folder is None:
        return None
    try:
        return solve(Board.parse(profile.board), load_views(profile.folder), lens=lens_model_of(profile.camera))
    except HandDGPError:
        return None


def new_profile(key: CameraKey, camera: Camera, board: Board, headline: str, focal_percent: float) -> Profile:
    """A profile made now."""
    return Profile(key, camera, board.spec, time.time(), headline, focal_percent)


def _fields(profile: Profile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in Profile.__dataclass_fields__}


def _content(profile: Profile) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "key": asdict(profile.key),
        "board": profile.board,
        "created_s": profile.created_s,
        "headline": profile.headline,
        "focal_percent": profile.focal_percent,
    }


def _packed(views: Sequence[View]) -> dict[str, Any]:
    return {
        "counts": np.array([len(view) for view in views]),
        "ids": np.concatenate([view.ids for view in views]),
        "corners_px": np.concatenate([view.corners_px for view in views]),
        "size": np.array(views[0].size),
        "names": np.array([view.name for view in views]),
    }


def _slug(key: CameraKey) -> str:
    plain = re.sub(r"[^A-Za-z0-9]+", "-", key.identity.rsplit("/", 1)[-1]).strip("-")[-60:] or "camera"
    return f"{plain}-{key.width}x{key.height}"


def _free_folder(parent: Path, created_s: float) -> Path:
    name = time.strftime("%Y-%m-%d-%H%M%S", time.localtime(created_s))
    candidate, number = parent / name, 1
    while candidate.exists():
        number += 1
        candidate = parent / f"{name}-{number}"
    return candidate


def _same_format(one: CameraKey, other: CameraKey) -> bool:
    return not one.pixel_format or not other.pixel_format or one.pixel_format == other.pixel_format


def _scaled(camera: Camera, key: CameraKey) -> Camera | None:
    try:
        return camera.scaled_to(key.width, key.height)
    except HandDGPError:
        return None


def _lens_warnings(old: CameraKey, new: CameraKey) -> list[str]:
    warnings = []
    if old.autofocus == 0 and new.autofocus == 1:
        warnings.append("Its focus was locked for the calibration and is not locked now.")
    for name in ("focus", "zoom"):
        was, now = getattr(old, name), getattr(new, name)
        if was is not None and now is not None and abs(was - now) > _SAME_FOCUS * max(abs(was), 1.0):
            warnings.append(f"Its {name} is {now:g} now and was {was:g} for the calibration.")
    return warnings
