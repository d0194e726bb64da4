"""Hands in OpenUSD, read and posed by usd-core."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdSkel, UsdValidation

from handdgp_core.export.usd import JOINT_PATHS, UsdHands
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.joint_frames import JOINTS, joint_frames
from tests.handdgp_core.export.moving_hands import moving_hand
from tests.open_hands import degenerate_hand

OPENGL = np.diag([1.0, -1.0, -1.0])
FPS = 25.0
CODE = 0.033 * FPS  # of one frame


def write(path: Path, make_frame, camera: Camera, *frames) -> UsdHands:
    exporter = UsdHands(path, FPS)
    for number, hands in enumerate(frames):
        exporter.add(make_frame(number), hands, camera)
    exporter.close()
    exporter.close()
    return exporter


def skeleton_of(stage: Usd.Stage, name: str) -> tuple[UsdSkel.SkeletonQuery, UsdSkel.Cache]:
    cache, root = UsdSkel.Cache(), UsdSkel.Root(stage.GetPrimAtPath(f"/hands/{name}"))
    assert cache.Populate(root, Usd.PrimDefaultPredicate)
    return cache.GetSkelQuery(UsdSkel.Skeleton(stage.GetPrimAtPath(f"/hands/{name}/skeleton"))), cache


def test_usd_poses_joints_and_skin_where_they_were(tmp_path: Path, make_frame, camera: Camera) -> None:
    rights = [moving_hand("right", number) for number in range(12)]
    lefts = [moving_hand("left", number) if 3 <= number < 9 else degenerate_hand("left") for number in range(12)]
    path = tmp_path / "hands.usdc"
    exporter = write(path, make_frame, camera, *([right, left] for right, left in zip(rights, lefts, strict=True)))
    assert exporter.files == [path] and [file.name for file in tmp_path.iterdir()] == [path.name]
    stage = Usd.Stage.Open(str(path))
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0 and UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.y
    assert stage.GetTimeCodesPerSecond() == FPS and stage.GetEndTimeCode() == pytest.approx(11 * CODE)
    for name, hands, frames in (("right_hand", rights, range(12)), ("left_hand", lefts, range(3, 9))):
        query, _ = skeleton_of(stage, name)
        order = [JOINT_PATHS.index(str(joint)) for joint in query.GetJointOrder()]
        for number in frames:
            posed = np.array(query.ComputeJointWorldTransforms(UsdGeom.XformCache(number * CODE)))
            expected = joint_frames(hands[number])
            np.testing.assert_allclose(posed[:, 3, :3], (expected.positions_m @ OPENGL)[order], atol=1e-4)
            turned = np.swapaxes(OPENGL @ expected.rotations, -1, -2)[order]
            np.testing.assert_allclose(posed[:, :3, :3], turned, atol=2e-3)
        root = UsdGeom.Imageable(stage.GetPrimAtPath(f"/hands/{name}"))
        shown = [root.ComputeVisibility(number * CODE) != UsdGeom.Tokens.invisible for number in range(12)]
        assert shown == [number in frames for number in range(12)]
    _check_skin(stage, rights)


def _check_skin(stage: Usd.Stage, hands: list) -> None:
    """Skinning baked by USD itself."""
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/hands/right_hand/skin"))
    stated = mesh.GetPrim().GetCustomData()
    assert len(mesh.GetFaceVertexCountsAttr().Get()) == len(hands[0].faces)
    assert UsdSkel.BakeSkinning(UsdSkel.Root(stage.GetPrimAtPath("/hands/right_hand")), Gf.Interval.GetFullInterval())
    errors = [
        np.linalg.norm(np.array(mesh.GetPointsAttr().Get(number * CODE)) - hand.vertices_m @ OPENGL, axis=1)
        for number, hand in enumerate(hands)
    ]
    assert stated["largest_vertex_error_mm"] == pytest.approx(1e3 * np.max(errors), abs=0.02)
    assert stated["rms_vertex_error_mm"] < 1.5


def test_the_camera_sees_what_ours_does(tmp_path: Path, make_frame) -> None:
    camera = Camera(640, 480, np.array([[510.0, 0, 300.0], [0, 495.0, 250.0], [0, 0, 1]]))
    hand = moving_hand("right", 0)
    write(tmp_path / "a.usdc", make_frame, camera, [hand])
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    frustum = UsdGeom.Camera(stage.GetPrimAtPath("/hands/camera")).GetCamera(0).frustum
    seen = [frustum.ComputeViewMatrix().Transform(Gf.Vec3d(*(OPENGL @ point).tolist())) for point in hand.keypoints_m]
    ndc = np.array([frustum.ComputeProjectionMatrix().Transform(point) for point in seen])[:, :2]
    pixels = (ndc * [1, -1] + 1) / 2 * [640, 480] - 0.5
    np.testing.assert_allclose(pixels, camera.project(hand.keypoints_m), atol=1e-3)


def test_the_file_passes_usds_own_checks(tmp_path: Path, make_frame, camera: Camera) -> None:
    write(tmp_path / "a.usdc", make_frame, camera, [moving_hand("left", 0)], [moving_hand("left", 1)])
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    registry = UsdValidation.ValidationRegistry()
    faults = UsdValidation.ValidationContext(registry.GetOrLoadAllValidators()).Validate(stage)
    assert [fault.GetMessage() for fault in faults] == []
    assert len(JOINT_PATHS) == len(JOINTS) and "wrist/index_metacarpal/index_proximal" in JOINT_PATHS


def test_nothing_to_skin_makes_no_file(tmp_path: Path, make_frame, camera: Camera) -> None:
    assert write(tmp_path / "a.usdc", make_frame, camera, [degenerate_hand()]).files == []
    assert list(tmp_path.iterdir()) == []
