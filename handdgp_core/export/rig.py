"""A skeleton with a skin that follows it: what animation programs move. Made of the joints and meshes of one hand.

The joints are those of `hands.joint_frames` (OpenXR's), each frame's where they were found, since bones may change
their length. The skin is linear blend skinning, for no file knows more: every vertex follows up to four joints,

    vertex(t) = sum_j w_j T_j(t) T_j(rest)^-1 vertex(rest)

Weights and the vertices at rest are those that fit all meshes best, found by turns as in smooth skinning decomposition
(Le and Deng 2012, with the bones known); a vertex that hardly moves against its neighbours keeps the weights of the
nearest bones. The hand's size is a scale of the whole skeleton. What skinning cannot follow is measured and stated.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array, Handedness
from handdgp_core.hands.joint_frames import JOINT_COUNT, JOINTS, finger_joints, frames_from_keypoints, joint_frames
from handdgp_core.hands.keypoints import FINGERS
from handdgp_core.types import Hand

__all__ = ["INFLUENCES", "PARENTS", "Rig", "rig", "with_all_joints"]

INFLUENCES = 4  # joints that a vertex follows: what glTF's readers take
_WRIST = JOINTS.index("wrist")
_SAMPLES = 48  # frames that weights are found from
_ROUNDS = 3
_TRUST_M = 1e-3  # error in one sample that is worth as much as a weight off by one from the nearest bones'
_SUM_TO_ONE_M = 1.0  # the same for a sum of weights off by one: as good as exact
_BLOCK = 128


def _parents() -> tuple[int, ...]:
    parents = [_WRIST] * JOINT_COUNT
    parents[_WRIST] = -1
    for finger in FINGERS:
        chain = finger_joints(finger)
        for parent, joint in itertools.pairwise(chain):
            parents[joint] = parent
    return tuple(parents)


PARENTS = _parents()  # of each joint of `JOINTS`; the wrist is the root, -1
_BONES = tuple(
    joint for joint, name in enumerate(JOINTS) if name != "palm" and not name.endswith("tip")
)  # joints with a skin of their own: the palm turns as a metacarpal does, a tip as its bone


@dataclass(frozen=True)
class Rig:
    """N frames of V vertices as a skeleton of J joints with a skin. Axes are those of the meshes it was made from.

    Attributes:
        rest_m, rest_rotations: (J, 3), (J, 3, 3) the skeleton that the skin was bound to.
        vertices_m: (V, 3) the skin at rest.
        joints, weights: (V, 4) what each vertex follows, and how much; rows of weights sum to 1.
        translations_m: (N, J, 3) of each joint in its parent's frame, the root's in the world.
        rotations: (N, J, 4) the same, quaternions x, y, z, w, each on the side of the one before.
        scales: (N,) of the root; exact in half floats, which some files hold.
        worst_error_m, rms_error_m: distance of skinned vertices to the meshes, over all frames.
    """

    rest_m: Array
    rest_rotations: Array
    vertices_m: Array
    joints: NDArray[np.uint16]
    weights: Array
    translations_m: Array
    rotations: Array
    scales: Array
    worst_error_m: float
    rms_error_m: float

    @property
    def errors_mm(self) -> dict[str, float]:
        """Both, as files state them."""
        errors = {"largest_vertex_error_mm": self.worst_error_m, "rms_vertex_error_mm": self.rms_error_m}
        return {name: round(1e3 * error_m, 3) for name, error_m in errors.items()}


def with_all_joints(hands: Sequence[Hand]) -> list[Hand]:
    """Those hands whose joints are all known, which a rig needs."""
    return [hand for hand in hands if joint_frames(hand).is_valid.all()]


def rig(vertices_m: NDArray[np.floating], keypoints_m: Array, side: Handedness) -> Rig:
    """Make the rig.

    Args:
        vertices_m: (N, V, 3), N at least 1; may be a memory map.
        keypoints_m: (N, 21, 3) of the same hands in the same axes, right-handed; their joints are all known.
        side: of the hand.
    """
    places, turns = frames_from_keypoints(keypoints_m, side)
    scales = _scales(keypoints_m)
    from_rest = _from_rest(places, turns, scales)
    count = len(vertices_m)
    sample = np.unique(np.linspace(0, count - 1, min(count, _SAMPLES)).astype(int))
    rest = np.asarray(vertices_m[0], dtype=np.float64)
    joints, near = _nearest_bones(rest, places[0])
    weights, wanted = near, np.asarray(vertices_m[sample], dtype=np.float64)
    for _ in range(_ROUNDS if count > 1 else 0):
        weights = _fitted_weights(rest, from_rest[sample], joints, near, wanted)
        rest = _fitted_rest(rest, from_rest[sample], joints, weights, wanted)
    worst, square = 0.0, 0.0
    for start in range(0, count, _BLOCK):
        part = slice(start, start + _BLOCK)
        errors = np.linalg.norm(_skinned(rest, from_rest[part], joints, weights) - vertices_m[part], axis=-1)
        worst, square = max(worst, float(errors.max())), square + float((errors**2).sum())
    translations, rotations = _local(places, turns, scales)
    rms = float(np.sqrt(square / (count * len(rest))))
    return Rig(places[0], turns[0], rest, joints, weights, translations, rotations, scales, worst, rms)


def _scales(keypoints_m: Array) -> Array:
    """(N,) size of the palm against the first frame's."""
    knuckles = [chain[0] for finger, chain in FINGERS.items() if finger != "thumb"]
    sizes = np.linalg.norm(keypoints_m[:, knuckles] - keypoints_m[:, :1], axis=-1).sum(axis=1)
    return np.asarray((sizes / sizes[0]).astype(np.float16).astype(np.float64))


def _from_rest(places: Array, turns: Array, scales: Array) -> Array:
    """(N, J, 3, 4) what moves a point that is fixed to a joint from the first frame to each."""
    linear = scales[:, None, None, None] * turns @ np.swapaxes(turns[0], -1, -2)
    shift = places - np.einsum("njab,jb->nja", linear, places[0])
    return np.concatenate([linear, shift[..., None]], axis=-1)


def _nearest_bones(rest: Array, places: Array) -> tuple[NDArray[np.uint16], Array]:
    """(V, 4) joints whose bones are nearest to each vertex, and weights that fall with the distance."""
    distances = np.empty((len(rest), len(_BONES)))
    for column, joint in enumerate(_BONES):
        ends = [child for child, parent in enumerate(PARENTS) if parent == joint and joint != _WRIST]
        along = places[ends[0]] - places[joint] if ends else np.zeros(3)
        length = float(along @ along)
        offset = rest - places[joint]
        share = np.clip(offset @ along / length, 0.0, 1.0) if length > 0 else np.zeros(len(rest))
        distances[:, column] = np.linalg.norm(offset - share[:, None] * along, axis=1)
    nearest = np.argsort(distances, axis=1)[:, :INFLUENCES]
    near = np.maximum(np.take_along_axis(distances, nearest, axis=1), 1e-4) ** -4.0
    return np.array(_BONES, dtype=np.uint16)[nearest], near / near.sum(axis=1, keepdims=True)


def _carried(rest: Array, from_rest: Array, joints: NDArray[np.uint16]) -> Array:
    """(N, V, 4, 3) where each joint that a vertex follows would take it alone."""
    moves = from_rest[:, joints]
    return np.asarray(np.einsum("nviab,vb->nvia", moves[..., :3], rest) + moves[..., 3])


def _skinned(rest: Array, from_rest: Array, joints: NDArray[np.uint16], weights: Array) -> Array:
    """(N, V, 3)."""
    return np.asarray(np.einsum("nvia,vi->nva", _carried(rest, from_rest, joints), weights))


def _fitted_weights(rest: Array, from_rest: Array, joints: NDArray[np.uint16], near: Array, wanted: Array) -> Array:
    """(V, 4) not negative, summing to 1: least squares over the samples, with `near` as a weak prior."""
    carried = _carried(rest, from_rest, joints)
    trust = np.sqrt(len(carried)) * _TRUST_M
    rows = np.moveaxis(carried, 0, 1).transpose(0, 1, 3, 2).reshape(len(rest), -1, INFLUENCES)
    values = np.moveaxis(wanted, 0, 1).reshape(len(rest), -1)
    rows = rows - values[..., None]  # since weights sum to 1, which also keeps the numbers small
    fitted = np.empty_like(near)
    extra = np.concatenate([trust * np.eye(INFLUENCES), np.full((1, INFLUENCES), _SUM_TO_ONE_M)])
    for vertex in range(len(rest)):
        target = np.concatenate([np.zeros(rows.shape[1]), trust * near[vertex], [_SUM_TO_ONE_M]])
        fitted[vertex] = nnls(np.concatenate([rows[vertex], extra]), target)[0]
    return np.asarray(fitted / fitted.sum(axis=1, keepdims=True))


def _fitted_rest(rest: Array, from_rest: Array, joints: NDArray[np.uint16], weights: Array, wanted: Array) -> Array:
    """(V, 3) vertices at rest that fit the samples best under these weights."""
    blended = np.einsum("nviab,vi->nvab", from_rest[:, joints], weights)
    linear, missing = blended[..., :3], wanted - blended[..., 3]
    square = np.einsum("nvab,nvac->vbc", linear, linear)
    return np.asarray(np.linalg.solve(square, np.einsum("nvab,nva->vb", linear, missing)[..., None])[..., 0])


def _local(places: Array, turns: Array, scales: Array) -> tuple[Array, Array]:
    """Translations (N, J, 3) and quaternions (N, J, 4) of joints in their parents' frames."""
    translations, rotations = places.copy(), turns.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            back = np.swapaxes(turns[:, parent], -1, -2)
            arms = places[:, joint] - places[:, parent]
            translations[:, joint] = (back @ arms[..., None])[..., 0] / scales[:, None]
            rotations[:, joint] = back @ turns[:, joint]
    quaternions = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat().reshape(*rotations.shape[:2], 4)
    flips = np.where(np.einsum("nji,nji->nj", quaternions[1:], quaternions[:-1]) < 0, -1.0, 1.0)
    quaternions[1:] *= np.cumprod(flips, axis=0)[..., None]
    return translations, quaternions
