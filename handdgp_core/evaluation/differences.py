"""By how much two results for the same frame differ: a recorded and a re-run one, or those of two models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handdgp_core.types import Hand

__all__ = ["MEASURES", "Difference", "differences"]

MEASURES = ("root_mm", "depth_mm", "keypoints_mm", "shape_mm", "mesh_mm")  # the numbers of a `Difference`


@dataclass(frozen=True)
class Difference:
    """Between one hand and the other of the same side; NaN where one of them could not be placed, or where there is no
    such number.

    Attributes:
        side: of the hand.
        root_mm: distance of the roots.
        depth_mm: other minus one, along z.
        keypoints_mm: mean distance of the keypoints, camera space.
        shape_mm: the same with both roots at the origin.
        mesh_mm: mean distance of the vertices, camera space; NaN for meshes of different topologies.
    """

    side: str
    root_mm: float
    depth_mm: float
    keypoints_mm: float
    shape_mm: float
    mesh_mm: float = float("nan")


def differences(one: list[Hand], other: list[Hand]) -> list[Difference]:
    """One for each side that both have."""
    by_side = {hand.handedness: hand for hand in one}
    return [_difference(by_side[hand.handedness], hand) for hand in other if hand.handedness in by_side]


def _difference(old: Hand, new: Hand) -> Difference:
    root_m = new.root_m - old.root_m
    keypoints_m = new.keypoints_m - old.keypoints_m
    same = old.faces.shape == new.faces.shape and np.array_equal(old.faces, new.faces)
    return Difference(
        side=new.handedness,
        root_mm=1e3 * float(np.linalg.norm(root_m)),
        depth_mm=1e3 * float(root_m[2]),
        keypoints_mm=1e3 * float(np.linalg.norm(keypoints_m, axis=1).mean()),
        shape_mm=1e3 * float(np.linalg.norm(keypoints_m - root_m, axis=1).mean()),
        mesh_mm=1e3 * float(np.linalg.norm(new.vertices_m - old.vertices_m, axis=1).mean()) if same else float("nan"),
    )
