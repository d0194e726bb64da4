"""Errors of a refiner, and of the `landmarks` model that it stands on, view by view."""

from __future__ import annotations

import torch
from torch import Tensor

from handdgp_core.estimation.landmarks import HALF_WEIGHT_PX
from handdgp_core.geometry.positioning import position_refined
from handdgp_core.networks.backbones.mediapipe_landmarks import INPUT_SIZE
from handdgp_core.networks.pose_refiner import Evidence, PoseRefiner, Refined
from handdgp_core.training.teacher.data import RefinerSet
from handdgp_core.training.teacher.losses import sized_points

__all__ = ["score"]


@torch.inference_mode()
def score(refiner: PoseRefiner | None, views: RefinerSet) -> dict[str, Tensor]:
    """Errors of every view, (N,) each; of the `landmarks` model without a refiner.

    Returns:
        joint_mm: 20 keypoints without the wrist in camera space. sized_mm: the same with the true hand length given;
        uniform_mm: the same with uniform weights in DGP. relative_mm: keypoints relative to the root, true length.
        root_mm, uniform_root_mm: the root, true length. keypoints_px: 2D, crop pixels.
    """
    evidence, labels = views.evidence, views.labels
    found = refiner(evidence) if refiner is not None else _fit(evidence)
    uniform = torch.ones_like(found.weights)
    own = evidence.points_m @ found.rotation.transpose(1, 2)
    sized = sized_points(evidence, found, labels["keypoints_m"])
    true_m = labels["keypoints_m"] + labels["root_m"][:, None]
    plane = (found.pixels - evidence.center_px[:, None]) / evidence.focal_px[:, None, None]
    errors = {}
    for name, root_name, points, weights in (
        ("joint_mm", "", own, found.weights),
        ("sized_mm", "root_mm", sized, found.weights),
        ("uniform_mm", "uniform_root_mm", sized, uniform),
    ):
        root = position_refined(points.double(), plane.double(), weights.double()).root_m
        errors[name] = 1e3 * (points + root[:, None] - true_m)[:, 1:].norm(dim=-1).mean(-1)
        if root_name:
            errors[root_name] = 1e3 * (root - labels["root_m"]).norm(dim=-1)
    errors["relative_mm"] = 1e3 * (sized - labels["keypoints_m"]).norm(dim=-1).mean(-1)
    true_px = labels["keypoints_uv"] * INPUT_SIZE - 0.5
    return {**errors, "keypoints_px": (found.pixels - true_px).norm(dim=-1).mean(-1)}


def _fit(evidence: Evidence) -> Refined:
    """The fit as it is, weighted by how well each landmark agrees, as `landmarks` does."""
    placed = evidence.points_m @ evidence.rotation.transpose(1, 2) + evidence.root_m[:, None]
    projected = placed[..., :2] / placed[..., 2:] * evidence.focal_px[:, None, None] + evidence.center_px[:, None]
    off = (projected - evidence.pixels).norm(dim=-1)
    return Refined(evidence.rotation, evidence.pixels, 1 / (1 + (off / HALF_WEIGHT_PX) ** 2))
