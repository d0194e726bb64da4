"""A turntable camera for the 3D view: pure functions of an immutable `Orbit`.

World frame: OpenCV (docs/conventions.md), so up is -Y. View pixels: x right, y down, the origin at the top-left
*corner* of the view, as mouse positions are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
from numpy.typing import ArrayLike

from app.viewport.colours import Floats

__all__ = ["HOME", "VIEW_NAMES", "Orbit", "Projection", "ViewName", "fit_view", "preset"]

Point = tuple[float, float, float]
ViewName = Literal["home", "camera", "front", "side", "top", "hand"]
VIEW_NAMES: tuple[str, ...] = get_args(ViewName)

MAX_ELEVATION_RAD = 1.55
DISTANCE_RANGE_M = (0.05, 5.0)
NEAR_M, FAR_M = 0.01, 20.0
MARGIN = 0.12  # share of the view that `fit_view` leaves free at each edge


class Projection(NamedTuple):
    """Where points fall in the view: (N, 2) view pixels, and (N,) metres along the line of sight (> 0 in front)."""

    pixels: Floats
    depths_m: Floats


@dataclass(frozen=True)
class Orbit:
    """Where the viewer stands.

    Attributes:
        target_m: the point that stays in the middle of the view.
        azimuth_rad: 0 looks along +Z (as the real camera does), 90 degrees looks from +X.
        elevation_rad: positive looks down from above; within +-1.55.
        distance_m: from the eye to the target, 0.05 to 5.
        fov_rad: vertical field of view.
    """

    target_m: Point
    azimuth_rad: float
    elevation_rad: float
    distance_m: float
    fov_rad: float = math.radians(38.0)

    def axes(self) -> Floats:
        """(3, 3) rows right, up, forward: unit vectors of the view in the world frame."""
        sin_a, cos_a = math.sin(self.azimuth_rad), math.cos(self.azimuth_rad)
        sin_e, cos_e = math.sin(self.elevation_rad), math.cos(self.elevation_rad)
        forward = (-sin_a * cos_e, sin_e, cos_a * cos_e)
        up = (-sin_a * sin_e, -cos_e, cos_a * sin_e)
        return np.array([(cos_a, 0.0, sin_a), up, forward])

    def eye_m(self) -> Floats:
        """(3,) the viewer's position."""
        return cast("Floats", np.asarray(self.target_m) - self.distance_m * self.axes()[2])

    def focal_px(self, height: float) -> float:
        """View pixels per unit of tangent, for a view of this height."""
        return 0.5 * height / math.tan(0.5 * self.fov_rad)

    def project(self, points_m: ArrayLike, width: float, height: float) -> Projection:
        """Perspective projection of (N, 3) world points; behind the eye the pixels mean nothing (see depths)."""
        points = np.asarray(points_m, dtype=np.float64).reshape(-1, 3)
        right, up, depth = self.axes() @ (points - self.eye_m()).T
        scale = self.focal_px(height) / np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        return Projection(np.stack([0.5 * width + right * scale, 0.5 * height - up * scale], axis=1), depth)

    def orbited(self, dx_px: float, dy_px: float, height: float) -> Orbit:
        """Turn by a mouse movement: the near side follows the mouse, one view height is half a turn."""
        per_pixel = math.pi / max(height, 1.0)
        azimuth = math.remainder(self.azimuth_rad - dx_px * per_pixel, math.tau)
        elevation = self.elevation_rad + dy_px * per_pixel
        elevation = min(max(elevation, -MAX_ELEVATION_RAD), MAX_ELEVATION_RAD)
        return replace(self, azimuth_rad=azimuth, elevation_rad=elevation)

    def panned(self, dx_px: float, dy_px: float, height: float) -> Orbit:
        """Shift so that what lies at the target's depth stays under the cursor."""
        right, up, _ = self.axes()
        metres = self.distance_m / self.focal_px(height)
        return self.with_target(np.asarray(self.target_m) - right * (dx_px * metres) + up * (dy_px * metres))

    def zoomed(self, factor: float, x_px: float, y_px: float, width: float, height: float) -> Orbit:
        """Multiply the distance; what lies at the target's depth under (x_px, y_px) stays there."""
        distance = min(max(self.distance_m * factor, DISTANCE_RANGE_M[0]), DISTANCE_RANGE_M[1])
        right, up, _ = self.axes()
        metres = (self.distance_m - distance) / self.focal_px(height)
        shift = right * ((x_px - 0.5 * width) * metres) - up * ((y_px - 0.5 * height) * metres)
        return replace(self.with_target(np.asarray(self.target_m) + shift), distance_m=distance)

    def with_target(self, target_m: ArrayLike) -> Orbit:
        """The same view of another point."""
        x, y, z = (float(value) for value in np.asarray(target_m).reshape(3))
        return replace(self, target_m=(x, y, z))


# Behind, above and to the right of the camera: the frustum stands at the left, the hand in the middle.
HOME = Orbit(target_m=(0.0, 0.045, 0.29), azimuth_rad=math.radians(40), elevation_rad=math.radians(17), distance_m=0.84)


def preset(name: str, hand_m: ArrayLike | None = None, camera_fov_rad: float | None = None) -> Orbit:
    """A named view.

    Args:
        name: one of `VIEW_NAMES`. "camera" looks through the real camera, "front" the same way from behind it, "side"
            from its right, "top" from above, "hand" close to the hand.
        hand_m: (3,) middle of the hand, for "camera" and "hand"; without it 0.4 m in front of the camera.
        camera_fov_rad: vertical field of view of the real camera, for "camera".

    Raises:
        KeyError: no view has this name (a caller's mistake, not a user's).
    """
    hand = np.array([0.0, 0.0, 0.4]) if hand_m is None else np.asarray(hand_m, dtype=np.float64).reshape(3)
    depth = min(max(float(hand[2]), 0.1), DISTANCE_RANGE_M[1])
    fov = HOME.fov_rad if camera_fov_rad is None else camera_fov_rad
    views = {
        "home": HOME,
        "camera": Orbit((0.0, 0.0, depth), 0.0, 0.0, depth, fov),
        "front": Orbit((0.0, 0.05, 0.3), 0.0, 0.0, 1.05),
        "side": Orbit((0.0, 0.05, 0.33), math.pi / 2, 0.0, 1.05),
        "top": Orbit((0.0, 0.0, 0.36), 0.0, MAX_ELEVATION_RAD, 1.15),
        "hand": replace(HOME, azimuth_rad=math.radians(22), distance_m=0.40).with_target(hand),
    }
    return views[name]


def fit_view(start: Orbit, points_m: Floats, width: float, height: float) -> Orbit:
    """Look from the same direction as `start`, as near as lets all points be seen.

    Args:
        start: gives the direction and the field of view.
        points_m: (N, 3) camera frame; those that are not finite are left out.
        width, height: of the view, pixels.

    Returns:
        The new place; `start` itself where there are no points. Points that fill more than the farthest place shows
        stay partly outside.
    """
    points_m = points_m[np.isfinite(points_m).all(axis=1)]
    if not len(points_m) or width < 1 or height < 1:
        return start
    axes = start.axes()
    turned = points_m @ axes.T
    middle = 0.5 * (turned.min(axis=0) + turned.max(axis=0)) @ axes
    orbit = start.with_target(middle)
    low, high = DISTANCE_RANGE_M
    for _ in range(24):  # what is in sight from a distance is in sight from farther away: halve the interval
        distance = 0.5 * (low + high)
        if _in_sight(replace(orbit, distance_m=distance), points_m, width, height):
            high = distance
        else:
            low = distance
    return replace(orbit, distance_m=high)


def _in_sight(orbit: Orbit, points_m: Floats, width: float, height: float) -> bool:
    pixels, depths_m = orbit.project(points_m, width, height)
    inside = (pixels >= MARGIN * np.array([width, height])) & (pixels <= (1 - MARGIN) * np.array([width, height]))
    return bool(inside.all() and (depths_m > 0).all())
