"""bvh/: the skeleton of each followed hand as motion capture programs read it (Blender, Maya, MotionBuilder, Unity).

A file for every unbroken run of a followed hand, "right_track3_frame000120.bvh": BVH has no word for a frame without a
hand, so a gap begins a new file. Joints, names and axes are those of `hands.joint_frames` (OpenXR's); the world has
OpenGL's axes (y up) with the camera at its origin, in centimetres. BVH knows one length of each bone and one time
between frames: both are medians over the run, so joints lie off by what the bones of a frame differ from those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array, Handedness
from handdgp_core.export.axes import target_from_opencv
from handdgp_core.files import prepare_output, write_text
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.joint_frames import JOINTS, finger_joints, joint_frames
from handdgp_core.hands.keypoints import FINGERS
from handdgp_core.types import Frame, Hand

__all__ = ["BvhFolder"]

_CM = 100.0
_ORDER = "ZXY"  # of the rotations, intrinsic
_CHANNELS = "Zrotation Xrotation Yrotation"
_WRIST = JOINTS.index("wrist")
_DEFAULT_S = 1 / 30  # of a run of one frame, which has no time between frames


@dataclass
class _Run:
    """An unbroken run of one followed hand."""

    first_index: int
    last_call: int
    stamps_ns: list[int] = field(default_factory=list)
    positions_m: list[Array] = field(default_factory=list)
    rotations: list[Array] = field(default_factory=list)


class BvhFolder:
    """Exporter: a file is written when its run ends, the rest by `close`.

    Args:
        folder: made with the first file.
    """

    reserve_bytes = 1 << 20

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[Path] = []
        self._runs: dict[tuple[int, Handedness], _Run] = {}
        self._calls = 0

    @property
    def files(self) -> list[Path]:
        """What is written so far."""
        return self._files

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera | None = None) -> None:
        """Add the hands whose joints are all known. Raises OutputError."""
        self._calls += 1
        for hand in hands:
            joints = joint_frames(hand)
            if joints.is_valid.all():
                key = hand.track_id, hand.handedness
                run = self._runs.setdefault(key, _Run(frame.index, self._calls))
                run.last_call = self._calls
                run.stamps_ns.append(frame.stamp_ns)
                run.positions_m.append(joints.positions_m)
                run.rotations.append(joints.rotations)
        for key in [key for key, run in self._runs.items() if run.last_call < self._calls]:
            self._write(*key, self._runs.pop(key))

    def close(self) -> None:
        """Write the runs that last until the end. A second call does nothing. Raises OutputError."""
        while self._runs:
            key = next(iter(self._runs))
            self._write(*key, self._runs.pop(key))

    def _write(self, track_id: int, side: Handedness, run: _Run) -> None:
        path = prepare_output(self._folder) / f"{side}_track{track_id}_frame{run.first_index:06d}.bvh"
        write_text(path, _text(run))
        self._files.append(path)


def _text(run: _Run) -> str:
    target = target_from_opencv("opengl")
    positions = _CM * np.stack(run.positions_m) @ target.T  # (T, 26, 3)
    rotations = target @ np.stack(run.rotations)  # (T, 26, 3, 3)
    lines, columns = ["HIERARCHY", "ROOT wrist", "{", *_indented(1, "OFFSET 0 0 0")], []
    lines += _indented(1, f"CHANNELS 6 Xposition Yposition Zposition {_CHANNELS}")
    columns += [positions[:, _WRIST], _angles_deg(rotations[:, _WRIST])]
    for finger in FINGERS:
        chain = finger_joints(finger)
        parents = [_WRIST, *chain[:-1]]
        for depth, (parent, joint) in enumerate(zip(parents, chain, strict=True), start=1):
            offset = _offset(positions, rotations, parent, joint)
            is_tip = joint == chain[-1]
            lines += _indented(depth, "End Site" if is_tip else f"JOINT {JOINTS[joint].replace(' ', '_')}", "{")
            lines += _indented(depth + 1, "OFFSET " + " ".join(f"{value:.6f}" for value in offset))
            if not is_tip:
                lines += _indented(depth + 1, f"CHANNELS 3 {_CHANNELS}")
                columns.append(_angles_deg(np.swapaxes(rotations[:, parent], -1, -2) @ rotations[:, joint]))
        lines += [line for depth in range(len(chain), 0, -1) for line in _indented(depth, "}")]
    lines += ["}", "MOTION", f"Frames: {len(positions)}", f"Frame Time: {_frame_time_s(run.stamps_ns):.6f}"]
    lines += [" ".join(f"{value:.5f}" for value in row) for row in np.concatenate(columns, axis=1)]
    return "\n".join(lines) + "\n"


def _offset(positions: Array, rotations: Array, parent: int, joint: int) -> Array:
    """(3,) of a joint from its parent, in the parent's frame, median over the run."""
    in_parent = np.einsum("tji,tj->ti", rotations[:, parent], positions[:, joint] - positions[:, parent])
    return np.asarray(np.median(in_parent, axis=0))


def _angles_deg(rotations: Array) -> Array:
    return np.asarray(Rotation.from_matrix(rotations).as_euler(_ORDER, degrees=True))


def _frame_time_s(stamps_ns: list[int]) -> float:
    steps_ns = np.diff(stamps_ns)
    return float(np.median(steps_ns)) / 1e9 if len(steps_ns) else _DEFAULT_S


def _indented(depth: int, *lines: str) -> list[str]:
    return ["  " * depth + line for line in lines]
