"""How far off a hand's distance may be for reasons that its own picture does not show: size, 3D shape, focal length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.palm import PALM_PLANE, palm_angle_rad

__all__ = ["DistanceError"]

# Taken, not measured: most webcams see 55 to 80 degrees from left to right, so a focal length that is guessed for all
# of them is off by 10 to 30 %, and every distance with it.
ASSUMED_FOCAL_STD = 0.15


@dataclass(frozen=True)
class DistanceError:
    """Standard deviations of a model's distances, as measured on people; they add as variances.

    Attributes:
        depth_m: from the 3D shape, which is off by so much however far away the hand is.
        share: of the distance, for a palm that faces the camera.
        edge_on: of the distance, in addition for a palm seen edge-on.
        size: of the distance, in addition where the hand's length is not given.
        near_m: in addition, relative to the distance and squared, for a hand so near that its own depth counts: what
            networks say of a hand's turn holds for views from further away, where perspective hardly bends it.
    """

    depth_m: float
    share: float
    edge_on: float
    size: float
    near_m: float = 0.0

    def relative(self, keypoints_m: Array, camera: Camera, length_given: bool) -> float:
        """Standard deviation of the distance of one hand, relative.

        Args:
            keypoints_m: (21, 3) in the camera's frame. NaN gives NaN.
            camera: that it was seen by.
            length_given: whether the user's own hand length went in.
        """
        distance_m = float(np.linalg.norm(keypoints_m[list(PALM_PLANE)].mean(axis=0)))
        facing = float(np.cos(palm_angle_rad(keypoints_m[None])[0]))
        parts = [
            self.depth_m / max(distance_m, 1e-6),
            (self.near_m / max(distance_m, 1e-6)) ** 2,
            self.share,
            self.edge_on * (1.0 - facing),
            0.0 if length_given else self.size,
            _focal_std(camera),
        ]
        return float(np.sqrt(np.sum(np.square(parts))))


def _focal_std(camera: Camera) -> float:
    """Relative standard deviation of the focal length: guessed, or as the calibration states; 0 where it does not."""
    if camera.source == "assumed":
        return ASSUMED_FOCAL_STD
    return 0.0 if camera.std is None else float(np.max(camera.std[:2] / np.diag(camera.matrix)[:2]))
