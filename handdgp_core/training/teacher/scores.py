"""Errors of a refiner, and of the `landmarks` model that it stands on, view by view."""

from __future__ import annotations

import torch

from handdgp_core.arrays import Array
from handdgp_core.estimation.tracked_fit import HALF_WEIGHT_PX
from handdgp_core.evaluation.crop_errors import crop_errors
from handdgp_core.networks.backbones.mediapipe_landmarks import INPUT_SIZE
from handdgp_core.networks.pose_refiner import Evidence, PoseRefiner, Refined
from handdgp_core.training.teacher.data import RefinerSet

__all__ = ["score"]


@torch.inference_mode()
def score(refiner: PoseRefiner | None, views: RefinerSet) -> dict[str, Array]:
    """Errors of every view as `crop_errors` names them, (N,) each; of the `landmarks` model without a refiner."""
    evidence, labels = views.evidence, views.labels
    found = refiner(evidence) if refiner is not None else _fit(evidence)
    points_m = evidence.points_m @ found.rotation.transpose(1, 2)
    plane = (found.pixels - evidence.center_px[:, None]) / evidence.focal_px[:, None, None]
    true_m = labels["keypoints_m"] + labels["root_m"][:, None]
    true_px = labels["keypoints_uv"] * INPUT_SIZE - 0.5
    given = (points_m, found.pixels, plane, found.weights, true_m, true_px)
    return crop_errors(*(part.double().cpu().numpy() for part in given))


def _fit(evidence: Evidence) -> Refined:
    """The fit as it is, weighted by how well each landmark agrees, as `landmarks` does."""
    placed = evidence.points_m @ evidence.rotation.transpose(1, 2) + evidence.root_m[:, None]
    projected = placed[..., :2] / placed[..., 2:] * evidence.focal_px[:, None, None] + evidence.center_px[:, None]
    off = (projected - evidence.pixels).norm(dim=-1)
    return Refined(evidence.rotation, evidence.pixels, 1 / (1 + (off / HALF_WEIGHT_PX) ** 2))
