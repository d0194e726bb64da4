"""Errors of a refiner, and of the fit that it stands on, view by view."""

from __future__ import annotations

import torch
from torch import Tensor

from handdgp_core.geometry.positioning import position_refined
from handdgp_core.networks.mediapipe_landmarks import INPUT_SIZE
from handdgp_core.networks.pose_refiner import PoseRefiner, Refined
from handdgp_core.training.refiner.data import RefinerSet
from handdgp_core.training.refiner.losses import sized_points

__all__ = ["score"]


@torch.inference_mode()
def score(refiner: PoseRefiner | None, views: RefinerSet) -> dict[str, Tensor]:
    """Errors of every view, (N,) each; of the fit itself without a refiner.

    Returns:
        joint_mm: 20 keypoints without the wrist in camera space. sized_mm: the same with the true hand length given;
        uniform_mm: the same with uniform weights in DGP. relative_mm: keypoints relative to the root, true length.
        root_mm: the root, true length. keypoints_px: 2D, crop pixels.
    """
    evidence, labels = views.evidence, views.labels
    uniform = torch.ones_like(evidence.depth)
    found = Refined(evidence.rotation, evidence.pixels, uniform) if refiner is None else refiner(evidence)
    own = evidence.points_m @ found.rotation.transpose(1, 2)
    sized = sized_points(evidence, found, labels["keypoints_m"])
    true_m = labels["keypoints_m"] + labels["root_m"][:, None]
    plane = (found.pixels - evidence.center_px[:, None]) / evidence.focal_px[:, None, None]
    errors = {}
    for name, points, weights in (
        ("joint_mm", own, found.weights),
        ("sized_mm", sized, found.weights),
        ("uniform_mm", sized, uniform),
    ):
        root = position_refined(points.double(), plane.double(), weights.double()).root_m
        errors[name] = 1e3 * (points + root[:, None] - true_m)[:, 1:].norm(dim=-1).mean(-1)
        if name == "sized_mm":
            errors["root_mm"] = 1e3 * (root - labels["root_m"]).norm(dim=-1)
    errors["relative_mm"] = 1e3 * (sized - labels["keypoints_m"]).norm(dim=-1).mean(-1)
    true_px = labels["keypoints_uv"] * INPUT_SIZE - 0.5
    return {**errors, "keypoints_px": (found.pixels - true_px).norm(dim=-1).mean(-1)}
