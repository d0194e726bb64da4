"""Which stored calibration belongs to an open source. No Qt."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from app.notices import Notice, Severity
from calib.profiles import CameraKey, Match, ProfileStore
from handdgp_core.geometry.camera import Camera
from handdgp_core.sources.protocol import Source

__all__ = ["NO_PROFILE", "ChosenProfile", "camera_key", "choose_profile", "locked_focus"]

TOPIC = "camera profile"
BY_NUMBER = "This system tells cameras apart by their number alone, and two cameras can swap their numbers."
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChosenProfile:
    """What was found for a source.

    Attributes:
        key: of its camera, or None for a source that is no camera.
        match: see there.
    """

    key: CameraKey | None = None
    match: Match = field(default_factory=lambda: Match("none"))

    @property
    def camera(self) -> Camera | None:
        """The calibration to use, or None."""
        return self.match.camera

    @property
    def notice(self) -> Notice | None:
        """A warning where the profile does not fit well, or None."""
        profile = self.match.profile
        if profile is None or not self.match.warnings:
            return None
        text = " ".join(self.match.warnings)
        if self.match.kind == "none":
            title = "The stored calibration of this camera does not fit and is not used."
            text += " Recalibrate the camera (Camera menu), or restore its settings."
        else:
            title = "The stored calibration of this camera may not fit: check it."
        return Notice(Severity.WARNING, title, text, topic=TOPIC)


NO_PROFILE = ChosenProfile()


def choose_profile(source: Source, store: ProfileStore | None = None) -> ChosenProfile:
    """Look for the profile of an open source; a source that knows its own camera needs none."""
    key = camera_key(source)
    if key is None or source.camera is not None:
        return ChosenProfile(key)
    try:
        found = (store or ProfileStore()).find(key)
        if found.camera is not None and key.identity.isdigit():
            found = replace(found, warnings=(*found.warnings, BY_NUMBER))
        return ChosenProfile(key, found)
    except OSError as error:  # a folder that cannot be read must not keep the camera from opening
        log.warning("stored calibrations cannot be read: %s", error)
        return ChosenProfile(key)


def camera_key(source: Source) -> CameraKey | None:
    """What the calibration of this source depends on; None for files, which are no camera."""
    for part in _unwrapped(source):
        identity = getattr(part, "identity", None)
        if identity:
            lens = getattr(part, "lens", None)
            width, height = source.size
            return CameraKey(
                str(identity),
                width,
                height,
                getattr(part, "pixel_format", ""),
                source.name,
                getattr(lens, "autofocus", None),
                getattr(lens, "focus", None),
                getattr(lens, "zoom", None),
            )
    return None


def locked_focus(identity: str, size: tuple[int, int], store: ProfileStore | None = None) -> float | None:
    """Where the focus stood, locked, in the newest profile of a camera at this size; None where it was not locked."""
    for profile in (store or ProfileStore()).profiles():
        key = profile.key
        if key.identity == identity and (key.width, key.height) == size:
            return key.focus if key.autofocus == 0 else None
    return None


def _unwrapped(source: Source) -> Iterator[object]:
    part: object | None = source
    while part is not None:
        yield part
        part = getattr(part, "inner", None)
