"""The turntable camera: projection against a slow twin, and what the mouse must never break."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.viewport.orbit import DISTANCE_RANGE_M, HOME, MAX_ELEVATION_RAD, VIEW_NAMES, Orbit, preset

WIDTH, HEIGHT = 640.0, 480.0
numbers = st.floats(-1.0, 1.0)
orbits = st.builds(
    Orbit,
    st.tuples(numbers, numbers, numbers),
    st.floats(-3.1, 3.1),
    st.floats(-1.5, 1.5),
    st.floats(0.1, 3.0),
    st.floats(0.3, 1.5),
)
pixels = st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT))


def on_target_plane(orbit: Orbit, pixel: tuple[float, float]) -> np.ndarray:
    """The point under a pixel, on the plane through the target that faces the viewer."""
    right, up, _ = orbit.axes()
    metres = orbit.distance_m * math.tan(0.5 * orbit.fov_rad) / (0.5 * HEIGHT)
    x, y = (pixel[0] - 0.5 * WIDTH) * metres, (pixel[1] - 0.5 * HEIGHT) * metres
    return np.asarray(orbit.target_m) + x * right - y * up


@given(orbits)
def test_axes_are_orthonormal_and_up_is_up(orbit):
    axes = orbit.axes()
    assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    right, up, forward = axes
    assert np.allclose(np.cross(right, forward), up, atol=1e-12)
    assert up[1] < 0 and abs(right[1]) < 1e-12


@given(orbits, st.tuples(numbers, numbers, numbers))
def test_projection_agrees_with_a_slow_twin(orbit, point):
    eye, (right, up, forward) = orbit.eye_m(), orbit.axes()
    offset = [point[i] - eye[i] for i in range(3)]
    depth = sum(offset[i] * forward[i] for i in range(3))
    projection = orbit.project(point, WIDTH, HEIGHT)
    assert projection.depths_m[0] == pytest.approx(depth, abs=1e-9)
    if depth > 0.01:
        half = math.tan(orbit.fov_rad / 2)
        x = sum(offset[i] * right[i] for i in range(3)) / depth / half
        y = sum(offset[i] * up[i] for i in range(3)) / depth / half
        expected = (WIDTH / 2 + x * HEIGHT / 2, HEIGHT / 2 - y * HEIGHT / 2)
        assert projection.pixels[0] == pytest.approx(expected, abs=1e-6)


@given(orbits)
def test_target_is_in_the_middle(orbit):
    projection = orbit.project(orbit.target_m, WIDTH, HEIGHT)
    assert projection.pixels[0] == pytest.approx((WIDTH / 2, HEIGHT / 2), abs=1e-6)
    assert projection.depths_m[0] == pytest.approx(orbit.distance_m)


@given(orbits, pixels, pixels)
def test_pan_keeps_the_point_under_the_cursor(orbit, start, end):
    grabbed = on_target_plane(orbit, start)
    panned = orbit.panned(end[0] - start[0], end[1] - start[1], HEIGHT)
    assert panned.project(grabbed, WIDTH, HEIGHT).pixels[0] == pytest.approx(end, abs=1e-6)


@given(orbits, pixels, st.floats(0.2, 5.0))
def test_zoom_keeps_the_point_under_the_cursor(orbit, cursor, factor):
    zoomed = orbit.zoomed(factor, *cursor, WIDTH, HEIGHT)
    under = on_target_plane(orbit, cursor)
    assert zoomed.project(under, WIDTH, HEIGHT).pixels[0] == pytest.approx(cursor, abs=1e-6)
    assert DISTANCE_RANGE_M[0] <= zoomed.distance_m <= DISTANCE_RANGE_M[1]


@given(orbits, st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_turning_keeps_target_and_distance_and_never_tips_over(orbit, dx, dy):
    turned = orbit.orbited(dx, dy, HEIGHT)
    assert (turned.target_m, turned.distance_m) == (orbit.target_m, orbit.distance_m)
    assert abs(turned.elevation_rad) <= MAX_ELEVATION_RAD
    assert np.linalg.norm(turned.eye_m() - orbit.target_m) == pytest.approx(orbit.distance_m)


@pytest.mark.parametrize(("dx", "dy"), [(20, 0), (-20, 0), (0, 20), (0, -20)])
def test_the_near_side_follows_the_mouse(dx, dy):
    near = np.asarray(HOME.target_m) - 0.1 * HOME.axes()[2]
    before = HOME.project(near, WIDTH, HEIGHT).pixels[0]
    moved = HOME.orbited(dx, dy, HEIGHT).project(near, WIDTH, HEIGHT).pixels[0] - before
    assert moved @ (dx, dy) > 0


def test_camera_view_shows_what_the_camera_sees():
    focal, width, height = 900.0, 1280, 720
    view = preset("camera", (0.1, 0.0, 0.45), 2 * math.atan(0.5 * height / focal))
    point = np.array([0.12, -0.05, 0.5])
    expected = focal * point[:2] / point[2] + (width / 2, height / 2)
    assert view.project(point, width, height).pixels[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("name", "direction"), [("side", (1, 0)), ("top", (0, -1)), ("home", (1, 0))])
def test_depth_runs_as_the_preset_promises(name, direction):
    near, far = preset(name).project([(0, 0, 0.2), (0, 0, 0.5)], WIDTH, HEIGHT).pixels
    assert (far - near) @ direction > 50


@pytest.mark.parametrize("name", VIEW_NAMES)
def test_every_view_shows_a_hand_at_40_cm(name):
    projection = preset(name, (0.0, 0.0, 0.4)).project((0.0, 0.0, 0.4), WIDTH, HEIGHT)
    assert projection.depths_m[0] > 0.05
    assert np.all((projection.pixels[0] > 0) & (projection.pixels[0] < (WIDTH, HEIGHT)))


@pytest.mark.parametrize("name", ["home", "front", "side", "top"])
def test_views_from_outside_show_the_camera_too(name):
    place = preset(name).project((0.0, 0.0, 0.0), WIDTH, HEIGHT).pixels[0]
    assert np.all((place > 0) & (place < (WIDTH, HEIGHT)))


def test_unknown_view_is_refused():
    with pytest.raises(KeyError):
        preset("behind the moon")
