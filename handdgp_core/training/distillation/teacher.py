"""The teacher: landmarks, the open hand fitted to them, a refiner's corrections, and the root that follows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from handdgp_core.estimation.landmarks import landmarks_from
from handdgp_core.estimation.refined_landmarks import evidence_of, teacher_fit, teacher_fitter
from handdgp_core.geometry.positioning import position_refined
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.hands.topology.template import HAND_SCALE_M
from handdgp_core.networks.backbones.mediapipe_landmarks import INPUT_SIZE, MediaPipeLandmarks
from handdgp_core.networks.checkpoints.refiner_file import load_refiner

__all__ = ["Teacher", "TeacherOutput"]


class TeacherOutput(NamedTuple):
    """The teacher's output for B views.

    Attributes:
        trunk: (B, 112, 14, 14) stride-16 features of MediaPipe's network.
        vertices: (B, V, 3) root-relative, hand-scale units, axes of the view.
        keypoints_uv: (B, 21, 2) crop fractions.
        weights: (B, 21).
        root_m: (B, 3); NaN where degenerate.
        presence: (B,) of a hand, 0 to 1.
    """

    trunk: Tensor
    vertices: Tensor
    keypoints_uv: Tensor
    weights: Tensor
    root_m: Tensor
    presence: Tensor


class Teacher:
    """Predicts hands from views by the refined fit. On the CPU.

    Args:
        weights: of a `PoseRefiner`, as `train --config configs/teacher.yaml` writes them.

    Raises:
        AssetError, WeightsError: a file is missing or damaged.
    """

    def __init__(self, weights: Path | str) -> None:
        self._network = MediaPipeLandmarks.load()
        self._hand = OpenHand.load()
        self._fitter = teacher_fitter(self._hand)
        self._refiner = load_refiner(weights)

    @torch.inference_mode()
    def outputs(self, image: Tensor, intrinsics: Tensor) -> TeacherOutput:
        """Of right hands: views (B, 3, 224, 224), RGB in [0, 1], and their intrinsics (B, 3, 3)."""
        trunk = self._network.trunk(image)
        landmarks = landmarks_from(self._network.heads(self._network.from_trunk(trunk).pooled))
        observation, pose = teacher_fit(landmarks, intrinsics.double().numpy(), self._fitter)
        found = self._refiner(evidence_of(self._hand, pose, observation, landmarks))
        turned = pose.turned(found.rotation.double().numpy())
        vertices, keypoints = (torch.from_numpy(part).float() for part in self._hand.forward(turned))
        plane = (found.pixels - intrinsics[:, None, :2, 2]) / intrinsics[:, 0, 0, None, None]
        return TeacherOutput(
            trunk,
            vertices / HAND_SCALE_M,
            (found.pixels + 0.5) / INPUT_SIZE,
            found.weights,
            position_refined(keypoints, plane, found.weights).root_m,
            torch.from_numpy(landmarks.presence).float(),
        )
