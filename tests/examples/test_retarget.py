"""The example that moves a robot's hand, with dex-retargeting."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handdgp_core.hands.joint_frames import JOINTS, joint_frames
from handdgp_core.sessions import RecordedHands, SessionInfo, SessionWriter
from tests.examples.robot_hands import write_allegro, write_shadow
from tests.handdgp_core.sessions.conftest import CAMERA, OPTIONS, make_frame
from tests.open_hands import open_hand

pytest.importorskip("dex_retargeting", reason="the extra `retarget` is not installed")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def retarget() -> ModuleType:
    spec = importlib.util.spec_from_file_location("retarget_example", ROOT / "examples" / "retarget.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def urdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("robots")
    for side in ("right", "left"):
        write_allegro(folder, side)
        write_shadow(folder, side)
    return folder


def settled(retargeter, hand) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """After the filter of the library has come to rest."""
    for _ in range(40):
        place, turn, angles = retargeter.follow(hand)
    return place, turn, dict(zip(retargeter.joint_names, angles, strict=True))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("robot", ["allegro", "shadow"])
def test_a_bent_finger_bends_the_robots(retarget, urdf: Path, side, robot) -> None:
    retargeter = retarget.Retargeter(str(urdf), robot, side)
    names, others = ["FFJ3", "FFJ2", "FFJ1"], ["RFJ3", "RFJ2", "RFJ1"]
    if robot == "allegro":  # its fingers are numbered across the palm, from the same side for either hand
        names, others = ([f"joint_{base + number}.0" for number in range(3)] for base in (1, 9))
        names, others = (names, others) if side == "right" else (others, names)
    _, _, straight = settled(retargeter, open_hand(side))
    bent_hand = open_hand(side, index_MCP_flexion=50.0, index_PIP_flexion=50.0)
    _, _, bent = settled(retargeter, bent_hand)
    change = [sum(bent[name] - straight[name] for name in chain) for chain in (names, others)]
    assert change[0] > 0.8 and abs(change[1]) < 0.25 * change[0]


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_wrists_pose_is_ours_in_the_robots_axes(retarget, urdf: Path, side) -> None:
    from dex_retargeting.constants import OPERATOR2MANO_LEFT, OPERATOR2MANO_RIGHT

    hand = open_hand(side)
    place, turn, _ = settled(retarget.Retargeter(str(urdf), "allegro", side), hand)
    np.testing.assert_allclose(place, hand.keypoints_m[0])
    rotation = Rotation.from_quat(turn).as_matrix()
    to_fingers = hand.keypoints_m[9] - hand.keypoints_m[0]
    np.testing.assert_allclose(rotation[:, 2], to_fingers / np.linalg.norm(to_fingers), atol=1e-6)
    ours = joint_frames(hand).rotations[JOINTS.index("wrist")]
    np.testing.assert_allclose(rotation[:, 0], -ours[:, 1], atol=1e-6)  # out of the palm
    # The library's own words for these axes: its palm frame has x from the fingers, z towards the index finger.
    towards_index = -ours[:, 0] if side == "right" else ours[:, 0]
    palm = np.stack([ours[:, 2], np.cross(towards_index, ours[:, 2]), towards_index], axis=-1)
    np.testing.assert_allclose(
        rotation, palm @ (OPERATOR2MANO_RIGHT if side == "right" else OPERATOR2MANO_LEFT), atol=1e-6
    )


def test_a_recording_becomes_a_table(retarget, urdf: Path, tmp_path: Path) -> None:
    session = tmp_path / "take.mcap"
    with SessionWriter(session, SessionInfo(source="test"), OPTIONS) as writer:
        for number in range(6):
            frame = make_frame(number)
            hands = [open_hand("right")] if number != 3 else []
            writer.add_frame(frame, CAMERA)
            writer.add_hands(frame, RecordedHands(hands, CAMERA))
    retarget.main(str(session), str(urdf), "allegro", "right", str(tmp_path / "out.csv"))
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == [0, 1, 2, 4, 5]
    place = [float(rows[0][f"wrist_{axis}"]) for axis in "xyz"]
    np.testing.assert_allclose(place, open_hand("right").keypoints_m[0], atol=1e-3)
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())
