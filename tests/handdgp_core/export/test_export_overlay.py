"""The overlay, checked pixel by pixel where it counts: what it covers, where, and in which colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from handdgp_core.drawing.colours import HAND_COLOURS, weight_colours, weight_table
from handdgp_core.drawing.overlay import OverlayStyle, draw_hands, hand_label, project_visible
from handdgp_core.drawing.raster import ProjectedMesh, paint_mesh, visible_faces
from handdgp_core.drawing.text import draw_text, text_size
from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.palm import palm_m

MESH_ONLY = OverlayStyle(keypoints=False, root=False, labels=False, opacity=1.0)
POINTS_ONLY = OverlayStyle(mesh=False, root=False, labels=False, projected=False)
LABEL_ONLY = OverlayStyle(mesh=False, keypoints=False, root=False)
GREY = 120


@pytest.fixture
def grey() -> np.ndarray:
    return np.full((240, 320, 3), GREY, dtype=np.uint8)


def changed(drawn: np.ndarray) -> np.ndarray:
    return (drawn != GREY).any(axis=2)


def ellipse_covers(camera, centre_px, axes_px, grow) -> np.ndarray:
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    across, down = (u - centre_px[0]) / (axes_px[0] + grow), (v - centre_px[1]) / (axes_px[1] + grow)
    return across**2 + down**2 < 1.0


def test_mesh_covers_its_silhouette(grey, make_hand, camera):
    drawn = changed(draw_hands(grey, [make_hand(centre_m=(0, 0, 0.4))], camera, MESH_ONLY))
    axes_px = 300 * np.array([0.04, 0.06]) / 0.4
    centre_px = (159.5, 119.5)
    assert drawn[ellipse_covers(camera, centre_px, axes_px, -1.5)].all()
    assert not drawn[~ellipse_covers(camera, centre_px, axes_px, 2.5)].any()


@settings(max_examples=60, deadline=None)
@given(depth_m=st.floats(0.15, 3.0))
def test_only_the_hand_is_painted_at_any_depth(make_hand_once, depth_m):
    camera = Camera.assumed(96, 64)
    image = np.full((64, 96, 3), GREY, dtype=np.uint8)
    hand = make_hand_once((0.0, 0.0, depth_m))
    drawn = changed(draw_hands(image, [hand], camera, MESH_ONLY))
    radius_px = camera.focal_px[0] * 0.08 / np.sqrt(depth_m**2 - 0.08**2)
    u, v = np.meshgrid(np.arange(96) - 47.5, np.arange(64) - 31.5)
    assert not drawn[np.hypot(u, v) > radius_px + 2.5].any()
    assert drawn[np.hypot(u, v) < radius_px - 2.0].all()


def test_the_silhouette_fades_into_the_image(grey, make_hand, camera):
    row = draw_hands(np.full_like(grey, 255), [make_hand()], camera, MESH_ONLY)[120].astype(int)
    edge = row[np.flatnonzero((row != 255).any(axis=1))[0]]
    assert (edge > row[159]).any()  # between the background and the surface
    assert (edge < 255).any()


def test_the_image_is_left_alone_and_repeats_are_equal(grey, make_hand, camera):
    first = draw_hands(grey, [make_hand()], camera)
    assert (grey == GREY).all()
    assert not np.shares_memory(first, grey)
    np.testing.assert_array_equal(draw_hands(grey, [make_hand()], camera), first)
    np.testing.assert_array_equal(draw_hands(grey, [], camera), grey)


@pytest.mark.parametrize("side", ["right", "left"])
def test_each_side_has_its_colour(grey, make_hand, camera, side):
    middle = draw_hands(grey, [make_hand(side)], camera, MESH_ONLY)[119, 159].astype(float)
    share = [
        np.dot(middle, colour) / np.linalg.norm(middle) / np.linalg.norm(colour) for colour in HAND_COLOURS.values()
    ]
    assert list(HAND_COLOURS)[int(np.argmax(share))] == side


def test_light_falls_off_towards_the_edge(grey, make_hand, camera):
    row = draw_hands(grey, [make_hand()], camera, MESH_ONLY)[119].astype(int).sum(axis=1)
    assert row[159] > row[180] + 30 > row[186] + 30


def test_opacity_blends(grey, make_hand, camera):
    def middle(opacity):
        return draw_hands(grey, [make_hand()], camera, replace(MESH_ONLY, opacity=opacity))[119, 159].astype(float)

    np.testing.assert_allclose(middle(0.5), (middle(0.0) + middle(1.0)) / 2, atol=1.5)
    np.testing.assert_array_equal(middle(0.0), GREY)


def test_the_nearer_hand_hides_the_farther(grey, make_hand, camera):
    near, far = make_hand("left", (0, 0, 0.4)), make_hand("right", (0, 0, 0.5))
    expected = draw_hands(grey, [near], camera, MESH_ONLY)[119, 159]
    for order in ([near, far], [far, near]):
        np.testing.assert_array_equal(draw_hands(grey, order, camera, MESH_ONLY)[119, 159], expected)


def test_hidden_surfaces_are_hidden(grey, camera):
    """Two squares in one mesh, the far one first and last in the list of faces."""
    square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * 0.05
    vertices = np.vstack([square + (0, 0, 0.4), square + (0, 0, 0.5)])
    near, far = [[0, 2, 1], [0, 3, 2]], [[4, 6, 5], [4, 7, 6]]
    pictures = []
    for faces in (near, near + far, far + near):
        mesh = ProjectedMesh(vertices, camera.project(vertices), np.array(faces, dtype=np.int32))
        picture = grey.copy()
        paint_mesh(picture, mesh, (250, 10, 10), 1.0)
        pictures.append(picture)
    assert (pictures[0][119, 159] != GREY).any()
    np.testing.assert_array_equal(pictures[1][100:140, 140:180], pictures[2][100:140, 140:180])
    np.testing.assert_allclose(
        pictures[1][119, 159].astype(int), pictures[0][119, 159].astype(int), atol=8
    )  # its corners share no light with the far square


def test_back_faces_are_culled(make_hand, camera):
    hand = make_hand()
    mesh = ProjectedMesh(hand.vertices_m, camera.project(hand.vertices_m), hand.faces)
    front, light = visible_faces(mesh)
    depth = hand.vertices_m[:, 2]
    assert 0.3 * len(hand.faces) < len(front) < 0.6 * len(hand.faces)
    assert depth[front].mean() < depth.mean()
    assert light[depth.argmin()] > 0.95
    assert light[depth.argmax()] == 0.0


def test_a_distorted_camera_bends_the_mesh(grey, make_hand, camera):
    bent = replace(camera, distortion=np.array([-0.3, 0.05, 0.0, 0.0, 0.0]))
    hand = make_hand(centre_m=(0.15, 0.0, 0.4))
    for lens in (camera, bent):
        drawn = np.nonzero(changed(draw_hands(grey, [hand], lens, MESH_ONLY)))
        expected = lens.project(hand.vertices_m)
        assert drawn[1].min() == pytest.approx(expected[:, 0].min(), abs=2.5)
        assert drawn[0].min() == pytest.approx(expected[:, 1].min(), abs=2.5)


def test_mirrored_is_the_mirror_image_but_for_the_label(grey, make_hand, camera):
    image = grey.copy()
    image[:, :100] = 60
    hand = make_hand(centre_m=(-0.06, 0.01, 0.4))
    no_label = OverlayStyle(labels=False)
    plain = draw_hands(image, [hand], camera, no_label)
    mirrored = draw_hands(image, [hand], camera, replace(no_label, mirrored=True))
    assert np.abs(mirrored[:, ::-1].astype(int) - plain).mean() < 0.5  # lines are rounded differently

    text = draw_hands(image, [hand], camera, replace(LABEL_ONLY, mirrored=True))
    where = np.nonzero((text != image[:, ::-1]).any(axis=2))
    box = (slice(where[0].min(), where[0].max() + 1), slice(where[1].min(), where[1].max() + 1))
    plain_text = draw_hands(grey, [make_hand(centre_m=(0.06, 0.01, 0.4))], camera, LABEL_ONLY)
    same_text = draw_hands(grey, [hand], camera, replace(LABEL_ONLY, mirrored=True))
    assert abs(np.mean(where[1]) - camera.width / 2) > 20
    readable = np.abs(same_text[box].astype(int) - plain_text[box]).mean()
    reversed_text = np.abs(same_text[box].astype(int) - plain_text[box][:, ::-1]).mean()
    assert readable < reversed_text / 3


def test_keypoints_are_coloured_by_weight(grey, make_hand, camera):
    hand = make_hand(keypoints_px=np.stack([20 + 14.0 * np.arange(21), np.full(21, 30.0)], axis=1))
    drawn = draw_hands(grey, [hand], camera, POINTS_ONLY)
    for (u, v), colour in zip(hand.keypoints_px.astype(int), weight_colours(hand.weights), strict=True):
        np.testing.assert_allclose(drawn[v, u].astype(int), colour.astype(int), atol=3)


def test_a_muted_keypoint_is_hollow(grey, make_hand, camera):
    weights = np.ones(21)
    weights[8] = 0.0
    pixels = np.stack([20 + 14.0 * np.arange(21), np.full(21, 30.0)], axis=1)
    big = replace(POINTS_ONLY, scale=4.0)
    drawn = changed(draw_hands(grey, [make_hand(weights=weights, keypoints_px=pixels)], camera, big))
    centres = pixels.astype(int)
    assert not drawn[centres[8, 1], centres[8, 0]]
    assert drawn[centres[8, 1] - 5, centres[8, 0]]  # the ring around it
    assert drawn[centres[7, 1], centres[7, 0]]


def test_solved_keypoints_show_apart_from_the_2d_ones(grey, make_hand, camera):
    hand = make_hand()
    shifted = replace(hand, keypoints_px=hand.keypoints_px + (25.0, 0.0))
    style = replace(POINTS_ONLY, projected=True)
    drawn = draw_hands(grey, [shifted], camera, style)
    solved = np.round(camera.project(hand.keypoints_m)).astype(int)
    assert (drawn[solved[1:, 1], solved[1:, 0]].min(axis=1) > 200).mean() > 0.6  # white; some lie under others
    assert (draw_hands(grey, [shifted], camera, POINTS_ONLY)[solved[1:, 1], solved[1:, 0]].min(axis=1) < 200).all()


def test_the_root_is_marked_where_it_is(grey, make_hand, camera):
    hand = make_hand(root_m=np.array([0.05, -0.03, 0.4]))
    drawn = draw_hands(grey, [hand], camera, OverlayStyle(mesh=False, keypoints=False, labels=False))
    ys, xs = np.nonzero(changed(drawn))
    assert (xs.mean(), ys.mean()) == pytest.approx(tuple(camera.project(hand.root_m)), abs=0.6)


def test_the_wireframe_draws_lines_only(grey, make_hand, camera):
    lines = changed(draw_hands(grey, [make_hand()], camera, replace(MESH_ONLY, mesh=False, wireframe=True)))
    surface = changed(draw_hands(grey, [make_hand()], camera, MESH_ONLY))
    assert 0.1 < lines.sum() / surface.sum() < 0.95


def test_a_degenerate_hand_shows_its_reason_and_no_mesh(grey, degenerate, camera):
    assert hand_label(degenerate, camera) == "left: too few weights"
    assert changed(draw_hands(grey, [degenerate], camera, LABEL_ONLY)).any()
    assert not changed(draw_hands(grey, [degenerate], camera, MESH_ONLY)).any()
    everything = draw_hands(grey, [degenerate], camera)
    u, v = np.round(degenerate.keypoints_px[20]).astype(int)
    assert (everything[v, u] != GREY).any()


def test_labels_say_when_depth_is_a_guess(make_hand, camera):
    hand = make_hand(root_m=np.array([0, 0, 0.314]))
    distance = f"{np.linalg.norm(palm_m(hand)) * 100:.1f}"
    assert hand_label(hand, camera) == f"right palm {distance} cm"
    assert hand_label(hand, Camera.assumed(320, 240)) == f"right palm ~{distance} cm"


def test_no_hand_covers_a_label(grey, make_hand, camera):
    far, near = make_hand("left", (0, 0, 0.5)), make_hand("right", (0, -0.06, 0.3))
    letters = (draw_hands(grey, [far], camera, replace(LABEL_ONLY, scale=2.0)) > 200).all(axis=2)
    hidden = changed(draw_hands(grey, [near], camera, MESH_ONLY))[letters]
    both = draw_hands(grey, [far, near], camera, replace(MESH_ONLY, labels=True, scale=2.0))
    assert letters.sum() > 30
    assert hidden.mean() > 0.3
    assert (both[letters] > 190).all()


@pytest.mark.parametrize("centre_px", [(5.0, 5.0), (315.0, 5.0), (160.0, 236.0), (-300.0, 900.0)])
def test_labels_stay_inside_the_image(grey, make_hand, camera, centre_px):
    hand = make_hand(keypoints_px=np.full((21, 2), 1.0) * centre_px)
    drawn = draw_hands(grey, [hand], camera, LABEL_ONLY)
    height, width = text_size(hand_label(hand, camera), 9)[::-1]
    assert changed(drawn).sum() >= 0.95 * height * width


def test_labels_grow_with_the_image(make_hand):
    def label_height(factor):
        camera = Camera.assumed(320 * factor, 240 * factor)
        image = np.full((240 * factor, 320 * factor, 3), GREY, dtype=np.uint8)
        return np.ptp(np.nonzero(changed(draw_hands(image, [make_hand()], camera, LABEL_ONLY)))[0])

    assert label_height(12) > 3 * label_height(4) * 0.9


OUTSIDE = st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(-1, 3))


@settings(max_examples=40, deadline=None)
@given(centre_m=OUTSIDE, mirrored=st.booleans(), k1=st.sampled_from([0.0, -0.4, 0.3]))
def test_hands_anywhere_are_safe(make_hand_once, centre_m, mirrored, k1):
    """Outside the image, around the camera and behind it: no error, and what is drawn is where it belongs."""
    camera = Camera.assumed(64, 48)
    camera = replace(camera, distortion=np.array([k1, 0.0, 0.0, 0.0]))
    image = np.full((48, 64, 3), GREY, dtype=np.uint8)
    hand = make_hand_once(centre_m)
    style = OverlayStyle(mirrored=mirrored, wireframe=True)
    assert draw_hands(image, [hand], camera, style).shape == image.shape
    if centre_m[2] < -0.1:
        assert not changed(draw_hands(image, [hand], camera, MESH_ONLY)).any()


@pytest.fixture(scope="module")
def make_hand_once():
    """Hands for hypothesis, which wants fixtures that do not change between its examples."""
    import trimesh

    from handdgp_core.types import Hand

    mesh = trimesh.creation.icosphere(subdivisions=2, radius=0.08)

    def make(centre_m):
        keypoints_m = mesh.vertices[:21] + centre_m
        with np.errstate(all="ignore"):
            pixels = keypoints_m[:, :2] / keypoints_m[:, 2:] * 60  # anywhere, also of points behind the camera
        covariance = np.eye(3) * 1e-6
        faces = mesh.faces.astype(np.int32)
        vertices_m = mesh.vertices + centre_m
        return Hand("left", 0.5, vertices_m, keypoints_m, pixels, np.ones(21), keypoints_m[0], covariance, 1.0, faces)

    return make


def test_points_that_are_not_numbers(grey, make_hand, camera):
    hand = make_hand()
    keypoints_px, vertices_m = hand.keypoints_px.copy(), hand.vertices_m.copy()
    keypoints_px[3], keypoints_px[4], vertices_m[7] = np.nan, np.inf, np.nan
    drawn = draw_hands(grey, [replace(hand, keypoints_px=keypoints_px, vertices_m=vertices_m)], camera)
    assert changed(drawn).any()


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (4320, 7680)])
def test_extreme_images(make_hand, size):
    height, width = size
    image = np.full((height, width, 3), GREY, dtype=np.uint8)
    drawn = draw_hands(image, [make_hand()], Camera.assumed(width, height))
    assert drawn.shape == image.shape
    assert changed(drawn).any()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((240, 320), np.uint8),
        np.zeros((240, 320, 4), np.uint8),
        np.zeros((240, 320, 3), np.float32),
        np.zeros((120, 160, 3), np.uint8),
    ],
)
def test_images_that_do_not_fit(image, camera):
    with pytest.raises(ShapeError, match=r"\(240, 320, 3\)"):
        draw_hands(image, [], camera)


@pytest.mark.parametrize("wrong", [{"opacity": 1.5}, {"opacity": float("nan")}, {"full_weight": 0.0}, {"scale": -1.0}])
def test_styles_that_make_no_sense(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        OverlayStyle(**wrong)


def test_project_visible_drops_points_behind_the_camera(camera):
    points = np.array([[0, 0, 0.5], [0, 0, -0.5], [0, 0, 0.001], [np.nan, 0, 1]])
    np.testing.assert_array_equal(np.isnan(project_visible(points, camera)).all(axis=1), [False, True, True, True])


def test_weight_colours_get_brighter_with_weight():
    brightness = weight_table().astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(brightness) > -0.6).all()
    assert brightness[-1] > brightness[0] + 150
    assert weight_table()[-1, 2] < weight_table()[-1, :2].min() / 2  # yellow: RGB, not BGR


@given(hnp.arrays(float, 21, elements=st.floats(allow_nan=True, allow_infinity=True, width=32)))
def test_any_weights_have_a_colour(weights):
    assert weight_colours(weights).shape == (21, 3)


def test_full_scale_of_weights():
    np.testing.assert_array_equal(weight_colours(np.array([0.1, 5.0]), full_scale=0.1), weight_table()[[255, 255]])


@pytest.mark.parametrize("place", [(-5, -5), (60, 40), (-900, 3), (3, 900)])
def test_text_is_cut_at_the_image(place):
    image = np.zeros((48, 64, 3), np.uint8)
    draw_text(image, "right 31.4 cm", place, 20, (255, 255, 255), (0, 255, 0))
    assert (image.max() > 0) == (place in ((-5, -5), (60, 40)))
