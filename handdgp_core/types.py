"""What goes into the estimator and what comes out: Frame and Hand. Conventions: docs/conventions.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array, Handedness

if TYPE_CHECKING:
    from handdgp_core.geometry.camera import Camera
    from handdgp_core.geometry.image_transform import ImageTransform

__all__ = ["Frame", "Hand"]


@dataclass(frozen=True)
class Frame:
    """One picture from a source.

    Attributes:
        image: (height, width, 3) uint8, RGB, upright, with square pixels, never mirrored.
        stamp_ns: capture time in integer nanoseconds; monotonic within a source.
        index: number of the frame in its source, from 0.
        name: file name where the source is a folder, else None.
        camera: the camera of this very frame where the source knows it (annotations, demo, session), else None.
        transform: how the image came from the sensor's pixels, in which calibrations are; None where it is those.
    """

    image: NDArray[np.uint8]
    stamp_ns: int
    index: int
    name: str | None = None
    camera: Camera | None = None
    transform: ImageTransform | None = None


@dataclass(frozen=True)
class Hand:
    """One hand in camera space (OpenCV axes, metres).

    Attributes:
        handedness: the user's true hand.
        score: 0 to 1, how sure the model is that this is a hand.
        vertices_m: (V, 3) mesh, camera frame. NaN where `degenerate`.
        keypoints_m: (21, 3) FreiHAND order, camera frame. NaN where `degenerate`.
        keypoints_px: (21, 2) the 2D keypoints that went into the solve, pixels of the original (distorted) image.
        weights: (21,) the weight that every keypoint got in the solve, 0 for a muted one.
        root_m: (3,) the root (wrist) found by DGP, camera frame. NaN where `degenerate`.
        root_covariance_m2: (3, 3) covariance of the root from the weighted solve. NaN where `degenerate`.
        hand_scale: factor on the size that the model would have given the hand (1.0 without a measured hand length).
        faces: (F, 3) int, triangles of the hand model, for this handedness (outward normals).
        degenerate: None, or the reason why there is no root.
        track_id: as in `HandCrop`.
        root_unmuted_m: (3,) the root with no keypoint muted, where some are muted; else None.
        distance_std: relative standard deviation of the distance that the solve's covariance does not hold: errors of
            the hand's size and 3D shape, as measured for the model, and of a focal length that is assumed. NaN where
            nobody has measured it.
        in_view: part of the hand's square that the model was shown, 0 to 1. A model of a fixed focal length sees little
            of a hand that is near or off the axis, and its answer is then worth little.
    """

    handedness: Handedness
    score: float
    vertices_m: Array
    keypoints_m: Array
    keypoints_px: Array
    weights: Array
    root_m: Array
    root_covariance_m2: Array
    hand_scale: float
    faces: NDArray[np.int32]
    degenerate: str | None = None
    track_id: int = -1
    root_unmuted_m: Array | None = None
    distance_std: float = float("nan")
    in_view: float = 1.0

    def covariance_at(self, point_m: Array) -> Array:
        """(3, 3) covariance of the hand's place, near a point (3,) of it: the solve's, and the model's where known.

        An error of size or 3D shape moves the whole hand along the line of sight, in proportion to its distance.
        """
        spread_m = np.nan_to_num(self.distance_std) * np.asarray(point_m)
        return self.root_covariance_m2 + np.outer(spread_m, spread_m)
