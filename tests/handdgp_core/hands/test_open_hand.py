"""The open hand model: the asset, its skinning against a slow twin, its keypoint Jacobian, what a joint moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from handdgp_core.errors import AssetError, ShapeError
from handdgp_core.hands.keypoints import FINGERS, NAMES
from handdgp_core.hands.measure import hand_length_m
from handdgp_core.hands.open_hand.open_hand import DEFAULT_PATH, HandPose, OpenHand, mirrored

HAND = OpenHand.load()
SEEDS = st.integers(0, 2**32 - 1)


def random_pose(seed: int, hands: int = 1) -> HandPose:
    draw = np.random.default_rng(seed)
    low, high = HAND.dof_limits_rad.T
    return HandPose(
        rotation=Rotation.random(hands, rng=draw).as_matrix(),
        dof_rad=draw.uniform(low, high, (hands, HAND.dof_count)),
        shape=draw.normal(0, 1, (hands, HAND.shape_count)),
        scale=draw.uniform(0.8, 1.2, hands),
    )


def posed_by_name(**degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and keypoints of the mean hand with some joints turned from rest, e.g. index_MCP_flexion=40."""
    pose = HAND.neutral_pose()
    for name, angle in degrees.items():
        pose.dof_rad[0, HAND.dof_names.index(name.replace("_", " "))] = np.radians(angle)
    vertices, keypoints = HAND.forward(pose)
    return vertices[0], keypoints[0]


def slow_forward(pose: HandPose, hand: int) -> np.ndarray:
    """The model's definition, bone by bone and vertex by vertex."""
    rest = HAND.vertices + sum(a * mode for a, mode in zip(pose.shape[hand], HAND.shape_basis, strict=True))
    heads = HAND.bone_heads + sum(a * mode for a, mode in zip(pose.shape[hand], HAND.bone_head_basis, strict=True))
    world = []
    for bone, parent in enumerate(HAND.bone_parents):
        turn = np.eye(3)
        for dof in np.flatnonzero(HAND.dof_bone == bone):
            turn = turn @ Rotation.from_rotvec(HAND.dof_axis[dof] * pose.dof_rad[hand, dof]).as_matrix()
        local = np.eye(4)
        local[:3, :3], local[:3, 3] = turn, heads[bone] - turn @ heads[bone]
        world.append(local if parent < 0 else world[parent] @ local)
    vertices = np.zeros_like(rest)
    for v, point in enumerate(rest):
        for bone in np.flatnonzero(HAND.skinning_weights[v]):
            vertices[v] += HAND.skinning_weights[v, bone] * (world[bone] @ np.append(point, 1.0))[:3]
    vertices -= HAND.keypoint_regressor[0] @ vertices
    return pose.scale[hand] * vertices @ pose.rotation[hand].T


def winding_numbers(points: np.ndarray) -> np.ndarray:
    """Generalised winding number of the mesh at points (N, 3): near 1 inside, near 0 outside (solid angles summed)."""
    a, b, c = (HAND.vertices[HAND.faces[:, n]][None] - points[:, None] for n in range(3))
    la, lb, lc = (np.linalg.norm(side, axis=-1) for side in (a, b, c))
    volume = (a * np.cross(b, c)).sum(-1)
    cosine = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return 2 * np.arctan2(volume, cosine).sum(axis=1) / (4 * np.pi)


def test_asset_is_what_the_loader_promises() -> None:
    assert HAND.vertices.shape == (1609, 3)
    assert HAND.dof_count == 24
    assert DEFAULT_PATH.stat().st_size < 3e6
    np.testing.assert_allclose(HAND.skinning_weights.sum(axis=1), 1, atol=1e-6)
    assert (HAND.skinning_weights >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(HAND.dof_axis, axis=1), 1, atol=1e-6)
    frames = HAND.bone_frames
    np.testing.assert_allclose(frames @ np.swapaxes(frames, 1, 2), np.broadcast_to(np.eye(3), frames.shape), atol=1e-5)
    assert (np.diff(HAND.dof_bone) >= 0).all(), "a parent bone's turns must come before its children's"
    assert len(set(HAND.dof_names)) == HAND.dof_count
    assert "CC0" in HAND.provenance and "Apache-2.0" in HAND.provenance


def test_regressor_is_local_and_its_keypoints_lie_inside_the_hand() -> None:
    regressor = HAND.keypoint_regressor
    np.testing.assert_allclose(regressor.sum(axis=1), 1, atol=1e-6)
    assert np.abs(regressor).sum(axis=1).max() < 3.5, "large weights of both signs would amplify noise"
    assert np.sqrt((regressor**2).sum(axis=1)).max() < 0.4, "independent noise on vertices must average out"
    distance = np.linalg.norm(HAND.vertices[None] - HAND.keypoints[:, None], axis=-1)
    assert distance[regressor != 0].max() < 0.033
    for name, number in zip(NAMES, winding_numbers(HAND.keypoints), strict=True):
        assert number > 0.5, f"{name} lies outside the hand"
    assert winding_numbers(HAND.keypoints + [0, 0, 0.1]).max() < 0.1


def test_mesh_is_closed_but_for_one_ring_at_the_wrist_and_faces_outwards() -> None:
    mesh = trimesh.Trimesh(HAND.vertices, HAND.faces, process=False)
    assert mesh.is_winding_consistent
    edges = mesh.edges_sorted
    unique, count = np.unique(edges, axis=0, return_counts=True)
    assert count.max() == 2
    ring = unique[count == 1]
    assert len(trimesh.graph.connected_components(ring)) == 1
    assert HAND.vertices[np.unique(ring), 1].max() < HAND.keypoints[0, 1], "the opening lies behind the wrist keypoint"
    assert len(trimesh.graph.connected_components(edges)) == 1
    centre = HAND.vertices[np.unique(ring)].mean(axis=0)
    assert trimesh.Trimesh(HAND.vertices - centre, HAND.faces, process=False).volume > 1e-4


def test_left_hand_mirrors_vertices_and_turns_faces() -> None:
    left = mirrored(HAND.vertices)
    centre = left[:20].mean(axis=0)
    assert trimesh.Trimesh(left - centre, HAND.faces_for("left"), process=False).volume > 1e-4
    assert trimesh.Trimesh(left - centre, HAND.faces_for("right"), process=False).volume < -1e-4
    np.testing.assert_array_equal(mirrored(left), HAND.vertices)
    assert HAND.keypoints[FINGERS["thumb"][-1], 0] > 0.03, "a right hand has its thumb at +x"


def test_rest_frame_follows_the_conventions() -> None:
    keypoints = HAND.keypoints
    np.testing.assert_allclose(keypoints[0], 0, atol=1e-7)
    middle = keypoints[FINGERS["middle"][0]]
    np.testing.assert_allclose(middle / np.linalg.norm(middle), [0, 1, 0], atol=0.02)
    assert keypoints[FINGERS["index"][0], 0] > keypoints[FINGERS["little"][0], 0]


def test_no_angle_gives_the_rest_pose() -> None:
    vertices, keypoints = HAND.forward(HAND.neutral_pose())
    np.testing.assert_allclose(vertices[0], HAND.vertices, atol=1e-7)
    np.testing.assert_allclose(keypoints[0], HAND.keypoints, atol=1e-7)


@settings(max_examples=3, deadline=None)
@given(SEEDS)
def test_forward_equals_its_slow_twin(seed: int) -> None:
    pose = random_pose(seed, hands=2)
    vertices, keypoints = HAND.forward(pose)
    for hand in range(2):
        np.testing.assert_allclose(vertices[hand], slow_forward(pose, hand), atol=1e-7)
    np.testing.assert_allclose(keypoints, HAND.keypoint_regressor @ vertices, atol=1e-12)
    np.testing.assert_allclose(keypoints[:, 0], 0, atol=1e-7)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_quick_keypoints_equal_those_of_the_mesh(seed: int) -> None:
    pose = random_pose(seed, hands=3)
    quick, _ = HAND.keypoints_and_jacobian(pose.dof_rad, pose.shape, pose.scale)
    _, keypoints = HAND.forward(pose)
    np.testing.assert_allclose(quick @ np.swapaxes(pose.rotation, 1, 2), keypoints, atol=1e-7)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_jacobian_equals_finite_differences(seed: int) -> None:
    pose = random_pose(seed, hands=2)
    x = np.concatenate([pose.dof_rad, pose.shape, pose.scale[:, None]], axis=1)

    def keypoints(values: np.ndarray) -> np.ndarray:
        dofs = HAND.dof_count
        return HAND.keypoints_and_jacobian(values[:, :dofs], values[:, dofs:-1], values[:, -1])[0]

    _, jacobian = HAND.keypoints_and_jacobian(pose.dof_rad, pose.shape, pose.scale)
    steps = 1e-6 * np.eye(x.shape[1])
    numeric = np.stack([(keypoints(x + step) - keypoints(x - step)) / 2e-6 for step in steps], axis=-1)
    np.testing.assert_allclose(jacobian, numeric, atol=1e-7)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_a_batch_equals_its_hands_one_by_one(seed: int) -> None:
    pose = random_pose(seed, hands=4)
    together, _ = HAND.forward(pose)
    for n in range(4):
        one = HandPose(*(field[n : n + 1] for field in (pose.rotation, pose.dof_rad, pose.shape, pose.scale)))
        np.testing.assert_allclose(HAND.forward(one)[0][0], together[n], atol=1e-12)


@pytest.mark.parametrize("finger", ["index", "middle", "ring", "little"])
@pytest.mark.parametrize("joint", ["MCP", "PIP", "DIP"])
def test_flexion_moves_one_finger_towards_the_palm(finger: str, joint: str) -> None:
    _, keypoints = posed_by_name(**{f"{finger}_{joint}_flexion": 40.0})
    shift = keypoints - HAND.keypoints
    tip = FINGERS[finger][-1]
    assert shift[tip, 2] > 0.006
    others = [k for name, chain in FINGERS.items() if name != finger for k in chain]
    assert np.abs(shift[others]).max() < 0.002


def test_thumb_flexion_brings_its_tip_across_the_palm() -> None:
    for joint in ("CMC", "MCP", "IP"):
        _, keypoints = posed_by_name(**{f"thumb_{joint}_flexion": 35.0})
        shift = keypoints - HAND.keypoints
        assert shift[4, 0] < -0.005, joint
        assert np.abs(shift[5:]).max() < 0.002
    _, keypoints = posed_by_name(thumb_CMC_abduction=25.0)
    assert keypoints[4, 2] - HAND.keypoints[4, 2] > 0.01, "abduction leads the thumb out of the palm plane"


@pytest.mark.parametrize("finger", ["index", "middle", "ring", "little"])
def test_thumb_can_touch_every_finger_tip(finger: str) -> None:
    """Opposition within the limits: the pads meet, so the tip keypoints come within 2 cm."""
    tip, low, high = FINGERS[finger][-1], *HAND.dof_limits_rad.T
    shape, scale = np.zeros((1, HAND.shape_count)), np.ones(1)

    def gap(dof: np.ndarray) -> np.ndarray:
        keypoints, _ = HAND.keypoints_and_jacobian(dof[None], shape, scale)
        return keypoints[0, tip] - keypoints[0, 4]

    start = np.clip(HAND.dof_mean_rad, low + 1e-3, high - 1e-3)
    assert np.linalg.norm(gap(least_squares(gap, start, bounds=(low, high)).x)) < 0.02


def test_abduction_spreads_the_fingers() -> None:
    signs = {"index": 1, "middle": 1, "ring": -1, "little": -1}
    for finger, towards_thumb in signs.items():
        _, keypoints = posed_by_name(**{f"{finger}_MCP_abduction": 10.0})
        assert towards_thumb * (keypoints - HAND.keypoints)[FINGERS[finger][-1], 0] > 0.005


def test_bones_keep_their_length_in_every_pose() -> None:
    """The pivots are the keypoints, so bending must not stretch a phalanx."""
    pose = random_pose(3, hands=50)
    keypoints, _ = HAND.keypoints_and_jacobian(pose.dof_rad, np.zeros_like(pose.shape), np.ones(50))
    for chain in FINGERS.values():
        rest = np.linalg.norm(np.diff(HAND.keypoints[list(chain)], axis=0), axis=1)
        posed = np.linalg.norm(np.diff(keypoints[:, list(chain)], axis=1), axis=2)
        assert np.abs(posed - rest).max() < 0.001


def test_limits_are_sane() -> None:
    low, high = HAND.dof_limits_rad.T
    assert (low <= 0).all() and (high >= 0).all(), "the rest pose must be within the limits"
    assert (high - low < np.radians(135)).all() and (high - low > np.radians(5)).all()
    assert ((HAND.dof_mean_rad >= low) & (HAND.dof_mean_rad <= high)).all()
    assert (HAND.dof_sd_rad > 0).all()
    np.testing.assert_array_equal(HAND.clamped(np.full(HAND.dof_count, 9.0)), high)


def test_size_is_apart_from_shape() -> None:
    """Scale alone says how long the hand is: no shape mode changes the length of the chain by more than 1 %."""
    pose = HAND.neutral_pose(2 * HAND.shape_count)
    shape = np.concatenate([np.eye(HAND.shape_count), -np.eye(HAND.shape_count)])
    keypoints, _ = HAND.keypoints_and_jacobian(pose.dof_rad, shape, pose.scale)
    rest = hand_length_m(HAND.keypoints)
    np.testing.assert_allclose(hand_length_m(keypoints), rest, rtol=0.01)
    assert 0.165 < rest < 0.185 and 0.18 < HAND.hand_length_mean_m < 0.185


def test_labels_agree_with_the_fingers() -> None:
    for number, (finger, chain) in enumerate(FINGERS.items(), start=1):
        tip = HAND.keypoints[chain[-1]]
        nearest = np.linalg.norm(HAND.vertices - tip, axis=1).argsort()[:20]
        assert (HAND.vertex_finger[nearest] == number).all(), finger
        nails = HAND.faces[HAND.face_is_nail]
        own = HAND.vertices[nails[(HAND.vertex_finger[nails] == number).all(axis=1)]].mean(axis=1)
        assert len(own) > 4, finger
        assert np.linalg.norm(own - tip, axis=1).max() < 0.02


def test_wrong_shapes_are_refused() -> None:
    pose = HAND.neutral_pose(2)
    with pytest.raises(ShapeError, match=r"\(2, 24\)"):
        HAND.keypoints_and_jacobian(pose.dof_rad[:, :-1], pose.shape, pose.scale)
    with pytest.raises(ShapeError):
        HAND.forward(HandPose(pose.rotation, pose.dof_rad, pose.shape[:1], pose.scale))
    with pytest.raises(ShapeError, match="rotation"):
        HAND.forward(HandPose(np.eye(3), pose.dof_rad, pose.shape, pose.scale))


def test_missing_and_damaged_assets_name_the_cure(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="build_open_hand"):
        OpenHand.load(tmp_path / "nowhere.npz")
    whole = DEFAULT_PATH.read_bytes()
    for name, content in {"empty": b"", "cut": whole[: len(whole) // 2], "text": b"not an archive"}.items():
        file = tmp_path / f"{name}.npz"
        file.write_bytes(content)
        with pytest.raises(AssetError, match="cannot be read"):
            OpenHand.load(file)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    (tmp_path / "flipped.npz").write_bytes(flipped)
    with pytest.raises(AssetError, match="cannot be read"):
        OpenHand.load(tmp_path / "flipped.npz")


def test_assets_of_another_layout_say_what_is_wrong(tmp_path: Path) -> None:
    with np.load(DEFAULT_PATH) as asset:
        arrays = dict(asset)

    def refused(message: str, **changes: np.ndarray | None) -> None:
        changed = {key: value for key, value in {**arrays, **changes}.items() if value is not None}
        np.savez(tmp_path / "changed.npz", **changed)
        with pytest.raises(AssetError, match=message):
            OpenHand.load(tmp_path / "changed.npz")

    holes = arrays["vertices"].copy()
    holes[7] = np.nan
    refused("vertices must be finite numbers", vertices=holes)
    refused("has no dof_axis", dof_axis=None)
    refused("skinning_weights must be of shape", skinning_weights=arrays["skinning_weights"][:-1])
    refused("faces must be between", faces=arrays["faces"] + 1)
    refused("parents before children", bone_parents=arrays["bone_parents"][::-1].copy())
    refused("dof_bone must be between", dof_bone=arrays["dof_bone"] + 9)
    refused("vertices must be numbers", vertices=arrays["vertices"].astype("U9"))
