"""A bag for ROS 2, read back by rosbags' own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from handdgp_core.export.exporter import open_exporters
from handdgp_core.export.ros2_bag import TOPICS
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.joint_frames import joint_frames
from handdgp_core.types import Frame, Hand
from tests.open_hands import degenerate_hand, open_hand

MATRIX = np.array([[300.0, 0, 159.5], [0, 301.0, 119.5], [0, 0, 1]])
PLAIN = Camera(320, 240, MATRIX, np.array([0.1, -0.05, 0.001, 0.002]))


def write(folder: Path, *frames: tuple[Hand, ...], camera: Camera = PLAIN) -> dict[str, list[tuple[int, Any]]]:
    """The messages of a bag with these hands, by topic, as an independent reader sees them."""
    with open_exporters(["ros2bag"], folder) as exporters:
        for index, hands in enumerate(frames):
            image = np.full((240, 320, 3), (200, 40, 10), np.uint8)
            exporters.add(Frame(image, 1_500_000_000 + index * 33_000_000, index), hands, camera)
    store, found = get_typestore(Stores.ROS2_HUMBLE), {topic: [] for topic, _ in TOPICS.values()}
    with Reader(folder / "ros2bag") as reader:
        assert {connection.topic: connection.msgtype for connection in reader.connections} == dict(TOPICS.values())
        for connection, time_ns, data in reader.messages():
            found[connection.topic].append((time_ns, store.deserialize_cdr(data, connection.msgtype)))
    return found


def test_hands_camera_and_image_come_back(tmp_path: Path) -> None:
    right, left = open_hand("right"), open_hand("left", (-0.1, 0.02, 0.5))
    found = write(tmp_path, (right, left), (right,), ())
    assert [time for time, _ in found["/camera/camera_info"]] == [1_500_000_000 + n * 33_000_000 for n in range(3)]
    (_, info), (_, image) = found["/camera/camera_info"][0], found["/camera/image/compressed"][0]
    assert info.header.frame_id == "camera" and (info.header.stamp.sec, info.header.stamp.nanosec) == (1, 500_000_000)
    np.testing.assert_allclose(info.k.reshape(3, 3), MATRIX)
    assert info.distortion_model == "plumb_bob"
    np.testing.assert_allclose(info.d, [0.1, -0.05, 0.001, 0.002, 0])
    picture = cv2.cvtColor(cv2.imdecode(image.data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert picture.shape == (240, 320, 3) and np.abs(picture.mean((0, 1)) - (200, 40, 10)).max() < 4
    assert (len(found["/hands/right/wrist"]), len(found["/hands/left/wrist"])) == (2, 1)
    for side, hand in (("right", right), ("left", left)):
        expected = joint_frames(hand)
        _, joints = found[f"/hands/{side}/joints"][0]
        places = [[pose.position.x, pose.position.y, pose.position.z] for pose in joints.poses]
        np.testing.assert_allclose(places, expected.positions_m, atol=1e-12)
        turns = [[p.orientation.x, p.orientation.y, p.orientation.z, p.orientation.w] for p in joints.poses]
        np.testing.assert_allclose(Rotation.from_quat(turns).as_matrix(), expected.rotations, atol=1e-9)
        _, wrist = found[f"/hands/{side}/wrist"][0]
        covariance = wrist.pose.covariance.reshape(6, 6)
        np.testing.assert_allclose(covariance[:3, :3], hand.covariance_at(hand.keypoints_m[0]))
    assert {moved.child_frame_id for _, message in found["/tf"] for moved in message.transforms} == {
        "left_wrist",
        "right_wrist",
    }


def test_a_hand_that_is_gone_has_its_marker_deleted_and_a_degenerate_one_no_pose(tmp_path: Path) -> None:
    found = write(tmp_path, (open_hand("right"),), (degenerate_hand("right"),))
    actions = [[marker.action for marker in message.markers] for _, message in found["/hands/markers"]]
    add, delete = 0, 2
    assert sorted(actions[0]) == [add, delete] and actions[1] == [delete, delete]
    assert len(found["/hands/right/wrist"]) == len(found["/tf"]) == 1


@pytest.mark.parametrize(
    ("camera", "model", "count"),
    [
        (Camera(320, 240, MATRIX, np.linspace(0.01, 0.08, 8)), "rational_polynomial", 8),
        (Camera(320, 240, MATRIX, np.array([0.1, 0.01, 0.0, 0.0]), lens="fisheye"), "equidistant", 4),
        (Camera(320, 240, MATRIX), "plumb_bob", 5),
    ],
)
def test_every_lens_has_ros_own_name(tmp_path: Path, camera: Camera, model: str, count: int) -> None:
    ((_, info),) = write(tmp_path, (), camera=camera)["/camera/camera_info"]
    assert info.distortion_model == model and len(info.d) == count
    np.testing.assert_allclose(info.d[: camera.distortion.size], camera.distortion)


def test_a_bag_that_is_there_is_replaced_and_nothing_else_stays(tmp_path: Path) -> None:
    write(tmp_path, (open_hand(),))
    again = write(tmp_path, (), ())
    assert len(again["/camera/camera_info"]) == 2 and not again["/hands/right/wrist"]
    assert [path.name for path in tmp_path.iterdir()] == ["ros2bag"]
