"""Landmarks and the hand fitted to them, corrected by a refiner: the teacher of the `open` model, seen at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handdgp_core.estimation.hand_fit import FittedPose, Observation
from handdgp_core.estimation.landmarks import Landmarks, LandmarksPredictor
from handdgp_core.estimation.predictor import UNMEASURED, Prediction, View
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand
from handdgp_core.networks.backbones.mediapipe_landmarks import MediaPipeLandmarks
from handdgp_core.networks.checkpoints.refiner_file import load_refiner
from handdgp_core.networks.pose_refiner import Evidence, PoseRefiner

__all__ = ["RefinedPredictor", "evidence_of"]


class RefinedPredictor(LandmarksPredictor):
    """Landmarks -> open hand fit -> learned corrections. See `Predictor` for the attributes."""

    distance_std = UNMEASURED

    def __init__(
        self,
        network: MediaPipeLandmarks,
        hand: OpenHand,
        refiner: PoseRefiner,
        device: torch.device,
        name: str = "refined",
    ) -> None:
        super().__init__(network, hand, device)
        self.name = name
        self._refiner = refiner.eval()

    @classmethod
    def load_refined(cls, path: Path | str, device: torch.device) -> RefinedPredictor:
        """With the weights of a training run; named as they are.

        Raises:
            AssetError, WeightsError: a file is missing or damaged.
        """
        return cls(MediaPipeLandmarks.load(), OpenHand.load(), load_refiner(path), device, str(path))

    def predict(self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int) -> Prediction:
        landmarks, observation, pose = self._fitted(images, views, stamp_ns)
        with torch.inference_mode():
            found = self._refiner(evidence_of(self._hand, pose, observation, landmarks))
        rotation = found.rotation.double().numpy()
        vertices, keypoints = self._hand.forward(HandPose(rotation, pose.dof_rad, pose.shape, np.exp(pose.log_scale)))
        self._watch.lap("refinement")
        self.stage_ms = self._watch.laps_ms
        pixels, weights = found.pixels.double().numpy(), found.weights.double().numpy()
        return Prediction(pixels, keypoints, vertices, weights, landmarks.presence, landmarks.right)


def evidence_of(hand: OpenHand, pose: FittedPose, observation: Observation, landmarks: Landmarks) -> Evidence:
    """What the refiner reads: a fit, what it was fitted to, and what the landmark network says."""
    points, _ = hand.keypoints_and_jacobian(pose.dof_rad, pose.shape, np.exp(pose.log_scale))
    parts = (
        pose.rotation,
        pose.dof_rad / hand.dof_sd_rad,
        pose.shape,
        pose.log_scale,
        points,
        observation.world_m,
        pose.translation_m,
        observation.pixels,
        landmarks.depth,
        landmarks.presence,
        landmarks.right,
        observation.matrix[:, 0, 0],
        observation.matrix[:, :2, 2],
    )
    return Evidence(*(_tensor(part) for part in parts))


def _tensor(values: object) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
