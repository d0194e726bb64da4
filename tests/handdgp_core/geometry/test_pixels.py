"""What resizing does to pixels and cameras, against an image that is really resized and a point at a time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.pixels import resized_matrix, resized_pixels

SCALES = st.floats(0.05, 20.0)


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=20), SCALES, SCALES)
def test_pixels_keep_their_place_between_the_edges(points: list[tuple[float, float]], by_x: float, by_y: float) -> None:
    found = resized_pixels(np.array(points), (by_x, by_y))
    for (u, v), (x, y) in zip(points, found, strict=True):  # the left edge of the image is at -0.5
        assert x + 0.5 == pytest.approx(by_x * (u + 0.5), abs=1e-6)
        assert y + 0.5 == pytest.approx(by_y * (v + 0.5), abs=1e-6)


@given(SCALES, SCALES)
def test_the_resized_camera_projects_to_the_resized_pixels(by_x: float, by_y: float) -> None:
    rng = np.random.default_rng(0)
    matrix = np.array([[611.0, 0, 322.7], [0, 598.0, 231.2], [0, 0, 1]])
    points = rng.normal(0, 0.2, (20, 3)) + [0, 0, 0.6]
    before, after = points @ matrix.T, points @ resized_matrix(matrix, (by_x, by_y)).T
    expected = resized_pixels(before[:, :2] / before[:, 2:], (by_x, by_y))
    np.testing.assert_allclose(after[:, :2] / after[:, 2:], expected, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("shrink", [2, 4, 5])
def test_a_spot_of_an_image_lands_where_it_is_said_to(shrink: int) -> None:
    image = np.zeros((120, 160), np.float32)
    spot = np.array([77.0, 41.0])
    cv2.circle(image, (77, 41), 9, 1.0, -1)
    small = cv2.resize(image, (160 // shrink, 120 // shrink), interpolation=cv2.INTER_AREA)
    rows, columns = np.indices(small.shape)
    middle = np.array([(small * columns).sum(), (small * rows).sum()]) / small.sum()
    np.testing.assert_allclose(middle, resized_pixels(spot, 1 / shrink), atol=0.02)


def test_the_identity_changes_nothing_and_the_given_matrix_stays() -> None:
    matrix = Camera.assumed(640, 480, 60).matrix
    kept = matrix.copy()
    np.testing.assert_array_equal(resized_matrix(matrix, 1.0), kept)
    resized_matrix(matrix, 0.5)
    np.testing.assert_array_equal(matrix, kept)
