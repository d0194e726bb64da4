"""The lens models that a calibration can fit, and the projection of each with its derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import cv2
import numpy as np

from calib.board_shape import SHAPES
from handdgp_core.arrays import Array
from handdgp_core.geometry import fisheye
from handdgp_core.geometry.camera import Camera

__all__ = ["FISHEYE", "LENS_MODELS", "PLUMB_BOB", "RADTAN", "RATIONAL", "LensModel", "as_rational", "lens_model_of"]

_POSE = 6
_FIXED = 1e-9  # standard deviation of a coefficient that stays 0


@dataclass(frozen=True)
class LensModel:
    """What of a camera is solved for: fx fy cx cy and the coefficients of its lens.

    Attributes:
        name: for the command line and reports.
        lens: what `Camera` calls it.
        coefficients: their names, in OpenCV's order.
        prior: standard deviation of each before any view; the mean is 0.
    """

    name: str
    lens: Literal["opencv", "fisheye"]
    coefficients: tuple[str, ...]
    prior: tuple[float, ...]

    @property
    def count(self) -> int:
        """Coefficients of the lens."""
        return len(self.coefficients)

    @property
    def intrinsics(self) -> int:
        """Parameters of the camera: four of the pinhole and those of the lens."""
        return 4 + self.count

    @property
    def shared(self) -> int:
        """Parameters that all views share: the camera's and the board's shape."""
        return self.intrinsics + SHAPES

    @cached_property
    def free(self) -> int:
        """Coefficients that the views decide."""
        return sum(std > _FIXED for std in self.prior)

    def camera(self, size: tuple[int, int], shared: Array, std: Array | None = None) -> Camera:
        """The camera of shared parameters."""
        return Camera(*size, _matrix(shared), shared[4 : self.intrinsics], std=std, lens=self.lens)

    def parameters(self, camera: Camera) -> Array:
        """(4 + count,) of a camera of this model; coefficients that it lacks are 0."""
        lens = np.zeros(self.count)
        lens[: camera.distortion.size] = camera.distortion
        return np.concatenate([camera.pinhole, lens])

    def project(self, points: Array, pose: Array, shared: Array) -> tuple[Array, Array, Array]:
        """Pixels of points, and their derivatives.

        Args:
            points: (N, 3) of the board.
            pose: (6,) camera_from_board.
            shared: (K,) of which the first are the camera's.

        Returns:
            (N, 2) pixels, (N, 2, 4 + count) derivatives by the camera, (N, 2, 6) by the pose.
        """
        return self._project(points, pose, shared)

    def project_seen(self, points: Array, shared: Array) -> tuple[Array, Array, Array]:
        """Pixels of points (N, 3) that are in the camera's frame already.

        Returns:
            (N, 2) pixels, (N, 2, 4 + count) derivatives by the camera, (N, 2, 3) by the points.
        """
        pixels, by_camera, by_pose = self._project(points, np.zeros(_POSE), shared)
        return pixels, by_camera, by_pose[:, :, 3:]

    def _project(self, points: Array, pose: Array, shared: Array) -> tuple[Array, Array, Array]:
        matrix, lens = _matrix(shared), np.ascontiguousarray(shared[4 : self.intrinsics])
        if self.lens == "fisheye":
            around = np.ascontiguousarray(points[:, None])
            pixels, jacobian, *_ = cv2.fisheye.projectPoints(around, pose[:3], pose[3:], matrix, lens)
            first, of_pose = 0, self.intrinsics
        else:
            pixels, jacobian = cv2.projectPoints(points, pose[:3], pose[3:], matrix, lens)[:2]
            first, of_pose = _POSE, 0
        jacobian = np.asarray(jacobian, dtype=np.float64).reshape(len(points), 2, -1)
        by_camera = jacobian[:, :, first : first + self.intrinsics]
        by_pose = jacobian[:, :, of_pose : of_pose + _POSE]
        return np.asarray(pixels, dtype=np.float64).reshape(-1, 2), by_camera, by_pose


def _matrix(shared: Array) -> Array:
    return np.array([[shared[0], 0, shared[2]], [0, shared[1], shared[3]], [0, 0, 1.0]])


_OPENCV = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4", "tx", "ty")
_PRIOR = (1.0, 2.0, 0.02, 0.02, 2.0, 1.0, 2.0, 2.0)

PLUMB_BOB = LensModel("plumb_bob", "opencv", _OPENCV[:5], _PRIOR[:5])
RADTAN = LensModel("radtan", "opencv", _OPENCV[:5], (*_PRIOR[:4], _FIXED))  # Kalibr's: no k3
RATIONAL = LensModel("rational", "opencv", _OPENCV[:8], _PRIOR)
FISHEYE = LensModel("fisheye", "fisheye", ("k1", "k2", "k3", "k4"), (0.5,) * 4)
LENS_MODELS = {model.name: model for model in (PLUMB_BOB, FISHEYE, RATIONAL)}
_RADII = np.linspace(0.02, 1.5, 40)  # on the plane z = 1, to an angle of 56 degrees


def as_rational(camera: Camera) -> Camera:
    """A fisheye camera as near as the rational model comes to it out to 56 degrees from the axis."""
    bent = fisheye.distort(np.stack([_RADII, np.zeros_like(_RADII)], axis=-1), camera.distortion)[:, 0] / _RADII
    powers = _RADII[:, None] ** (2, 4, 6)
    # (1 + k1 q + k2 q^2 + k3 q^3) = bent (1 + k4 q + k5 q^2 + k6 q^3), with the large terms held a little.
    rows = np.concatenate([np.hstack([powers, -bent[:, None] * powers]), 1e-4 * np.eye(6)])
    k1, k2, k3, k4, k5, k6 = np.linalg.lstsq(rows, np.append(bent - 1.0, np.zeros(6)), rcond=None)[0]
    return Camera(*camera.size, camera.matrix, np.array([k1, k2, 0.0, 0.0, k3, k4, k5, k6]))


def lens_model_of(camera: Camera) -> LensModel:
    """The model of a camera as it is, with all the coefficients that it has."""
    if camera.lens == "fisheye":
        return FISHEYE
    count = camera.distortion.size
    if count <= PLUMB_BOB.count:
        return PLUMB_BOB
    return RATIONAL if count == RATIONAL.count else LensModel("other", "opencv", _OPENCV[:count], (_FIXED,) * count)
