"""Constants that the open hand's pose arithmetic needs, worked out once from the model's arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.hands.keypoints import COUNT

if TYPE_CHECKING:
    from handdgp_core.hands.open_hand.open_hand import OpenHand


@dataclass(frozen=True)
class PoseTables:
    """B bones, D degrees of freedom, S shape modes, K keypoints; offsets and shares as in `open_hand`."""

    cross: Array  # (D, 9) cross-product matrices of the axes
    cross_squared: Array  # (D, 9)
    identity: Array  # (9,)
    slots: NDArray[np.intp]  # (3, B) the turns of a bone, D where there is none
    earlier: NDArray[np.intp]  # (2, D) the turns of the same bone before this one
    dof_parent: NDArray[np.intp]  # (D,) the bone that carries the axis
    levels: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]  # bones by depth, with their parents
    parent_or_root: NDArray[np.intp]  # (B,)
    ancestors: Array  # (B, B) 1 where the column is the bone or an ancestor of it, without the root
    arms: Array  # (B, 3) head minus parent's head
    arms_by_shape: Array  # (S, B, 3)
    root_heads: Array  # (S + 1, 1, 3)
    offsets: Array  # (B, K, 3)
    offsets_by_shape: Array  # (S, K, B * 3)
    offsets_by_shape_flat: Array  # (S, B * K * 3)
    share: Array  # (B, K)
    moved_by_dof: Array  # (D, B) 1 where the bone moves with the degree of freedom
    share_by_dof: Array  # (D, K)

    @classmethod
    def of(cls, hand: OpenHand) -> PoseTables:
        parents = hand.bone_parents.astype(np.intp)
        up = np.where(parents < 0, 0, parents)
        chain = _ancestry(parents)
        slots, earlier = _turns_of_bones(hand.dof_bone, len(parents))
        cross = np.cross(hand.dof_axis[:, None], -np.eye(3))
        weighted = hand.keypoint_regressor[:, None] * hand.skinning_weights.T  # (K, B, V)
        share = weighted.sum(axis=-1).T
        offsets = (weighted @ hand.vertices).transpose(1, 0, 2) - share[..., None] * hand.bone_heads[:, None]
        by_shape = np.stack([weighted @ mode for mode in hand.shape_basis]).transpose(0, 2, 1, 3)
        by_shape -= share[..., None] * hand.bone_head_basis[:, :, None]
        depth = chain.sum(axis=1).astype(int) - 1
        levels = [np.flatnonzero(depth == d) for d in range(1, depth.max() + 1)]
        moved = chain[:, hand.dof_bone].T
        below_root = chain.copy()
        below_root[:, 0] = 0.0
        return cls(
            cross=cross.reshape(-1, 9),
            cross_squared=(cross @ cross).reshape(-1, 9),
            identity=np.eye(3).ravel(),
            slots=slots,
            earlier=earlier,
            dof_parent=up[hand.dof_bone],
            levels=tuple((level, parents[level]) for level in levels),
            parent_or_root=up,
            ancestors=below_root,
            arms=hand.bone_heads - hand.bone_heads[up],
            arms_by_shape=hand.bone_head_basis - hand.bone_head_basis[:, up],
            root_heads=np.concatenate([hand.bone_head_basis[:, :1], hand.bone_heads[None, :1]]),
            offsets=offsets,
            offsets_by_shape=by_shape.transpose(0, 2, 1, 3).reshape(len(by_shape), COUNT, -1),
            offsets_by_shape_flat=by_shape.reshape(len(by_shape), -1),
            share=share,
            moved_by_dof=moved,
            share_by_dof=moved @ share,
        )


def _ancestry(parents: NDArray[np.intp]) -> Array:
    """(B, B) 1 where the column is the row's bone or one of its ancestors."""
    chain = np.eye(len(parents))
    for bone, parent in enumerate(parents):
        if parent >= 0:
            chain[bone] += chain[parent]
    return chain


def _turns_of_bones(dof_bone: NDArray[np.int32], bones: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which degrees of freedom turn each bone (3, B), and which of the same bone come before each (2, D)."""
    none = len(dof_bone)
    slots = np.full((3, bones), none, dtype=np.intp)
    earlier = np.full((2, none), none, dtype=np.intp)
    for dof, bone in enumerate(dof_bone):
        before = [other for other in range(dof) if dof_bone[other] == bone]
        slots[len(before), bone] = dof
        earlier[: len(before), dof] = before
    return slots, earlier
