"""What a refiner is trained for.

Nobody can tell from one picture how large a hand is, and renders do not show how landmark networks size real
hands. So size takes no part: prediction and truth are compared at the true hand's length (which is what DGP does when
the user gives it), and the size of the landmarks is left alone.

Weights are trained twice: by the root that they lead to, and as a statement of how far off a 2D keypoint is (the
negative log likelihood of a Laplace distribution, whose scale is small where the weight is near 1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from handdgp_core.geometry.positioning import position_refined
from handdgp_core.hands.topology.template import HAND_SCALE_M
from handdgp_core.networks.backbones.mediapipe_landmarks import INPUT_SIZE
from handdgp_core.networks.guide import chain_length
from handdgp_core.networks.pose_refiner import Evidence, Refined
from handdgp_core.training.losses import equations
from handdgp_core.training.teacher.config import RefinerLosses
from handdgp_core.training.teacher.data import Labels

__all__ = ["refiner_losses", "sized_points"]

# A weight w stands for a Laplace scale of _LEAST_PX + _HALF_PX (1 - w) / w pixels of the crop.
_LEAST_PX, _HALF_PX = 1.0, 4.0


def sized_points(evidence: Evidence, refined: Refined, true_m: Tensor) -> Tensor:
    """(B, 21, 3) corrected keypoints in the camera's axes, root-relative, as long as the true ones (B, 21, 3)."""
    points = evidence.points_m @ refined.rotation.transpose(1, 2)
    return points * (chain_length(true_m) / chain_length(points).clamp(min=0.01))[:, None, None]


def refiner_losses(evidence: Evidence, refined: Refined, labels: Labels, factors: RefinerLosses) -> dict[str, Tensor]:
    """Terms by name and "total", their weighted sum.

    keypoints_3d: L1, hand-scale units, at the true length. keypoints_uv: L1, crop fractions. root: L1 at the true
    length, as part of its distance. projection: L1 between the 3D keypoints, projected from the root found, and the
    true 2D keypoints. trust: negative log likelihood of 2D errors.
    """
    points = sized_points(evidence, refined, labels["keypoints_m"])
    plane = (refined.pixels - evidence.center_px[:, None]) / evidence.focal_px[:, None, None]
    solved = position_refined(points, plane, refined.weights)
    known = ~solved.degenerate
    uv = (refined.pixels + 0.5) / INPUT_SIZE
    distance = labels["root_m"].norm(dim=-1, keepdim=True)
    off_px = (uv - labels["keypoints_uv"]).abs().sum(-1) * INPUT_SIZE
    scale = _LEAST_PX + _HALF_PX * (1 - refined.weights) / refined.weights.clamp(min=1e-3)
    every = torch.ones_like(known)
    terms = {
        "keypoints_3d": equations.vertex_loss(points / HAND_SCALE_M, labels["keypoints_m"] / HAND_SCALE_M, every),
        "keypoints_uv": equations.keypoint_uv_loss(uv, labels["keypoints_uv"], every),
        "root": equations.root_loss(solved.root_m / distance, labels["root_m"] / distance, known),
        "projection": equations.keypoint_consistency_loss(
            points + solved.root_m[:, None], labels["keypoints_uv"], labels["intrinsics"], INPUT_SIZE, known
        ),
        "trust": (off_px / scale + 2 * scale.log()).mean(),
    }
    return terms | {"total": torch.stack([getattr(factors, name) * value for name, value in terms.items()]).sum()}
