from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handdgp_core.errors import ShapeError
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand
from handdgp_core.synthetic.rendering.opengl import RenderError
from handdgp_core.synthetic.rendering.renderer import HandRenderer
from handdgp_core.synthetic.rendering.scene import Film, Lighting, Material, Placed
from handdgp_core.synthetic.rendering.surface import SmoothSurface

pytestmark = pytest.mark.gl
WIDTH, HEIGHT = 160, 120
QUAD = np.array([[0, 1, 2], [0, 2, 3]])


def plain_material(level: int = 180) -> Material:
    return Material(np.full((4, 4, 4), level, np.uint8), np.zeros((4, 4), np.float32))


def plain_light() -> Lighting:
    return Lighting(np.array([0.0, 0.0, -1.0]), np.ones(3), np.array([[0.0, 0.0, -1.0]]), np.full((1, 3), 0.3))


def camera(focal: float = 130.0, distortion: tuple[float, ...] = ()) -> Camera:
    matrix = np.array([[focal, 0, 78.4], [0, 1.03 * focal, 61.7], [0, 0, 1]])
    return Camera(WIDTH, HEIGHT, matrix, np.array(distortion))


def square(center: np.ndarray, half_m: float, turn_rad: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A square that faces the camera, turned about its middle, and its normals."""
    c, s = half_m * np.cos(turn_rad), half_m * np.sin(turn_rad)
    x, y = np.array([c, s, 0]), np.array([-s, c, 0])
    corners = center + np.stack([-x - y, -x + y, x + y, x - y])
    return corners.astype(np.float32), np.tile(np.float32([0, 0, -1]), (4, 1))


@pytest.fixture(scope="module")
def renderer(renderer_maker: type[HandRenderer]) -> HandRenderer:
    made = renderer_maker(WIDTH, HEIGHT, 2, 256, 64)
    for _ in range(2):
        made.add_surface(SmoothSurface(QUAD, levels=0), plain_material())
    made.set_background(np.zeros((HEIGHT, WIDTH, 3), np.float32))
    return made


@settings(max_examples=40, deadline=None)
@given(
    u=st.floats(20, WIDTH - 20),
    v=st.floats(20, HEIGHT - 20),
    depth=st.floats(0.2, 1.5),
    k1=st.floats(-0.15, 0.15),
    k2=st.floats(-0.02, 0.02),
    p=st.floats(-0.01, 0.01),
)
def test_points_land_where_the_camera_projects_them(
    renderer: HandRenderer, u: float, v: float, depth: float, k1: float, k2: float, p: float
) -> None:
    cam = camera(distortion=(k1, k2, p, -p, 0.0))
    center = cam.rays(np.array([u, v])) * depth
    turn = 0.41  # edges that cross pixel rows at a slant, so that counting pixels measures the centroid finely
    positions, normals = square(center, 6.0 * depth / 130.0, turn)
    label = renderer.segment([Placed(0, positions, normals)], cam)
    row, column = np.nonzero(label)
    # The true outline, lens included, sampled densely: its centroid is what the pixels must have.
    side = np.linspace(-1, 1, 41) * 6.0 * depth / 130.0
    x, y = (grid.ravel() for grid in np.meshgrid(side, side))
    grid = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1)
    one, other = np.diff(cam.project(positions)[[0, 2, 1, 3]], axis=0)[[0, 2]]
    area = 0.5 * abs(one[0] * other[1] - one[1] * other[0])
    wanted = cam.project(center + np.c_[grid, np.zeros(len(grid))]).mean(axis=0)
    assert abs(len(row) - area) < 0.2 * area
    np.testing.assert_allclose([column.mean(), row.mean()], wanted, atol=0.2)


def test_pixel_centres_are_integers(renderer: HandRenderer) -> None:
    cam = Camera(WIDTH, HEIGHT, np.array([[100.0, 0, 80], [0, 100.0, 60], [0, 0, 1]]))
    # From pixel edge to pixel edge: exactly the pixels 70..89 and 50..69.
    positions = np.float32([[-0.105, -0.105, 1], [-0.105, 0.095, 1], [0.095, 0.095, 1], [0.095, -0.105, 1]])
    label = renderer.segment([Placed(0, positions, np.tile(np.float32([0, 0, -1]), (4, 1)))], cam)
    wanted = np.zeros((HEIGHT, WIDTH), np.uint8)
    wanted[50:70, 70:90] = 1
    np.testing.assert_array_equal(label, wanted)


def test_nearer_surface_hides_the_other(renderer: HandRenderer) -> None:
    near, far = square(np.array([0, 0, 0.4]), 0.05), square(np.array([0, 0, 0.6]), 0.2)
    label = renderer.segment([Placed(0, *far), Placed(1, *near)], camera())
    assert label[HEIGHT // 2, WIDTH // 2] == 2
    assert set(np.unique(label)) == {0, 1, 2}


def test_a_thing_before_the_light_casts_a_shadow(renderer: HandRenderer) -> None:
    side = np.array([0.8, 0.0, -0.6])
    light = dataclasses.replace(plain_light(), key_direction=side)
    film = Film(grain=0.0, vignette=0.0)
    wall, card = square(np.array([0, 0, 0.6]), 0.2), square(np.array([0.2, 0, 0.45]), 0.03)
    alone = renderer.render([Placed(0, *wall)], camera(), light, film)
    shaded = renderer.render([Placed(0, *wall), Placed(1, *card)], camera(), light, film)
    u, v = np.round(camera().project(np.array([0.0, 0.0, 0.6]))).astype(int)
    assert alone[v, u].mean() > 1.15 * shaded[v, u].mean()
    far = np.round(camera().project(np.array([-0.15, 0.1, 0.6]))).astype(int)
    np.testing.assert_allclose(alone[far[1], far[0]], shaded[far[1], far[0]], atol=2)


def test_same_scene_same_picture_other_grain_other_picture(renderer_maker: type[HandRenderer]) -> None:
    pictures = []
    for seed in (3, 3, 4):
        with renderer_maker(WIDTH, HEIGHT, 2, 256, 64) as made:
            number = made.add_surface(SmoothSurface(QUAD, levels=1), plain_material())
            made.set_background(np.full((HEIGHT, WIDTH, 3), 0.2, np.float32))
            quad = SmoothSurface(QUAD, levels=1).refine(square(np.array([0.02, 0, 0.5]), 0.1)[0].astype(float))
            pictures.append(made.render([Placed(number, *quad)], camera(), plain_light(), Film(), seed))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).mean() > 0.3


def test_a_left_hand_is_the_mirror_image(renderer_maker: type[HandRenderer]) -> None:
    hand = OpenHand.load()
    facing = np.diag([1.0, -1.0, -1.0])
    pose = HandPose(facing[None], np.zeros((1, hand.dof_count)), np.zeros((1, hand.shape_count)), np.ones(1))
    surface = SmoothSurface(hand.faces, levels=1)
    positions, normals = surface.refine(hand.forward(pose)[0][0] + [0.0, 0.1, 0.3])
    centred = Camera(WIDTH, HEIGHT, np.array([[130.0, 0, 79.5], [0, 130.0, 59.5], [0, 0, 1]]))
    flip = np.float32([-1, 1, 1])
    light = dataclasses.replace(plain_light(), key_direction=np.array([0.6, 0.0, -0.8]))
    other = dataclasses.replace(light, key_direction=np.array([-0.6, 0.0, -0.8]))
    film = Film(grain=0.0)
    with renderer_maker(WIDTH, HEIGHT, 2, 512, 64) as made:
        number = made.add_surface(surface, plain_material())
        made.set_background(np.zeros((HEIGHT, WIDTH, 3), np.float32))
        right = made.render([Placed(number, positions, normals)], centred, light, film)
        left = made.render([Placed(number, positions * flip, normals * flip, True)], centred, other, film)
    assert (right > 20).mean() > 0.1
    assert np.abs(right.astype(int) - left[:, ::-1].astype(int)).mean() < 1.0


def test_refuses_what_it_cannot_draw(renderer: HandRenderer) -> None:
    quad = square(np.array([0, 0, 0.5]), 0.1)
    with pytest.raises(ShapeError, match="160x120"):
        renderer.segment([], Camera.assumed(320, 240))
    with pytest.raises(RenderError, match="at most once"):
        renderer.segment([Placed(0, *quad), Placed(0, *quad)], camera())
    with pytest.raises(ShapeError, match="positions"):
        renderer.segment([Placed(0, quad[0][:3], quad[1][:3])], camera())
    with pytest.raises(RenderError, match="lens of 8"):
        renderer.segment([], camera(distortion=(0.0, 0, 0, 0, 0, 0, 0, 0.01)))
    with pytest.raises(ShapeError, match="background"):
        renderer.set_background(np.zeros((5, 5, 3), np.float32))
