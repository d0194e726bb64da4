"""A hand for every sample, as the servers of FreiHAND and HO3D want it, also where there is no root."""

from __future__ import annotations

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.errors import ShapeError
from handdgp_core.evaluation.summary import Pairs

__all__ = ["with_stand_ins"]


def with_stand_ins(pairs: Pairs) -> tuple[list[Array], list[Array], int]:
    """Keypoints and vertices of every sample; for one without a placed hand, those of the nearest placed one before it
    (or after it, at the beginning).

    Args:
        pairs: predictions with vertices, in the order of the data set.

    Returns:
        (21, 3) and (V, 3) of every sample, metres, and how many are stand-ins. These are no predictions: say how many
        there are wherever the figures are shown.

    Raises:
        ShapeError: no hand at all was placed, or there are no vertices.
    """
    rows = list(zip(pairs.predicted_m, pairs.predicted_vertices_m, strict=True))
    good = [index for index, (joints, mesh) in enumerate(rows) if _placed(joints) and _placed(mesh)]
    if not good:
        raise ShapeError(f"None of the {len(rows)} hands was placed with a mesh, so nothing can stand in for them.")
    chosen = np.maximum(np.searchsorted(good, np.arange(len(rows)), side="right") - 1, 0)
    picked = [rows[good[place]] for place in chosen]
    keypoints = [joints for joints, _ in picked if joints is not None]
    vertices = [mesh for _, mesh in picked if mesh is not None]
    return keypoints, vertices, len(rows) - len(good)


def _placed(points: Array | None) -> bool:
    return points is not None and bool(np.isfinite(points).all())
