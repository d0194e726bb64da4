"""ros2bag/: a ROS 2 bag (MCAP) with images, camera and hands as ROS' own message types. Needs the extra `robot`.

Frames: `camera` is ROS' optical frame (x right, y down, z forward), as everywhere here; a wrist is `left_wrist` or
`right_wrist`, with OpenXR's axes (`hands.joint_frames`). Times are the source's own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array
from handdgp_core.drawing.colours import HAND_COLOURS
from handdgp_core.errors import OutputError
from handdgp_core.files import MIB, output_errors, part_of
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.camera_text import message_lens
from handdgp_core.hands.joint_frames import JOINTS, joint_frames
from handdgp_core.hands.keypoints import BONES
from handdgp_core.hands.sides import surest_by_side
from handdgp_core.sessions.stored_images import encode_jpeg
from handdgp_core.types import Frame, Hand

__all__ = ["TOPICS", "Ros2Bag"]

CAMERA_FRAME = "camera"
TOPICS = {
    "image": ("/camera/image/compressed", "sensor_msgs/msg/CompressedImage"),
    "camera_info": ("/camera/camera_info", "sensor_msgs/msg/CameraInfo"),
    "left_wrist": ("/hands/left/wrist", "geometry_msgs/msg/PoseWithCovarianceStamped"),
    "right_wrist": ("/hands/right/wrist", "geometry_msgs/msg/PoseWithCovarianceStamped"),
    "left_joints": ("/hands/left/joints", "geometry_msgs/msg/PoseArray"),
    "right_joints": ("/hands/right/joints", "geometry_msgs/msg/PoseArray"),
    "markers": ("/hands/markers", "visualization_msgs/msg/MarkerArray"),
    "tf": ("/tf", "tf2_msgs/msg/TFMessage"),
}
_BAG_VERSION: Final = 8  # of its metadata: what Humble and later read
_JPEG_QUALITY = 90
_BONE_M = 0.004
_UNKNOWN_RAD2 = 1e3  # a variance that says: the orientation's is not known
_WRIST = JOINTS.index("wrist")


class Ros2Bag:
    """Exporter: a bag under a temporary name, which `close` makes the folder's own.

    Args:
        path: the folder that the bag becomes; one that is there is replaced.

    Raises:
        OutputError: the folder cannot be made.
    """

    reserve_bytes = MIB

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._part = part_of(self.path)
        self._store = get_typestore(Stores.ROS2_HUMBLE)
        with output_errors(self.path):
            shutil.rmtree(self._part, ignore_errors=True)
            self._part.mkdir()
            bag = self._part / self.path.name  # the bag names its file after its folder
            self._writer: Writer | None = Writer(bag, version=_BAG_VERSION, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
            self._connections = {
                name: self._writer.add_connection(topic, kind, typestore=self._store)
                for name, (topic, kind) in TOPICS.items()
            }

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        return [self.path / "metadata.yaml", self.path / f"{self.path.name}.mcap"]

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """One frame: image, camera, and of each side the surest hand that has a place. Raises OutputError."""
        header = self._header(frame.stamp_ns, CAMERA_FRAME)
        placed = surest_by_side(hands, lambda hand: hand)
        with output_errors(self.path):
            self._write("image", frame, self._image(header, frame))
            self._write("camera_info", frame, self._camera_info(header, camera))
            self._write("markers", frame, self._markers(header, placed))
            for side, hand in placed.items():
                self._add_hand(f"{side}_", frame, header, hand)

    def close(self) -> None:
        """Completes the bag. Harmless when repeated. Raises OutputError."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        with output_errors(self.path):
            writer.close()
            if self.path.exists():
                shutil.rmtree(self.path)
            (self._part / self.path.name).rename(self.path)
            self._part.rmdir()

    def _add_hand(self, side: str, frame: Frame, header: Any, hand: Hand) -> None:
        joints = joint_frames(hand)
        if not joints.is_valid.all():
            return
        poses = [self._pose(*joint) for joint in zip(joints.positions_m, joints.rotations, strict=True)]
        covariance = np.diag([0.0] * 3 + [_UNKNOWN_RAD2] * 3)
        covariance[:3, :3] = joints.wrist_covariance_m2
        with_covariance = self._make("geometry_msgs/msg/PoseWithCovariance", poses[_WRIST], covariance.ravel())
        stamped = self._make("geometry_msgs/msg/PoseWithCovarianceStamped", header, with_covariance)
        self._write(f"{side}wrist", frame, stamped)
        self._write(f"{side}joints", frame, self._make("geometry_msgs/msg/PoseArray", header, poses))
        wrist = poses[_WRIST]
        place = self._make("geometry_msgs/msg/Vector3", wrist.position.x, wrist.position.y, wrist.position.z)
        moved = self._make("geometry_msgs/msg/Transform", place, wrist.orientation)
        transform = self._make("geometry_msgs/msg/TransformStamped", header, f"{side}wrist", moved)
        self._write("tf", frame, self._make("tf2_msgs/msg/TFMessage", [transform]))

    def _write(self, name: str, frame: Frame, message: Any) -> None:
        if self._writer is None:
            raise OutputError(f"{self.path} is closed.")
        data = self._store.serialize_cdr(message, TOPICS[name][1])
        self._writer.write(self._connections[name], frame.stamp_ns, data)

    def _make(self, kind: str, *values: Any) -> Any:
        return self._store.types[kind](*values)

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
        return self._make(
            "std_msgs/msg/Header", self._make("builtin_interfaces/msg/Time", seconds, nanoseconds), frame_id
        )

    def _pose(self, place_m: Array, rotation: Array) -> Any:
        quaternion = Rotation.from_matrix(rotation).as_quat(canonical=True)
        return self._make(
            "geometry_msgs/msg/Pose",
            self._make("geometry_msgs/msg/Point", *place_m.tolist()),
            self._make("geometry_msgs/msg/Quaternion", *quaternion.tolist()),
        )

    def _image(self, header: Any, frame: Frame) -> Any:
        data = np.frombuffer(encode_jpeg(frame.image, _JPEG_QUALITY), dtype=np.uint8)
        return self._make("sensor_msgs/msg/CompressedImage", header, "jpeg", data)

    def _camera_info(self, header: Any, camera: Camera) -> Any:
        model, coefficients = message_lens(camera)
        projection = np.hstack([camera.matrix, np.zeros((3, 1))])
        whole = self._make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
        return self._make(
            "sensor_msgs/msg/CameraInfo", header, camera.height, camera.width, model, np.array(coefficients),
            camera.matrix.ravel(), np.eye(3).ravel(), projection.ravel(), 0, 0, whole,
        )  # fmt: skip

    def _markers(self, header: Any, hands: dict[Any, Hand]) -> Any:
        """Bones as lines, one marker a side; one that is gone is deleted."""
        return self._make(
            "visualization_msgs/msg/MarkerArray",
            [
                self._marker(header, number, hands.get(side), HAND_COLOURS[side])
                for number, side in enumerate(HAND_COLOURS)
            ],
        )

    def _marker(self, header: Any, number: int, hand: Hand | None, colour: Sequence[int]) -> Any:
        kind: Any = self._store.types["visualization_msgs/msg/Marker"]
        ends_m = [] if hand is None else hand.keypoints_m[np.array(BONES).ravel()].tolist()
        now = self._make("builtin_interfaces/msg/Duration", 0, 0)
        no_image = self._make("sensor_msgs/msg/CompressedImage", header, "", np.zeros(0, np.uint8))
        return kind(
            header=header,
            ns="hands",
            id=number,
            type=kind.LINE_LIST,
            action=kind.DELETE if hand is None else kind.ADD,
            pose=self._pose(np.zeros(3), np.eye(3)),
            scale=self._make("geometry_msgs/msg/Vector3", _BONE_M, 0.0, 0.0),
            color=self._make("std_msgs/msg/ColorRGBA", *(channel / 255 for channel in colour), 1.0),
            lifetime=now,
            frame_locked=False,
            points=[self._make("geometry_msgs/msg/Point", *end) for end in ends_m],
            colors=[],
            texture_resource="",
            texture=no_image,
            uv_coordinates=[],
            text="",
            mesh_resource="",
            mesh_file=self._make("visualization_msgs/msg/MeshFile", "", np.zeros(0, np.uint8)),
            mesh_use_embedded_materials=False,
        )
