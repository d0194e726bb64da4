"""What the heads on a frozen landmark network are trained for.

Nobody can tell from one picture how large a hand is, so size is kept apart: the mesh and the root are compared after
scaling the prediction to the true hand's length (which is what DGP does when the user gives it), and the length itself
has a term of its own. What is left in the root's error is then shape, orientation and keypoints, which can be learned.

Weights are trained twice: by the root that they lead to, and as a statement of how far off a 2D keypoint is (the
negative log likelihood of a Laplace distribution, whose scale is small where the weight is near 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from handdgp_core.geometry.positioning import position_refined
from handdgp_core.hands.keypoints import FINGERS, WRIST
from handdgp_core.hands.template import HAND_SCALE_M
from handdgp_core.networks.landmark_handdgp import Tensors
from handdgp_core.training.losses import equations

__all__ = ["HeadLossWeights", "chain_length", "head_losses"]

_CHAIN = (WRIST, *FINGERS["middle"])
# A weight w stands for a Laplace scale of _LEAST_PX + _HALF_PX (1 - w) / w pixels in a crop of 224.
_LEAST_PX, _HALF_PX, _CROP_PX = 1.0, 4.0, 224.0


@dataclass(frozen=True)
class HeadLossWeights:
    """Factors of the terms.

    Attributes:
        vertices: L1 of root-relative vertices, hand-scale units, at the true length.
        keypoints_3d: the same of keypoints.
        length: L1 of the logarithm of the hand's length.
        keypoints_uv: L1 of 2D keypoints, crop fractions.
        root: L1 of the root at the true length, as part of its distance.
        projection: L1 between the projected 3D keypoints at the root found and the true 2D keypoints, crop fractions.
        trust: negative log likelihood of 2D errors.
    """

    vertices: float = 1.0
    keypoints_3d: float = 1.0
    length: float = 0.3
    keypoints_uv: float = 1.0
    root: float = 1.0
    projection: float = 0.5
    trust: float = 0.01


def chain_length(keypoints: Tensor) -> Tensor:
    """(B,) length from the wrist along the middle finger of keypoints (B, 21, 3)."""
    chain = keypoints[:, list(_CHAIN)]
    return (chain[:, 1:] - chain[:, :-1]).norm(dim=-1).sum(-1)


def head_losses(
    found: Tensors,
    regressed: Tensor,
    labels: dict[str, Tensor],
    weights: HeadLossWeights,
) -> dict[str, Tensor]:
    """Terms by name and their weighted sum, "total".

    Args:
        found: of the heads: keypoints (B, 21, 2) crop fractions, vertices (B, V, 3), weights (B, 21).
        regressed: (B, 21, 3) 3D keypoints of the same prediction, hand-scale units, root-relative.
        labels: keypoints_uv (B, 21, 2), vertices (B, V, 3) and keypoints (B, 21, 3) hand-scale units, root_m (B, 3),
            intrinsics (B, 3, 3).
    """
    uv, vertices, trust = found
    ratio = chain_length(labels["keypoints"]) / chain_length(regressed).clamp(min=0.05)
    factor = ratio[:, None, None]
    focal, center = labels["intrinsics"][:, 0, 0], labels["intrinsics"][:, :2, 2]
    plane = (uv * _CROP_PX - 0.5 - center[:, None]) / focal[:, None, None]
    solved = position_refined(regressed * factor * HAND_SCALE_M, plane, trust)
    known = ~solved.degenerate
    placed = regressed * factor * HAND_SCALE_M + solved.root_m[:, None]
    distance = labels["root_m"].norm(dim=-1, keepdim=True)
    off_px = (uv - labels["keypoints_uv"]).abs().sum(-1) * _CROP_PX
    scale = _LEAST_PX + _HALF_PX * (1 - trust) / trust.clamp(min=1e-3)
    every = torch.ones_like(known)
    terms = {
        "vertices": equations.vertex_loss(vertices * factor, labels["vertices"], every),
        "keypoints_3d": equations.vertex_loss(regressed * factor, labels["keypoints"], every),
        "length": ratio.log().abs().mean(),
        "keypoints_uv": equations.keypoint_uv_loss(uv, labels["keypoints_uv"], every),
        "root": equations.root_loss(solved.root_m / distance, labels["root_m"] / distance, known),
        "projection": equations.keypoint_consistency_loss(
            placed, labels["keypoints_uv"], labels["intrinsics"], int(_CROP_PX), known
        ),
        "trust": (off_px / scale + 2 * scale.log()).mean(),
    }
    total = torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()
    return terms | {"total": total}
