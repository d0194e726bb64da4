"""Hands as skeletons with a skin, read by pygltflib and trimesh."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pygltflib
import pytest
import trimesh

from handdgp_core.export.glb_skinned import SkinnedHands
from handdgp_core.export.rig import rig
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.joint_frames import JOINTS, joint_frames
from handdgp_core.types import Hand
from tests.handdgp_core.export.glb_files import SkeletonPlayback
from tests.handdgp_core.export.moving_hands import moving_hand
from tests.open_hands import degenerate_hand, open_hand

OPENGL = np.diag([1.0, -1.0, -1.0])
FRAME_S = 0.033


def write(path: Path, make_frame, camera: Camera, *frames: list[Hand]) -> SkinnedHands:
    exporter = SkinnedHands(path)
    for number, hands in enumerate(frames):
        exporter.add(make_frame(100 + number), hands, camera)
    exporter.close()
    exporter.close()
    return exporter


def test_joints_are_where_they_were_found_and_skin_is_near_the_meshes(tmp_path: Path, make_frame, camera) -> None:
    rights = [moving_hand("right", number) for number in range(24)]
    lefts = [moving_hand("left", number) if 6 <= number < 18 else degenerate_hand("left") for number in range(24)]
    path = tmp_path / "hands-skinned.glb"
    exporter = write(path, make_frame, camera, *([right, left] for right, left in zip(rights, lefts, strict=True)))
    assert exporter.files == [path] and [file.name for file in tmp_path.iterdir()] == [path.name]
    for name, hands, frames in (("right hand", rights, range(24)), ("left hand", lefts, range(6, 18))):
        playback = SkeletonPlayback(path, name)
        errors = []
        for number in frames:
            expected = joint_frames(hands[number])
            joints = playback.joints(FRAME_S * number)
            assert list(joints) == list(JOINTS)
            for joint, matrix in enumerate(joints.values()):
                np.testing.assert_allclose(matrix[:3, 3], OPENGL @ expected.positions_m[joint], atol=1e-4)
                np.testing.assert_allclose(matrix[:3, :3], OPENGL @ expected.rotations[joint], atol=2e-3)
            skinned = playback.vertices_m(FRAME_S * number)
            errors.append(np.linalg.norm(skinned - hands[number].vertices_m @ OPENGL, axis=1))
        stated = playback.glb.nodes[playback.holder].extras
        assert stated["largest_vertex_error_mm"] == pytest.approx(1e3 * np.max(errors), abs=0.01)
        assert stated["rms_vertex_error_mm"] == pytest.approx(1e3 * np.sqrt(np.mean(np.square(errors))), abs=0.01)
        assert stated["rms_vertex_error_mm"] < 1.5
        shown = playback.curve(playback.holder, "scale")[1][:, 0]
        assert shown.tolist() == [float(number in frames) for number in range(24)]


def test_trimesh_puts_the_same_joints_there(tmp_path: Path, make_frame, camera) -> None:
    hand = moving_hand("right", 5)
    write(tmp_path / "a.glb", make_frame, camera, [hand])
    scene = trimesh.load(tmp_path / "a.glb")
    expected = joint_frames(hand).positions_m @ OPENGL
    for name, place in zip(JOINTS, expected, strict=True):
        matrix, _ = scene.graph.get(name)
        np.testing.assert_allclose(matrix[:3, 3], place, atol=1e-4)
    assert set(scene.geometry) == {"right hand"}


def test_a_hand_that_only_moves_is_exact_and_one_that_grows_nearly(tmp_path: Path) -> None:
    first = open_hand()
    grown = [
        1.1 ** (number / 4) * (points - first.root_m) + [0.01 * number, 0, 0.4]
        for number in range(5)
        for points in [np.concatenate([first.keypoints_m, first.vertices_m])]
    ]
    made = rig(np.stack([points[21:] for points in grown]), np.stack([points[:21] for points in grown]), "right")
    assert made.worst_error_m < 1.5e-4 and made.scales[-1] == pytest.approx(1.1, abs=1e-3)
    assert (made.weights >= 0).all()


def test_nothing_to_skin_makes_no_file(tmp_path: Path, make_frame, camera) -> None:
    assert write(tmp_path / "none.glb", make_frame, camera, [degenerate_hand()], []).files == []
    assert list(tmp_path.iterdir()) == []


def test_programs_find_what_the_specification_asks_for(tmp_path: Path, make_frame, camera) -> None:
    write(tmp_path / "a.glb", make_frame, camera, [moving_hand("left", 1)], [moving_hand("left", 2)])
    glb = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    (skin,) = glb.skins
    mesh_node = next(node for node in glb.nodes if node.skin is not None)
    roots = glb.scenes[0].nodes
    assert skin.skeleton in roots and glb.nodes.index(mesh_node) in roots
    assert glb.accessors[skin.inverseBindMatrices].type == "MAT4"
    assert glb.accessors[skin.inverseBindMatrices].count == len(skin.joints) == len(JOINTS)
