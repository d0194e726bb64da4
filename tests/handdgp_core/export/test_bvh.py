"""Skeletons as BVH, read and posed by bvhio."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bvhio
import numpy as np
import pytest

from handdgp_core.export.bvh import BvhFolder
from handdgp_core.hands.joint_frames import JOINTS, joint_frames
from handdgp_core.types import Frame, Hand
from tests.open_hands import degenerate_hand, open_hand

OPENGL = np.diag([1.0, -1.0, -1.0])
IMAGE = np.zeros((8, 8, 3), np.uint8)


def write(folder: Path, *frames: tuple[Hand, ...]) -> list[Path]:
    exporter = BvhFolder(folder)
    for index, hands in enumerate(frames):
        exporter.add(Frame(IMAGE, index * 40_000_000, index), hands)
    exporter.close()
    exporter.close()
    assert sorted(exporter.files) == sorted(folder.glob("*.bvh"))
    return exporter.files


def posed(path: Path, frame: int) -> dict[str, np.ndarray]:
    root = bvhio.readAsHierarchy(str(path))
    root.loadPose(frame)
    return {joint.Name: np.array(joint.PositionWorld) / 100 @ OPENGL for joint, _, _ in root.layout()}


@pytest.mark.parametrize("side", ["right", "left"])
def test_another_program_puts_every_joint_where_it_is(side: str, tmp_path: Path) -> None:
    hands = [
        open_hand(side, (0.03 * step, -0.05, 0.45 + 0.05 * step), index_MCP_flexion=25.0 * step, thumb_MCP_flexion=10.0)
        for step in range(3)
    ]
    (path,) = write(tmp_path / "bvh", *((hand,) for hand in hands))
    assert path.name == f"{side}_track{hands[0].track_id}_frame000000.bvh"
    for step, hand in enumerate(hands):
        expected = joint_frames(hand).positions_m
        found = posed(path, step)
        for number, name in enumerate(JOINTS):
            if name != "palm" and not name.endswith("tip"):
                np.testing.assert_allclose(found[name.replace(" ", "_")], expected[number], atol=2e-4, err_msg=name)
    assert "Frame Time: 0.040000" in path.read_text()


def test_tips_are_end_sites_at_the_length_of_the_bone(tmp_path: Path) -> None:
    hand = open_hand()
    (path,) = write(tmp_path, (hand,))
    text = path.read_text()
    assert text.count("End Site") == 5
    after = text[text.index("JOINT index_distal") :]
    offset = [float(value) for value in after[after.index("End Site") :].split("OFFSET ")[1].split("\n")[0].split()]
    joints = joint_frames(hand).positions_m
    length_cm = 100 * np.linalg.norm(joints[JOINTS.index("index tip")] - joints[JOINTS.index("index distal")])
    np.testing.assert_allclose(offset, [0, 0, -length_cm], atol=1e-4)


def test_a_gap_begins_a_new_file_and_two_hands_have_their_own(tmp_path: Path) -> None:
    right, left = open_hand("right"), open_hand("left")
    names = [path.name for path in write(tmp_path, (right, left), (left,), (right, left), (right, degenerate_hand()))]
    assert sorted(names) == [
        "left_track2_frame000000.bvh",
        "right_track1_frame000000.bvh",
        "right_track1_frame000002.bvh",
    ]
    assert "Frames: 3" in (tmp_path / "left_track2_frame000000.bvh").read_text()


def test_without_a_hand_there_is_no_file(tmp_path: Path) -> None:
    assert write(tmp_path / "none", (), (degenerate_hand(),)) == [] and not (tmp_path / "none").exists()
    unknown = replace(open_hand(), keypoints_m=np.full((21, 3), 0.3))
    assert write(tmp_path / "none", (unknown,)) == []
