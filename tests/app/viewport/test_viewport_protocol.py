"""What goes through shared memory comes out the same, and what does not fit is refused."""

from dataclasses import replace

import numpy as np
import pytest

from app.viewport.orbit import HOME
from app.viewport.protocol import (
    BLOCK_BYTES,
    MAX_HANDS,
    MAX_PIXELS,
    MAX_VERTICES,
    TRAIL_POINTS,
    RenderBlock,
    RenderRequest,
    SceneState,
    ViewOptions,
    topology_id,
)
from handdgp_core.errors import ShapeError
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Hand


@pytest.fixture(scope="module")
def block():
    return RenderBlock(bytearray(BLOCK_BYTES))


def same(one, other):
    return (one is None and other is None) or np.allclose(one, other, atol=1e-6, equal_nan=True)


def test_a_request_survives_the_trip(block, scene, hand):
    left = replace(
        hand, side="left", raw_root_m=np.ones(3), truth_root_m=np.full(3, 0.5), trail_m=np.ones((5, 4)), track_id=3
    )
    sent = RenderRequest(
        replace(scene, hands=(hand, left)), HOME.orbited(30, 40, 480), ViewOptions(trail=False), 320, 200, "light", 1.5
    )
    got = block.read_request(block.write_request(sent))
    assert (got.orbit, got.options, got.width, got.height, got.theme, got.pixel_ratio) == (
        (sent.orbit, sent.options, 320, 200, "light", 1.5)
    )
    assert got.scene.camera == scene.camera and got.scene.stamp_ns == scene.stamp_ns
    for before, after in zip(sent.scene.hands, got.scene.hands, strict=True):
        assert (after.side, after.track_id) == (before.side, before.track_id)
        for name in ("vertices_m", "keypoints_m", "weights", "root_m", "root_covariance_m2", "raw_root_m"):
            assert same(getattr(before, name), getattr(after, name)), name
        assert same(before.truth_root_m, after.truth_root_m) and same(before.trail_m, after.trail_m)
        assert np.array_equal(before.faces, after.faces)


def test_the_picture_does_not_overlap_the_hands(block, scene):
    message = block.write_request(RenderRequest(scene, HOME, ViewOptions(), 64, 64))
    block.picture(2560, 1440)[:] = 255
    got = block.read_request(message)
    assert same(got.scene.hands[0].vertices_m, scene.hands[0].vertices_m)
    assert block.picture(2560, 1440).min() == 255


def test_a_long_trail_keeps_its_newest_points(block, scene, hand):
    trail = np.arange(4.0 * (TRAIL_POINTS + 10)).reshape(-1, 4)
    request = RenderRequest(replace(scene, hands=(replace(hand, trail_m=trail),)), HOME, ViewOptions(), 64, 64)
    got = block.read_request(block.write_request(request))
    assert np.array_equal(got.scene.hands[0].trail_m, trail[-TRAIL_POINTS:])


@pytest.mark.parametrize(
    "change",
    [
        {"vertices_m": np.zeros((MAX_VERTICES + 1, 3))},
        {"keypoints_m": np.zeros((20, 3))},
        {"weights": np.zeros((5,))},
        {"vertices_m": np.zeros((10, 2))},
    ],
)
def test_arrays_that_do_not_fit_are_refused(block, scene, hand, change):
    request = RenderRequest(replace(scene, hands=(replace(hand, **change),)), HOME, ViewOptions(), 64, 64)
    with pytest.raises(ShapeError):
        block.write_request(request)


def test_too_many_hands_or_pixels_are_refused(block, scene, hand):
    with pytest.raises(ShapeError):
        block.write_request(RenderRequest(replace(scene, hands=(hand,) * (MAX_HANDS + 1)), HOME, ViewOptions(), 64, 64))
    with pytest.raises(ShapeError):
        block.write_request(RenderRequest(scene, HOME, ViewOptions(), MAX_PIXELS, 2))


def test_topology_changes_with_the_triangles(hand):
    assert topology_id(hand.faces) == topology_id(hand.faces.copy())
    assert topology_id(hand.faces) != topology_id(hand.faces[:, ::-1])


def estimated(hand, **change):
    fields = {
        "handedness": "right", "score": 0.9, "vertices_m": hand.vertices_m, "keypoints_m": hand.keypoints_m,
        "keypoints_px": np.zeros((21, 2)), "weights": hand.weights, "root_m": hand.root_m,
        "root_covariance_m2": hand.root_covariance_m2, "hand_scale": 1.0, "faces": hand.faces,
    }  # fmt: skip
    return Hand(**{**fields, **change})


def test_scene_of_solved_hands(hand):
    camera = Camera(width=640, height=480, matrix=np.array([[500.0, 0, 320], [0, 510.0, 240], [0, 0, 1]]))
    truth = np.array([0.0, 0.0, 0.42])
    lost = estimated(hand, handedness="left", root_m=np.full(3, np.nan), degenerate="too few valid weights")
    state = SceneState.from_hands([lost, estimated(hand)], camera, 7, truth_roots_m=(None, truth))
    assert len(state.hands) == 1 and state.hands[0].side == "right"
    assert np.array_equal(state.hands[0].truth_root_m, truth)
    assert state.hands[0].distance_m == pytest.approx(0.4, abs=0.01)  # the palm is 40 cm away
    assert state.camera.pinhole_px == (500.0, 510.0, 320.0, 240.0)
    assert state.note == "Left hand has no position: too few valid weights"


def test_a_mesh_that_is_not_finite_is_skipped(hand):
    broken = hand.vertices_m.copy()
    broken[3, 1] = np.nan
    state = SceneState.from_hands([estimated(hand, vertices_m=broken)], None, 7)
    assert state.hands == () and state.camera is None and "not finite" in state.note
