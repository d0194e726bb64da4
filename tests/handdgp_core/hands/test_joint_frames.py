"""Joint frames are proper, lie along the bones, mirror, and turn by the angle that a joint was bent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from handdgp_core.errors import ShapeError
from handdgp_core.hands.hand_features import ANGLES, PinchDetector, joint_angles_rad, openness, pinch_distance_m
from handdgp_core.hands.joint_frames import JOINTS, finger_joints, frames_from_keypoints, joint_frames
from handdgp_core.hands.keypoints import FINGERS
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand
from tests.handdgp_core.estimation.hands_for_tests import make_hand

OPEN = OpenHand.load()
MIRROR = np.diag([-1.0, 1.0, 1.0])
# As XR_EXT_hand_tracking numbers them.
OPENXR = {"palm": 0, "wrist": 1, "thumb metacarpal": 2, "thumb tip": 5, "index metacarpal": 6, "index tip": 10}
OPENXR |= {"middle tip": 15, "ring tip": 20, "little metacarpal": 21, "little tip": 25}


def posed(dof_rad: np.ndarray | None = None, rotation: np.ndarray | None = None) -> np.ndarray:
    """(21, 3) keypoints of a right open hand."""
    dof = np.zeros(OPEN.dof_count) if dof_rad is None else dof_rad
    turn = np.eye(3) if rotation is None else rotation
    pose = HandPose(turn[None], dof[None], np.zeros((1, len(OPEN.shape_basis))), np.ones(1))
    return OPEN.forward(pose)[1][0]


def any_pose(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    low, high = OPEN.dof_limits_rad.T
    return posed(random.uniform(low, high), Rotation.random(rng=random).as_matrix())


def bent(finger: str, joint: str, motion: str, angle_deg: float) -> np.ndarray:
    dof = np.zeros(OPEN.dof_count)
    dof[OPEN.dof_names.index(f"{finger} {joint} {motion}")] = np.radians(angle_deg)
    return posed(dof)


def test_joints_are_numbered_as_openxr_does() -> None:
    assert len(JOINTS) == 26
    assert {name: JOINTS.index(name) for name in OPENXR} == OPENXR


@given(st.integers(0, 10_000), st.sampled_from(["left", "right"]))
def test_frames_are_proper_rotations_along_the_bones(seed: int, side: str) -> None:
    keypoints = any_pose(seed) @ (np.eye(3) if side == "right" else MIRROR)
    positions, rotations = frames_from_keypoints(keypoints, side)
    np.testing.assert_allclose(rotations @ np.swapaxes(rotations, -1, -2), np.tile(np.eye(3), (26, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-9)
    for finger, chain in FINGERS.items():
        joints = finger_joints(finger)
        np.testing.assert_allclose(positions[joints[-len(chain) :]], keypoints[list(chain)])
        along = positions[joints[:-1]] - positions[joints[1:]]
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        np.testing.assert_allclose(rotations[joints[:-1], :, 2], along, atol=1e-9)
        np.testing.assert_array_equal(rotations[joints[-1]], rotations[joints[-2]])


@given(st.integers(0, 10_000))
def test_a_mirrored_hand_has_mirrored_frames(seed: int) -> None:
    keypoints = any_pose(seed)
    positions, rotations = frames_from_keypoints(keypoints, "right")
    mirrored_positions, mirrored_rotations = frames_from_keypoints(keypoints @ MIRROR, "left")
    np.testing.assert_allclose(mirrored_positions, positions @ MIRROR, atol=1e-12)
    np.testing.assert_allclose(mirrored_rotations, MIRROR @ rotations @ MIRROR, atol=1e-9)


@given(st.integers(0, 10_000))
def test_a_moved_hand_has_moved_frames(seed: int) -> None:
    keypoints, turn = any_pose(seed), Rotation.random(rng=np.random.default_rng(seed + 1)).as_matrix()
    positions, rotations = frames_from_keypoints(keypoints, "right")
    moved_positions, moved_rotations = frames_from_keypoints(keypoints @ turn.T + (0.1, -0.2, 0.5), "right")
    np.testing.assert_allclose(moved_positions, positions @ turn.T + (0.1, -0.2, 0.5), atol=1e-12)
    np.testing.assert_allclose(moved_rotations, turn @ rotations, atol=1e-9)


def test_the_back_of_the_hand_is_up_and_fingers_bend_away_from_it() -> None:
    straight, rotations = frames_from_keypoints(posed(), "right")
    back = rotations[JOINTS.index("wrist"), :, 1]
    for finger in list(FINGERS)[1:]:
        curled, _ = frames_from_keypoints(bent(finger, "MCP", "flexion", 60), "right")
        tip = finger_joints(finger)[-1]
        assert (curled[tip] - straight[tip]) @ back < -0.02


@pytest.mark.parametrize("finger", list(FINGERS))
@pytest.mark.parametrize("degrees", [-8.0, 10.0, 35.0, 60.0])
def test_a_bent_joint_has_that_much_more_flexion(finger: str, degrees: float) -> None:
    for joint in ("MCP", "IP") if finger == "thumb" else ("MCP", "PIP", "DIP"):
        name = f"{finger} {joint} flexion"
        start, end = (
            joint_angles_rad(frames_from_keypoints(bent(finger, joint, "flexion", angle), "right")[1], "right")
            for angle in (0.0, degrees)
        )
        change_deg = np.degrees(end - start)
        # The open hand's own axes differ a little from those that its keypoints alone tell.
        assert change_deg[ANGLES.index(name)] == pytest.approx(degrees, abs=0.06 * abs(degrees) + 0.3)


@pytest.mark.parametrize("finger", list(FINGERS)[1:])
def test_a_spread_finger_goes_to_the_side_that_its_sign_says(finger: str) -> None:
    name = f"{finger} MCP abduction"
    right = posed()
    toward_thumb = right[FINGERS["thumb"][1]] - right[FINGERS["little"][0]]
    for degrees in (-12.0, 12.0):
        moved = bent(finger, "MCP", "abduction", degrees)
        for points, still, side in ((moved, right, "right"), (moved @ MIRROR, right @ MIRROR, "left")):
            end, start = (joint_angles_rad(frames_from_keypoints(k, side)[1], side) for k in (points, still))
            change = (end - start)[ANGLES.index(name)]
            assert abs(np.degrees(change)) == pytest.approx(12, abs=1.5)
            tip = FINGERS[finger][-1]
            assert np.sign(change) == np.sign((moved[tip] - right[tip]) @ toward_thumb)


def test_openness_runs_from_a_fist_to_a_flat_hand() -> None:
    flat = openness(joint_angles_rad(frames_from_keypoints(posed(), "right")[1], "right"))
    dof = np.where(["flexion" in name for name in OPEN.dof_names], OPEN.dof_limits_rad[:, 1], 0.0)
    fist = openness(joint_angles_rad(frames_from_keypoints(posed(dof), "right")[1], "right"))
    assert flat > 0.75 and fist < 0.1


def test_a_batch_is_its_hands_one_by_one() -> None:
    many = np.stack([any_pose(seed) for seed in range(6)]).reshape(2, 3, 21, 3)
    positions, rotations = frames_from_keypoints(many, "right")
    assert positions.shape == (2, 3, 26, 3) and rotations.shape == (2, 3, 26, 3, 3)
    np.testing.assert_allclose(rotations[1, 2], frames_from_keypoints(many[1, 2], "right")[1], atol=1e-12)
    np.testing.assert_allclose(pinch_distance_m(many)[0, 1], np.linalg.norm(many[0, 1, 4] - many[0, 1, 8]))


def test_keypoints_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match="21"):
        frames_from_keypoints(np.zeros((20, 3)), "right")


def test_a_hand_has_radii_from_its_mesh_and_a_degenerate_one_has_no_valid_joint() -> None:
    turn = Rotation.from_euler("x", 20, degrees=True).as_matrix()
    pose = HandPose(turn[None], np.zeros((1, OPEN.dof_count)), np.zeros((1, len(OPEN.shape_basis))), np.ones(1))
    place = np.array([0.0, 0.0, 0.5])
    vertices, keypoints = (points[0] + place for points in OPEN.forward(pose))
    hand = replace(make_hand(), handedness="right", vertices_m=vertices, keypoints_m=keypoints)
    found = joint_frames(hand)
    assert found.is_valid.all()
    assert ((found.radii_m > 0.003) & (found.radii_m < 0.025)).all()
    lost = joint_frames(replace(hand, keypoints_m=np.full((21, 3), np.nan), vertices_m=np.full((9, 3), np.nan)))
    assert not lost.is_valid.any() and np.isnan(lost.positions_m).all() and np.isnan(lost.radii_m).all()


def test_a_straight_line_of_keypoints_is_flagged_and_gives_no_rotation() -> None:
    line = np.zeros((21, 3))
    line[:, 2] = np.linspace(0.4, 0.6, 21)
    _, rotations = frames_from_keypoints(line, "right")
    assert np.isnan(rotations).any(axis=(-2, -1)).all()


def test_a_pinch_does_not_flicker_between_its_two_distances() -> None:
    detector = PinchDetector(0.02, 0.035)
    states = [detector.update(1, distance) for distance in (0.05, 0.03, 0.019, 0.03, 0.034, 0.036, 0.03)]
    assert states == [False, False, True, True, True, False, False]
    assert detector.update(2, 0.01) and not detector.update(2, float("nan"))
    detector.update(3, 0.01)
    detector.forget_all_but({1})
    assert not detector.update(3, 0.03)
