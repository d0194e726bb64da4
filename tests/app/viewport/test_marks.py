"""What the scene is made of: metric facts, fixed counts, toggles."""

from dataclasses import fields, replace

import numpy as np
import pytest

from app.viewport import marks
from app.viewport.colours import THEMES, weight_colours
from app.viewport.orbit import HOME, preset
from app.viewport.protocol import CameraView, ViewOptions
from handdgp_core.hands.keypoints import BONES

THEME, SHOWN = THEMES["dark"], ViewOptions(raw_root=True)
NOTHING = ViewOptions(**{field.name: False for field in fields(ViewOptions)})


def test_grid_lines_are_ten_centimetres_apart_and_level():
    floor = marks.floor_strokes(THEME)
    assert np.all(floor.ends_m[..., 1] == marks.FLOOR_Y_M)
    assert np.allclose(np.linalg.norm(floor.ends_m[:, 1] - floor.ends_m[:, 0], axis=1), 0.1)
    for axis in (0, 2):
        places = np.unique(np.round(floor.ends_m[..., axis], 9))
        assert np.allclose(np.diff(places), 0.1)


def test_frustum_corners_are_the_image_corners():
    camera = CameraView(1280, 720, (900.0, 950.0, 630.0, 350.0))
    rig = marks.rig_strokes(camera, THEME, SHOWN, HOME)
    corner = rig.ends_m[:4, 1]
    fx, fy, cx, cy = camera.pinhole_px
    pixels = np.stack([fx * corner[:, 0] / corner[:, 2] + cx, fy * corner[:, 1] / corner[:, 2] + cy], axis=1)
    # Pixel centres are whole numbers, so the image's edges lie half a pixel outside.
    assert np.allclose(pixels, [(-0.5, -0.5), (1279.5, -0.5), (1279.5, 719.5), (-0.5, 719.5)])


def test_up_mark_is_above_the_image():
    rig = marks.rig_strokes(CameraView(640, 480, (500.0, 500.0, 319.5, 239.5)), THEME, SHOWN, HOME)
    assert rig.ends_m[8:10, 1, 1].max() < rig.ends_m[:4, 1, 1].min()  # y points down


def test_bones_carry_the_weights_of_their_ends(hand):
    bones = marks.bone_strokes(hand, SHOWN)
    for stroke, (parent, child) in enumerate(BONES):
        assert np.array_equal(bones.ends_m[stroke], hand.keypoints_m[[parent, child]])
        assert np.allclose(bones.colours[stroke], weight_colours(hand.weights[[parent, child]]))


def test_balls_sit_on_keypoints_root_and_truth(hand):
    truth = np.array([0.0, 0.01, 0.41])
    balls = marks.balls(replace(hand, truth_root_m=truth), THEME, SHOWN)
    assert np.array_equal(balls.centres_m[:21], hand.keypoints_m)
    assert np.array_equal(balls.centres_m[[21, 23]], [hand.root_m, truth])
    assert balls.radii_m[22] == 0  # no unsmoothed root was given
    red, green, blue = balls.colours[23]
    assert red > 3 * green and red > 3 * blue


def test_ellipsoid_strokes_lie_on_the_two_sigma_surface(hand):
    strokes = marks.ellipsoid_strokes(hand, THEME, SHOWN)
    offsets = (strokes.ends_m - hand.root_m).reshape(-1, 3)
    mahalanobis = np.sqrt(np.einsum("ij,jk,ik->i", offsets, np.linalg.inv(hand.root_covariance_m2), offsets))
    assert np.allclose(mahalanobis, 2.0)


def test_drop_line_ends_on_the_grid_below_the_root(hand):
    strokes = marks.path_strokes(hand, THEME, SHOWN)
    dashes = strokes.ends_m[marks.TRAIL_STROKES : marks.TRAIL_STROKES + marks.DASHES]
    assert np.allclose(dashes[..., [0, 2]], hand.root_m[[0, 2]])
    ring = strokes.ends_m[-marks.FOOT_STROKES :]
    assert np.allclose(ring.mean(axis=(0, 1)), (hand.root_m[0], marks.FLOOR_Y_M, hand.root_m[2]))


def test_trail_fades_into_the_background(hand):
    places = np.linspace((0.1, 0.0, 0.4), hand.root_m, 30)
    hand = replace(hand, trail_m=np.column_stack([places, np.linspace(1.0, 0.0, 30)]))
    trail = marks.path_strokes(hand, THEME, SHOWN)
    colours = trail.colours[: marks.TRAIL_STROKES]
    assert np.allclose(colours[0, 0], THEME.background)
    assert np.allclose(colours[-1, 1], THEME.right)
    assert np.allclose(trail.ends_m[marks.TRAIL_STROKES - 1, 1], hand.root_m)
    assert np.allclose(trail.ends_m[1 : marks.TRAIL_STROKES, 0], trail.ends_m[: marks.TRAIL_STROKES - 1, 1])


@pytest.mark.parametrize("options", [SHOWN, NOTHING])
def test_counts_never_change(hand, options):
    for with_hand, without in (
        (marks.path_strokes(hand, THEME, options), marks.path_strokes(None, THEME, options)),
        (marks.bone_strokes(hand, options), marks.bone_strokes(None, options)),
        (marks.ellipsoid_strokes(hand, THEME, options), marks.ellipsoid_strokes(None, THEME, options)),
        (marks.balls(hand, THEME, options), marks.balls(None, THEME, options)),
    ):
        assert len(with_hand.radii_m) == len(without.radii_m)
        assert np.all(without.radii_m == 0)
    assert len(marks.rig_strokes(None, THEME, options, HOME).radii_m) == 13


def test_toggles_hide_their_parts(hand):
    hand = replace(hand, truth_root_m=np.zeros(3), raw_root_m=np.zeros(3))
    assert not np.any(marks.bone_strokes(hand, NOTHING).radii_m)
    assert not np.any(marks.ellipsoid_strokes(hand, THEME, NOTHING).radii_m)
    assert not np.any(marks.path_strokes(hand, THEME, NOTHING).radii_m)
    assert not np.any(marks.rig_strokes(CameraView(4, 3, (4, 4, 1, 1)), THEME, NOTHING, HOME).radii_m)
    assert np.flatnonzero(marks.balls(hand, THEME, NOTHING).radii_m).tolist() == [21]  # the root always shows


def test_looking_through_the_camera_does_not_show_its_body():
    camera = CameraView(640, 480, (500.0, 500.0, 319.5, 239.5))
    assert not np.any(marks.rig_strokes(camera, THEME, SHOWN, preset("camera")).radii_m)
    assert np.all(marks.rig_strokes(camera, THEME, SHOWN, preset("front")).radii_m)


def test_an_arrow_leads_from_the_unmuted_root_to_the_root(hand):
    assert not marks.mute_strokes(hand, THEME).radii_m.any() and not marks.mute_strokes(None, THEME).radii_m.any()
    muted = replace(hand, unmuted_root_m=hand.root_m + (0.0, 0.0, 0.03))
    arrow = marks.mute_strokes(muted, THEME)
    assert np.allclose(arrow.ends_m[0], [muted.unmuted_root_m, hand.root_m])
    assert np.allclose(arrow.ends_m[1:, 0], hand.root_m) and len(arrow.radii_m) == marks.ARROW_STROKES
    assert np.allclose(marks.balls(muted, THEME, SHOWN).centres_m[24], muted.unmuted_root_m)


def test_the_shadow_lies_under_the_hand_and_ends_softly(hand):
    rings, colours = marks.shadow_rings(hand, THEME)
    assert np.allclose(rings[..., 1], marks.FLOOR_Y_M, atol=2e-3)
    assert np.allclose(rings.mean(axis=(0, 1))[[0, 2]], hand.keypoints_m[:, [0, 2]].mean(axis=0))
    assert np.allclose(colours[0], THEME.background) and (np.diff(colours, axis=0) <= 0).all()
    high = replace(hand, keypoints_m=hand.keypoints_m - (0.0, 0.3, 0.0))
    assert marks.shadow_rings(high, THEME)[1][-1].sum() > colours[-1].sum(), "the higher, the fainter"
    below = replace(hand, keypoints_m=hand.keypoints_m + (0.0, 0.5, 0.0))
    assert np.allclose(marks.shadow_rings(below, THEME)[1], THEME.background), "none above the hand"
