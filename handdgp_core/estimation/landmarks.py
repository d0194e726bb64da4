"""The `landmarks` model: MediaPipe's 2D and 3D landmarks, with the open hand model fitted to them.

No network of this project: the honest baseline that every other model must beat, and the fallback.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.estimation.distance_error import DistanceError
from handdgp_core.estimation.hand_fit import Observation
from handdgp_core.estimation.hand_length import ADULT_CHAIN_M, ADULT_LENGTH_STD
from handdgp_core.estimation.predictor import PositioningMethod, Prediction, View
from handdgp_core.estimation.stopwatch import Stopwatch
from handdgp_core.estimation.tracked_fit import TrackedFitter
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.measure import scaled_to_length
from handdgp_core.hands.open_hand.open_hand import OpenHand

if TYPE_CHECKING:  # PyTorch: not for whoever runs a network by another engine
    import torch

    from handdgp_core.networks.backbones.mediapipe_landmarks import LandmarkOutput, MediaPipeLandmarks

__all__ = ["Landmarks", "LandmarksPredictor", "landmarks_from", "observation_of"]

# As of the model "open", which errs alike: see `models.OPEN_DISTANCE_ERROR`.
LANDMARKS_DISTANCE_ERROR = DistanceError(depth_m=0.012, share=0.02, edge_on=0.08, size=ADULT_LENGTH_STD, near_m=0.04)


class Landmarks(NamedTuple):
    """What the landmark network predicts for B crops.

    Attributes:
        pixels: (B, 21, 2) crop pixels.
        depth: (B, 21) relative to the wrist, in MediaPipe's own unit, 2.5 crop pixels.
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
    distance_error: DistanceError | None = LANDMARKS_DISTANCE_ERROR
    assumed_length_m: float | None = ADULT_CHAIN_M

    def __init__(self, network: MediaPipeLandmarks, hand: OpenHand, device: torch.device) -> None:
        self.name = "landmarks"
        self.faces = hand.faces
        self.stage_ms: dict[str, float] = {}
        self._network = network.to(device).eval()
        self._fitter = TrackedFitter(hand)
        self._device = device
        self.engine = f"PyTorch, {device.type.upper()}"

    @classmethod
    def load(cls, device: torch.device) -> LandmarksPredictor:
        """From the program's assets.

        Raises:
            AssetError: an asset is missing or damaged.
        """
        from handdgp_core.networks.backbones.mediapipe_landmarks import MediaPipeLandmarks

        return cls(MediaPipeLandmarks.load(), OpenHand.load(), device)

    def rectify(self, camera: Camera, crop: HandCrop) -> Rectification:
        return Rectification.fit(camera, crop)

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        watch = Stopwatch()
        landmarks = self.landmarks(images)
        watch.lap("network")
        observation = observation_of(landmarks, views, length_m)
        track_ids = [view.crop.track_id for view in views]
        weights = np.ones(landmarks.depth.shape)
        found = self._fitter.predict(observation, weights, landmarks.presence, landmarks.right, track_ids, stamp_ns)
        watch.lap("fit")
        self.stage_ms = watch.laps_ms
        return found

    def landmarks(self, images: NDArray[np.uint8]) -> Landmarks:
        """Landmarks in (B, 224, 224, 3) uint8 RGB crops."""
        import torch

        from handdgp_core.engines.pytorch import crop_batch

        with torch.inference_mode():
            return landmarks_from(self._network(crop_batch(images, self._device)))

    def use_best_engine(self) -> None:
        """There is one."""

    def close(self) -> None:
        """Nothing."""

    def reset(self) -> None:
        self._fitter.reset()

    @property
    def memory(self) -> object:
        """The fit's."""
        return self._fitter.memory

    @memory.setter
    def memory(self, memory: object) -> None:
        self._fitter.memory = memory


def landmarks_from(output: LandmarkOutput) -> Landmarks:
    """The network's output in NumPy, float64."""
    return Landmarks(*(part.double().cpu().numpy() for part in output))


def observation_of(landmarks: Landmarks, views: Sequence[View], length_m: float | None) -> Observation:
    """What the open hand is fitted to: landmarks of B crops, at the given hand length or about an adult's."""
    lengths_m = np.full(len(views), ADULT_CHAIN_M if length_m is None else length_m)
    return Observation(
        scaled_to_length(landmarks.world_m, lengths_m),
        landmarks.pixels,
        np.stack([view.rectification.matrix for view in views]),
        landmarks.depth,
        lengths_m,
        np.full(len(views), ADULT_LENGTH_STD) if length_m is None else None,
    )
