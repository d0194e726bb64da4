"""The 2D painter against shapes whose picture is known."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.viewport.colours import THEMES
from app.viewport.orbit import HOME, Orbit
from app.viewport.painter import paint
from app.viewport.protocol import RenderRequest, SceneState, ViewOptions

BACKGROUND = np.rint(255 * np.array(THEMES["dark"].background))
MESH_ONLY = replace(ViewOptions(**{field.name: False for field in fields(ViewOptions)}), mesh=True)


def drawn(picture):
    return np.any(np.abs(picture.astype(int) - BACKGROUND) > 6, axis=2)


def test_silhouette_is_that_of_the_projected_mesh(scene, hand):
    hand = replace(hand, root_m=np.array([0.0, 0.0, 0.4]))  # its ball is inside the mesh
    orbit = Orbit((0.0, 0.0, 0.4), 0.3, 0.2, 0.6)
    picture = paint(RenderRequest(replace(scene, hands=(hand,)), orbit, MESH_ONLY, 640, 480))
    pixels = orbit.project(hand.vertices_m, 640, 480).pixels
    rows, columns = np.nonzero(drawn(picture))
    for axis, filled in enumerate((columns, rows)):
        assert filled.min() + 0.5 == pytest.approx(pixels[:, axis].min(), abs=1.5)
        assert filled.max() + 0.5 == pytest.approx(pixels[:, axis].max(), abs=1.5)
    radius = 0.5 * np.ptp(pixels, axis=0).mean()
    assert 0.85 < len(rows) / (np.pi * radius**2) < 1.05


def test_the_colours_tell_the_sides_apart(scene, hand):
    orbit = Orbit((0.0, 0.0, 0.4), 0.0, 0.0, 0.6)
    means = {}
    for side in ("left", "right"):
        state = replace(scene, hands=(replace(hand, side=side),))
        picture = paint(RenderRequest(state, orbit, MESH_ONLY, 200, 200))
        means[side] = picture[drawn(picture)].mean(axis=0)
    assert means["left"][0] > means["left"][1] + 40  # magenta
    assert means["right"][2] > means["right"][0] + 40  # blue


def test_the_nearer_hand_covers_the_farther(scene, hand):
    shift = np.array([0.0, 0.0, 0.2])
    far = replace(hand, side="left", vertices_m=hand.vertices_m + shift, root_m=hand.root_m + shift)
    orbit = Orbit((0.0, 0.0, 0.4), 0.0, 0.0, 0.4)  # through the camera
    for order in ((hand, far), (far, hand)):
        picture = paint(RenderRequest(replace(scene, hands=order), orbit, MESH_ONLY, 200, 200))
        red, _, blue = picture[100, 90].astype(int)
        assert blue > red + 20  # the right, nearer hand


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_an_empty_scene_still_shows_grid_and_camera(scene, theme):
    picture = paint(RenderRequest(replace(scene, hands=()), HOME, ViewOptions(), 320, 240, theme))
    background = np.rint(255 * np.array(THEMES[theme].background))
    share = np.any(np.abs(picture - background) > 6, axis=2).mean()
    assert 0.01 < share < 0.3


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(-3, 3), st.floats(-1.5, 1.5), st.floats(0.05, 2.0), st.integers(8, 300), st.integers(8, 300))
def test_no_view_breaks_it(scene, azimuth, elevation, distance, width, height):
    picture = paint(
        RenderRequest(scene, Orbit((0.0, 0.0, 0.3), azimuth, elevation, distance), ViewOptions(), width, height)
    )
    assert picture.shape == (height, width, 3) and picture.dtype == np.uint8


def test_nothing_to_draw_is_plain_background():
    picture = paint(RenderRequest(SceneState(), HOME, MESH_ONLY, 32, 24))
    assert not drawn(picture).any()
