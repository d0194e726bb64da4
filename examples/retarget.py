"""A hand moves a robot's: python examples/retarget.py SOURCE URDF_FOLDER [allegro|shadow] [right|left] [OUTPUT.csv]

SOURCE is a webcam's number, a video, or a recording (.mcap), whose recorded hands are used. Needs the extra `retarget`.
URDF_FOLDER holds allegro_hand/allegro_hand_right.urdf and so on: robots/hands of
https://github.com/dexsuite/dex-urdf. Printed and written are the pose of the robot's wrist in the camera frame (metres,
quaternion x y z w; x right, y down, z forward) and the angles of its joints (radians). A frame without a hand has none.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from dex_retargeting.constants import HandType, RetargetingType, RobotName, get_default_config_path
from dex_retargeting.retargeting_config import RetargetingConfig
from scipy.spatial.transform import Rotation

from handdgp_core import Frame, Hand, HandEstimator, open_source
from handdgp_core.hands.joint_frames import JOINTS, joint_frames
from handdgp_core.hands.sides import surest_by_side
from handdgp_core.sources import frames
from handdgp_core.sources.cameras import CameraChooser
from handdgp_core.sources.session import SessionSource

# dex-retargeting's wrist: x out of the palm, y across it, z to the fingers; ours is OpenXR's.
OURS_FROM_ROBOT = np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])


class Retargeter:
    """One robot hand that follows one of ours."""

    def __init__(self, urdf_folder: str, robot: str = "allegro", side: str = "right") -> None:
        path = get_default_config_path(RobotName[robot], RetargetingType.vector, HandType[side])
        RetargetingConfig.set_default_urdf_dir(str(Path(urdf_folder).absolute()))
        self._retargeting = RetargetingConfig.load_from_file(path).build()
        self.joint_names = list(self._retargeting.joint_names)

    def follow(self, hand: Hand) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Wrist (3,) metres, quaternion (4,) x y z w, both of the camera frame; angles (J,) radians."""
        rotation = joint_frames(hand).rotations[JOINTS.index("wrist")] @ OURS_FROM_ROBOT
        points_m = (hand.keypoints_m - hand.keypoints_m[0]) @ rotation
        origins, tasks = self._retargeting.optimizer.target_link_human_indices
        angles = self._retargeting.retarget(points_m[tasks] - points_m[origins])
        return hand.keypoints_m[0], Rotation.from_matrix(rotation).as_quat(canonical=True), angles

    def forget(self) -> None:
        """The hand is gone: the next one does not start where it was."""
        self._retargeting.reset()
        if self._retargeting.filter is not None:
            self._retargeting.filter.reset()


def hands_of(source_name: str) -> Iterator[tuple[Frame, list[Hand]]]:
    """The recorded hands of a recording, else those that are found."""
    with ExitStack() as stack:
        source = stack.enter_context(open_source(source_name))
        if isinstance(source, SessionSource):
            for frame in frames(source):
                recorded = source.session.hands(frame.index)
                yield frame, [] if recorded is None else list(recorded.hands)
            return
        cameras = CameraChooser(None, horizontal_fov_deg=60)
        estimator = stack.enter_context(HandEstimator.from_weights())
        for frame in frames(source):
            chosen = cameras.choose(frame)
            yield frame, list(estimator.estimate(chosen, chosen.used_camera))


def main(source: str, urdf_folder: str, robot: str = "allegro", side: str = "right", output: str = "") -> None:
    retargeter = Retargeter(urdf_folder, robot, side)
    wrist = [f"wrist_{name}" for name in ("x", "y", "z", "qx", "qy", "qz", "qw")]
    with open(output, "w", newline="", encoding="utf-8") if output else sys.stdout as file:
        table = csv.writer(file)
        table.writerow(["frame", "time_s", *wrist, *retargeter.joint_names])
        try:
            for frame, hands in hands_of(source):
                hand = surest_by_side(hands, lambda hand: hand).get("right" if side == "right" else "left")
                if hand is None or not joint_frames(hand).is_valid.all():
                    retargeter.forget()
                    continue
                numbers = np.concatenate(retargeter.follow(hand))
                table.writerow([frame.index, f"{frame.stamp_ns / 1e9:.3f}", *(f"{value:.4f}" for value in numbers)])
        except KeyboardInterrupt:  # Ctrl-C ends it
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
