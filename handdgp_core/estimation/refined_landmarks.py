"""Landmarks and the hand fitted to them, corrected by a refiner: the teacher of the `open` model, seen at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handdgp_core.arrays import Array
from handdgp_core.estimation.distance_error import DistanceError
from handdgp_core.estimation.hand_fit import FitSettings, FittedPose, HandFitter, Observation
from handdgp_core.estimation.landmarks import Landmarks, LandmarksPredictor
from handdgp_core.estimation.predictor import Prediction, View
from handdgp_core.estimation.stopwatch import Stopwatch
from handdgp_core.hands.measure import hand_length_m, scaled_to_length
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.networks.backbones.mediapipe_landmarks import MediaPipeLandmarks
from handdgp_core.networks.checkpoints.refiner_file import load_refiner
from handdgp_core.networks.pose_refiner import Evidence, PoseRefiner

__all__ = ["RefinedPredictor", "evidence_of", "teacher_fit", "teacher_fitter"]

# Sizes beyond this many standard deviations of adult hands are clamped.
_LARGEST_SIZE_SD = 1.5


class RefinedPredictor(LandmarksPredictor):
    """Landmarks -> the teacher's fit -> learned corrections, every crop by itself. Attributes as of `Predictor`."""

    distance_error: DistanceError | None = None
    assumed_length_m: float | None = None

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
        self._hand = hand
        self._single = teacher_fitter(hand)
        self._refiner = refiner.eval()

    @classmethod
    def load_refined(cls, path: Path | str, device: torch.device) -> RefinedPredictor:
        """With the weights of a training run; named as they are.

        Raises:
            AssetError, WeightsError: a file is missing or damaged.
        """
        return cls(MediaPipeLandmarks.load(), OpenHand.load(), load_refiner(path), device, str(path))

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        watch = Stopwatch()
        landmarks = self.landmarks(images)
        watch.lap("network")
        matrices = np.stack([view.rectification.matrix for view in views])
        observation, pose = teacher_fit(landmarks, matrices, self._single)
        watch.lap("fit")
        with torch.inference_mode():
            found = self._refiner(evidence_of(self._hand, pose, observation, landmarks))
        rotation = found.rotation.double().numpy()
        vertices, keypoints = self._hand.forward(pose.turned(rotation))
        watch.lap("refinement")
        self.stage_ms = watch.laps_ms
        pixels, weights = found.pixels.double().numpy(), found.weights.double().numpy()
        unfitted = np.full(len(pixels), np.nan)
        return Prediction(pixels, keypoints, vertices, weights, landmarks.presence, landmarks.right, unfitted)


def teacher_fitter(hand: OpenHand) -> HandFitter:
    """The fit that refiners were trained on: close to the 3D landmarks, at their size, without their depths."""
    return HandFitter(hand, FitSettings(world_std_m=(0.006, 0.006, 0.010), pixel_std=3.0, tolerance=0.0))


def teacher_fit(landmarks: Landmarks, matrices: Array, fitter: HandFitter) -> tuple[Observation, FittedPose]:
    """What is fitted to, and the fit, of hands that are seen for the first time.

    Args:
        landmarks: of B crops.
        matrices: (B, 3, 3) intrinsics of the crops.
        fitter: of `teacher_fitter`.
    """
    hand = fitter.model
    limit, mean_m = _LARGEST_SIZE_SD * hand.scale_sd, hand_length_m(hand.keypoints)
    size = np.clip(np.log(hand_length_m(landmarks.world_m) / mean_m), -limit, limit)
    observation = Observation(scaled_to_length(landmarks.world_m, mean_m * np.exp(size)), landmarks.pixels, matrices)
    return observation, fitter.fit(observation)


def evidence_of(hand: OpenHand, pose: FittedPose, observation: Observation, landmarks: Landmarks) -> Evidence:
    """What the refiner reads: a fit, what it was fitted to, and what the landmark network predicts."""
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
