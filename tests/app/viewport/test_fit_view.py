"""The viewer's place that has everything in sight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.viewport.orbit import HOME, MARGIN, fit_view
from tests.app.doubles import keypoints


@given(st.floats(0.15, 1.2), st.floats(-0.2, 0.2), st.floats(-0.15, 0.15), st.floats(250, 1500), st.floats(200, 1200))
def test_camera_and_hand_are_in_sight_and_fill_the_view(
    depth_m: float, across_m: float, down_m: float, aspect: float, height: float
) -> None:
    width = aspect * height
    points = np.concatenate([np.zeros((1, 3)), keypoints(depth_m) + (across_m, down_m, 0.0)])
    place = fit_view(HOME, points, width, height)
    pixels, depths_m = place.project(points, width, height)
    share = pixels / [width, height]
    assert (depths_m > 0).all()
    assert share.min() >= MARGIN - 1e-6 and share.max() <= 1 - MARGIN + 1e-6
    assert share.min() < MARGIN + 1e-3 or share.max() > 1 - MARGIN - 1e-3, "no nearer place would do"
    assert (place.azimuth_rad, place.elevation_rad) == (HOME.azimuth_rad, HOME.elevation_rad)


def test_nothing_to_see_changes_nothing() -> None:
    assert fit_view(HOME, np.zeros((0, 3)), 300, 200) == HOME
    assert fit_view(HOME, np.full((3, 3), np.nan), 300, 200) == HOME


def test_what_is_too_large_is_seen_from_farthest() -> None:
    assert fit_view(HOME, np.array([[-50.0, 0, 0], [50, 0, 0]]), 300, 200).distance_m == pytest.approx(5.0, rel=1e-5)
