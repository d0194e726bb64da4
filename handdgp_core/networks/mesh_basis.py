"""A linear basis of posed hands: vertices (V, 3) = basis (V, N) times coefficients (N, 3), in any rotated frame.

The basis functions are numbers per vertex and the coefficients are vectors, so turning the hand only turns the
coefficients. Linear blend skinning lies in such a space by construction (each bone adds its weights, and its weights
times the rest coordinates); principal components of random hands make it small and cover shape as well.
"""

from __future__ import annotations

import numpy as np

from handdgp_core.hands.open_hand import HandPose, OpenHand
from handdgp_core.types import Array

__all__ = ["mesh_basis"]

_HANDS = 1500
_SEED = 11


def mesh_basis(hand: OpenHand, count: int, unit_m: float) -> Array:
    """(V, count) orthogonal functions of the hand's vertices, most important first.

    Scaled so that the coefficients of random adult hands in units of `unit_m` have a root mean square of 1 each.
    """
    rng = np.random.default_rng(_SEED)
    spread = rng.normal(0, 1.2, (_HANDS, hand.dof_count)) * hand.dof_sd_rad
    pose = HandPose(
        np.broadcast_to(np.eye(3), (_HANDS, 3, 3)),
        hand.clamped(hand.dof_mean_rad + spread),
        rng.normal(0, 1, (_HANDS, hand.shape_count)),
        np.ones(_HANDS),
    )
    vertices = hand.forward(pose)[0] / unit_m
    rows = vertices.transpose(0, 2, 1).reshape(-1, vertices.shape[1])
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    order = np.argsort(values)[::-1][:count]
    return np.asarray(vectors[:, order] * np.sqrt(values[order]))
