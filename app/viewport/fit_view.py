"""Finds a place for the viewer from which the camera and the hands are in sight. No Qt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.viewport.orbit import DISTANCE_RANGE_M, Orbit
from handdgp_core.arrays import Array

MARGIN = 0.12  # share of the view that stays free at each edge


def fit_view(start: Orbit, points_m: Array, width: float, height: float) -> Orbit:
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
    seen = points_m @ axes.T
    middle = 0.5 * (seen.min(axis=0) + seen.max(axis=0)) @ axes
    orbit = start.with_target(middle)
    low, high = DISTANCE_RANGE_M
    for _ in range(24):  # what is in sight from a distance is in sight from farther away: halve the interval
        distance = 0.5 * (low + high)
        if _in_sight(replace(orbit, distance_m=distance), points_m, width, height):
            high = distance
        else:
            low = distance
    return replace(orbit, distance_m=high)


def _in_sight(orbit: Orbit, points_m: Array, width: float, height: float) -> bool:
    pixels, depths_m = orbit.project(points_m, width, height)
    inside = (pixels >= MARGIN * np.array([width, height])) & (pixels <= (1 - MARGIN) * np.array([width, height]))
    return bool(inside.all() and (depths_m > 0).all())
