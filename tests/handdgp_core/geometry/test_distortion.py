"""The lens against OpenCV's, and both directions against each other."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handdgp_core.geometry import distortion

WEBCAM = (0.09, -0.18, 0.0008, -0.0006, 0.05)
LENSES = {
    "none": (),
    "barrel": (-0.35, 0.12, 0.001, -0.001),
    "webcam": WEBCAM,
    "rational": (0.1, -0.2, 0.001, 0.001, 0.05, 0.02, 0.01, 0.003),
    "prism": (0.1, -0.2, 0.001, 0.001, 0.05, 0.02, 0.01, 0.003, 0.001, -0.001, 0.002, 0.001),
    "tilted": (0.1, -0.2, 0.001, 0.001, 0.05, 0.02, 0.01, 0.003, 0.001, -0.001, 0.002, 0.001, 0.02, -0.03),
}


def grid(reach: float = 0.6) -> np.ndarray:
    steps = np.linspace(-reach, reach, 15)
    return np.stack(np.meshgrid(steps, 0.6 * steps), axis=-1)


@pytest.mark.parametrize("name", LENSES)
def test_distort_agrees_with_opencv(name):
    coefficients = np.array(LENSES[name])
    points = grid()
    rays = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1).reshape(-1, 1, 3)
    nothing = np.zeros(3)
    expected, _ = cv2.projectPoints(rays, nothing, nothing, np.eye(3), coefficients if coefficients.size else None)
    np.testing.assert_allclose(distortion.distort(points, coefficients).reshape(-1, 2), expected[:, 0], atol=1e-14)


@pytest.mark.parametrize("name", LENSES)
def test_undistort_inverts_distort(name):
    coefficients = np.array(LENSES[name])
    bent = distortion.distort(grid(), coefficients)
    np.testing.assert_allclose(distortion.undistort(bent, coefficients), grid(), atol=1e-12)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    k=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.2, 0.2), st.floats(-0.1, 0.1)),
    p=st.tuples(st.floats(-0.005, 0.005), st.floats(-0.005, 0.005)),
    part=st.floats(0.0, 0.95),
    angle=st.floats(-np.pi, np.pi),
)
def test_undistort_finds_every_point_within_the_fold(k, p, part, angle):
    coefficients = np.array([k[0], k[1], *p, k[2]])
    radius = part * min(distortion.largest_radius(coefficients), 1.0)
    point = radius * np.array([np.cos(angle), np.sin(angle)])
    found = distortion.undistort(distortion.distort(point, coefficients), coefficients)
    np.testing.assert_allclose(found, point, atol=1e-11)


def test_largest_radius_of_a_barrel_is_where_it_turns_back():
    # r (1 + k r^2) grows up to r = sqrt(-1 / (3 k)).
    assert distortion.largest_radius(np.array([-0.3, 0, 0, 0])) == pytest.approx(np.sqrt(1 / 0.9), rel=1e-5)
    assert distortion.largest_radius(np.array([0.3, 0, 0, 0])) == np.inf
    assert distortion.largest_radius(np.zeros(0)) == np.inf


RATIONAL = (0.5, 0.1, 0.01, 0.9, 0.3, 0.04)  # k1 k2 k3 k4 k5 k6: without other terms it never folds


@pytest.mark.parametrize("others", [(0.002, -0.0015), (0.01, -0.01), (0.05, -0.03)], ids=str)
def test_tangential_terms_fold_the_picture_too(others):
    coefficients = np.array([*RATIONAL[:2], *others, *RATIONAL[2:]])
    brim = distortion.largest_radius(coefficients)
    around = np.linspace(0, 2 * np.pi, 720)
    directions = np.stack([np.cos(around), np.sin(around)], axis=-1)

    def turned_over(radius):
        at, step = radius * directions, 1e-5 * radius
        by_x = distortion.distort(at + [step, 0], coefficients) - distortion.distort(at - [step, 0], coefficients)
        by_y = distortion.distort(at + [0, step], coefficients) - distortion.distort(at - [0, step], coefficients)
        return by_x[:, 0] * by_y[:, 1] - by_x[:, 1] * by_y[:, 0] <= 0

    assert not any(turned_over(part * brim).any() for part in np.linspace(0.05, 0.999, 40))
    assert turned_over(1.05 * brim).any()
    # Where the picture is folded over, two rays meet in a pixel; the answer is the inner one or none.
    beyond = distortion.distort(1.5 * brim * directions, coefficients)
    found = distortion.undistort(beyond, coefficients)
    inside = np.linalg.norm(found, axis=1)
    assert (np.isnan(inside) | (inside <= brim)).all()


def test_what_the_lens_never_shows_is_nan_and_leaves_its_neighbours_alone():
    coefficients = np.array([-0.3, 0, 0, 0])
    brim = distortion.largest_radius(coefficients)
    outermost = distortion.distort(np.array([brim, 0.0]), coefficients)[0]
    found = distortion.undistort(np.array([[1.01 * outermost, 0.0], [0.2, 0.1], [np.nan, 0.0]]), coefficients)
    assert np.isnan(found[[0, 2]]).all()
    np.testing.assert_allclose(distortion.distort(found[1], coefficients), [0.2, 0.1], atol=1e-12)


@pytest.mark.parametrize("name", LENSES)
def test_mirrored_lens_shows_the_mirrored_picture(name):
    coefficients = np.array(LENSES[name])
    flip = np.array([-1.0, 1.0])
    expected = flip * distortion.distort(grid(), coefficients)
    np.testing.assert_allclose(
        distortion.distort(flip * grid(), distortion.mirrored(coefficients)), expected, atol=1e-14
    )
