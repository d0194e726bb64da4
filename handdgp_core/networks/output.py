"""What a hand network gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

__all__ = ["Auxiliary", "NetworkOutput", "RelativeOutput"]


class Auxiliary(NamedTuple):
    """What some networks predict on the way, for losses alone. B batch, K keypoints, M side of the maps.

    Attributes:
        meshes: (B, V_l, 3) root-relative vertices of the coarser levels 1, 2 ..., hand-scale units.
        maps: logits (B, K, M, M) of where each keypoint is, one for each stage that has them.
        silhouettes: logits (B, 1, M, M) of where the hand is, likewise.
    """

    meshes: Sequence[Tensor]
    maps: Sequence[Tensor]
    silhouettes: Sequence[Tensor]


class RelativeOutput(NamedTuple):
    """What the heads predict, before DGP. B batch, K keypoints, V vertices.

    Attributes:
        keypoints_uv: (B, K, 2) crop fractions.
        vertices: (B, V, 3) root-relative, in units of the template's hand scale, axes of the (virtual) camera.
        weights: (B, K) from 0 to 1.
    """

    keypoints_uv: Tensor
    vertices: Tensor
    weights: Tensor


class NetworkOutput(NamedTuple):
    """Hands in camera space. B batch, K keypoints, V vertices; the frame is the (virtual) camera's.

    Attributes:
        keypoints_uv: (B, K, 2) crop fractions, 0 to 1 inside the crop.
        vertices: (B, V, 3) root-relative, in units of the template's hand scale (0.2 m).
        weights: (B, K) from 0 to 1.
        root_m: (B, 3) found by DGP. NaN where degenerate.
        vertices_m: (B, V, 3). NaN where degenerate.
        keypoints_m: (B, K, 3). NaN where degenerate.
        degenerate: (B,) bool: DGP has no root for this sample. No gradient flows through its root.
    """

    keypoints_uv: Tensor
    vertices: Tensor
    weights: Tensor
    root_m: Tensor
    vertices_m: Tensor
    keypoints_m: Tensor
    degenerate: Tensor
