"""Which camera a frame is solved with: chosen here, once a frame, and carried on the frame from then on."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from handdgp_core.errors import CameraError
from handdgp_core.geometry.camera import Camera, check_fits
from handdgp_core.geometry.image_transform import ImageTransform, camera_of_image
from handdgp_core.types import Frame

__all__ = ["DEFAULT_FOV_DEG", "CameraChooser", "CameraFrame", "with_camera"]

DEFAULT_FOV_DEG = 60.0
_Shape = tuple[int, int, ImageTransform | None]  # width and height as shown


@dataclass(frozen=True, kw_only=True)
class CameraFrame(Frame):
    """A frame with the camera it is solved with; `camera` is still what the source itself knows.

    Attributes:
        used_camera: intrinsics for the size of this image.
        problem: why the calibration is not used for this frame, or None.
    """

    used_camera: Camera
    problem: CameraError | None = None


def with_camera(frame: Frame, camera: Camera, problem: CameraError | None = None) -> CameraFrame:
    """The frame, to be solved with this camera."""
    known = {entry.name: getattr(frame, entry.name) for entry in fields(Frame)}
    return CameraFrame(**known, used_camera=camera, problem=problem)


@dataclass
class CameraChooser:
    """Chooses the camera of every frame of a source: what the source knows, else the calibration, else an assumed one.

    Attributes:
        calibration: the user's calibration in pixels of the sensor, for sources that do not know their own camera; or
            None. It is turned and stretched as each picture was.
        horizontal_fov_deg: field of view of the longer side, assumed where nothing better is known.
        overrides: the calibration goes before what the source knows: to solve a recorded session again.
        overrides_assumed: a camera that was itself assumed when the session was recorded is not used either.
    """

    calibration: Camera | None = None
    horizontal_fov_deg: float = DEFAULT_FOV_DEG
    overrides: bool = False
    overrides_assumed: bool = False
    _made: dict[_Shape, Camera] = field(default_factory=dict, compare=False)

    def choose(self, frame: Frame) -> CameraFrame:
        """The frame with its camera.

        Raises:
            CameraError: the calibration, or the source's own camera, is for another aspect ratio.
        """
        return with_camera(frame, self.camera_for(frame))

    def choose_or_assume(self, frame: Frame) -> CameraFrame:
        """The frame with its camera; with an assumed one, and the reason, where a calibration does not fit."""
        try:
            return self.choose(frame)
        except CameraError as error:
            return with_camera(frame, self.assumed_for(frame), error)

    def camera_for(self, frame: Frame) -> Camera:
        """The camera for the size of this image.

        Raises:
            CameraError: as `choose`.
        """
        height, width = frame.image.shape[:2]
        if frame.camera is not None and not self._is_overridden(frame.camera):
            return check_fits(frame.camera, width, height)
        shape = (width, height, frame.transform)
        if shape not in self._made:
            self._made[shape] = self._make(*shape)
        return self._made[shape]

    def assumed_for(self, frame: Frame) -> Camera:
        """The camera that is assumed where nothing better is known."""
        height, width = frame.image.shape[:2]
        return Camera.assumed(width, height, self.horizontal_fov_deg)

    def _is_overridden(self, own: Camera) -> bool:
        if self.overrides_assumed and own.source == "assumed":
            return True
        return self.overrides and self.calibration is not None

    def _make(self, width: int, height: int, transform: ImageTransform | None) -> Camera:
        if self.calibration is not None:
            return camera_of_image(self.calibration, transform, width, height)
        return Camera.assumed(width, height, self.horizontal_fov_deg)
