"""The `landmarks` model: MediaPipe's 2D and world landmarks, with the open hand model fitted to them.

No network of this project: the honest baseline that every other model must beat, and the fallback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.estimation.hand_fit import FittedPose, HandFitter, Observation, stack
from handdgp_core.estimation.predictor import PositioningMethod, Prediction, View
from handdgp_core.estimation.size_memory import FORGET_AFTER_NS, SizeMemory
from handdgp_core.estimation.stopwatch import Stopwatch
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.measure import hand_length_m
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand
from handdgp_core.networks.backbones.mediapipe_landmarks import LandmarkOutput, MediaPipeLandmarks

# A keypoint whose 2D landmark lies this far (crop pixels) from the fitted hand gets weight one half.
HALF_WEIGHT_PX = 8.0
# The network sizes a hand anew in every picture and can be 30 % off in a hard view. Sizes beyond this many standard
# deviations of adult hands are not believed, and the size of a hand that is followed is the mean of its last frames.
_BELIEVED_SIZE_SD = 1.5


@dataclass
class _Memory:
    """The last pose of a hand that is followed."""

    pose: FittedPose
    stamp_ns: int


class Landmarks(NamedTuple):
    """What the landmark network says of B crops.

    Attributes:
        pixels: (B, 21, 2) crop pixels.
        depth: (B, 21) crop pixels, relative to the wrist.
        world_m: (B, 21, 3) metres, axes of the crop.
        presence: (B,) of a hand, 0 to 1.
        right: (B,) that it is a right one, 0 to 1.
    """

    pixels: Array
    depth: Array
    world_m: Array
    presence: Array
    right: Array


class LandmarksPredictor:
    """MediaPipe landmarks -> open hand fit. See `Predictor` for the attributes."""

    method: PositioningMethod = "refined"
    # So that two standard deviations hold 95 % of the palm distances of the rendered demo and of 200 real pictures.
    distance_std = (0.06, 0.05)

    def __init__(self, network: MediaPipeLandmarks, hand: OpenHand, device: torch.device) -> None:
        self.name = "landmarks"
        self.faces = hand.faces
        self.stage_ms: dict[str, float] = {}
        self._network = network.to(device).eval()
        self._fitter = HandFitter(hand)
        self._hand = hand
        self._device = device
        self._memory: dict[int, _Memory] = {}
        self._sizes = SizeMemory()
        self._watch = Stopwatch()

    @classmethod
    def load(cls, device: torch.device) -> LandmarksPredictor:
        """From the program's assets.

        Raises:
            AssetError: an asset is missing or damaged.
        """
        return cls(MediaPipeLandmarks.load(), OpenHand.load(), device)

    def rectify(self, camera: Camera, crop: HandCrop) -> Rectification:
        return Rectification.fit(camera, crop)

    def predict(self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int) -> Prediction:
        landmarks, observation, pose = self._fitted(images, views, stamp_ns)
        vertices, keypoints = self._hand.forward(
            HandPose(pose.rotation, pose.dof_rad, pose.shape, np.exp(pose.log_scale))
        )
        self._watch.lap("fit")
        self.stage_ms = self._watch.laps_ms
        weights = _consistency(keypoints + pose.translation_m[:, None], observation)
        return Prediction(landmarks.pixels, keypoints, vertices, weights, landmarks.presence, landmarks.right)

    def _fitted(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int
    ) -> tuple[Landmarks, Observation, FittedPose]:
        """What the landmark network says, what of it was fitted to, and the fit."""
        self._watch = Stopwatch()
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).to(torch.float32).div_(255)
            landmarks = landmarks_from(self._network(batch))
        self._watch.lap("network")
        matrices = np.stack([view.rectification.matrix for view in views])
        observation = Observation(landmarks.world_m, landmarks.pixels, matrices)
        known = [self._recall(view.crop.track_id, stamp_ns) for view in views]
        track_ids = [view.crop.track_id for view in views]
        log_sizes = self._sizes.steady(track_ids, believed_log_size(observation.world_m, self._hand), stamp_ns)
        observation = sized(observation, self._hand, log_sizes)
        pose = self._fit(observation, known)
        self._memory = {
            track_id: _Memory(pose.at(index), stamp_ns) for index, track_id in enumerate(track_ids) if track_id >= 0
        }
        self._watch.lap("fit")
        return landmarks, observation, pose

    def reset(self) -> None:
        self._memory.clear()
        self._sizes.reset()

    def _fit(self, observation: Observation, known: Sequence[_Memory | None]) -> FittedPose:
        """Hands seen a moment ago start from their last pose, the others from the mean pose."""
        if all(memory is not None for memory in known):
            return self._fitter.fit(observation, stack([memory.pose for memory in known if memory is not None]))
        ones = [Observation(*(part[[index]] for part in observation)) for index in range(len(known))]
        starts = [memory.pose if memory is not None else None for memory in known]
        return stack([self._fitter.fit(one, start) for one, start in zip(ones, starts, strict=True)])

    def _recall(self, track_id: int, stamp_ns: int) -> _Memory | None:
        memory = self._memory.get(track_id)
        if memory is None or not 0 <= stamp_ns - memory.stamp_ns <= FORGET_AFTER_NS:
            return None
        return memory


def landmarks_from(output: LandmarkOutput) -> Landmarks:
    """The network's output in NumPy, float64."""
    return Landmarks(*(part.double().cpu().numpy() for part in output))


def fitted_alone(landmarks: Landmarks, matrices: Array, fitter: HandFitter) -> tuple[Observation, FittedPose]:
    """Hands that are seen for the first time: what is fitted to, at the size that is believed, and the fit.

    Args:
        landmarks: of B crops.
        matrices: (B, 3, 3) intrinsics of the crops.
        fitter: with the hand model.
    """
    observation = Observation(landmarks.world_m, landmarks.pixels, matrices)
    observation = sized(observation, fitter.model, believed_log_size(observation.world_m, fitter.model))
    return observation, fitter.fit(observation)


def believed_log_size(world_m: Array, hand: OpenHand) -> Array:
    """(B,) log size of 3D landmarks (B, 21, 3) against the mean adult, no further off than is believed."""
    limit = _BELIEVED_SIZE_SD * hand.scale_sd
    size: Array = np.clip(np.log(hand_length_m(world_m) / hand_length_m(hand.keypoints)), -limit, limit)
    return size


def sized(observation: Observation, hand: OpenHand, log_sizes: Array) -> Observation:
    """The 3D landmarks, scaled to the given log sizes (B,) against the mean adult."""
    factor = hand_length_m(hand.keypoints) * np.exp(log_sizes) / hand_length_m(observation.world_m)
    return observation._replace(world_m=observation.world_m * factor[:, None, None])


def _consistency(points_m: Array, observation: Observation) -> Array:
    """(B, 21) weight of every keypoint: how well its 2D landmark agrees with the fitted hand (Geman-McClure)."""
    projected = np.einsum("bij,bkj->bki", observation.matrix, points_m)
    pixels = projected[..., :2] / projected[..., 2:]
    distance = np.linalg.norm(pixels - observation.pixels, axis=-1)
    return 1.0 / (1.0 + (distance / HALF_WEIGHT_PX) ** 2)
