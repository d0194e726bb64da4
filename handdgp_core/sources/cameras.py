"""Which camera belongs to a frame: what the source knows, else the calibration given, else an assumed one."""

from __future__ import annotations

from dataclasses import dataclass, field

from handdgp_core.geometry.camera import Camera, check_fits
from handdgp_core.types import Frame

DEFAULT_FOV_DEG = 60.0


@dataclass
class CameraChooser:
    """Chooses the camera of every frame of a source.

    Attributes:
        calibration: the user's calibration, for sources that do not know their own camera; or None.
        horizontal_fov_deg: field of view assumed where nobody knows better.
        overrides: let the calibration go before what the source knows: for another look at a recorded session.
    """

    calibration: Camera | None = None
    horizontal_fov_deg: float = DEFAULT_FOV_DEG
    overrides: bool = False
    _by_size: dict[tuple[int, int], Camera] = field(default_factory=dict, compare=False)

    def camera_for(self, frame: Frame) -> Camera:
        """The camera for the size of this very frame.

        Raises:
            CameraError: the calibration is for another aspect ratio.
        """
        height, width = frame.image.shape[:2]
        if frame.camera is not None and not (self.overrides and self.calibration is not None):
            return check_fits(frame.camera, width, height)
        if (width, height) not in self._by_size:
            self._by_size[width, height] = self._make(width, height)
        return self._by_size[width, height]

    def assumed_for(self, frame: Frame) -> Camera:
        """The camera that is assumed where nobody knows better."""
        height, width = frame.image.shape[:2]
        return Camera.assumed(width, height, self.horizontal_fov_deg)

    def _make(self, width: int, height: int) -> Camera:
        if self.calibration is not None:
            return check_fits(self.calibration, width, height)
        return Camera.assumed(width, height, self.horizontal_fov_deg)
