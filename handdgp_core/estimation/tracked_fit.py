"""The fit of the open hand from frame to frame: a hand that is followed starts from its last pose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.estimation.hand_fit import FitSettings, FittedPose, HandFitter, Observation, stack
from handdgp_core.estimation.predictor import Prediction
from handdgp_core.hands.open_hand.open_hand import OpenHand

__all__ = ["HALF_WEIGHT_PX", "TrackedFitter"]

_FORGET_AFTER_NS = 500_000_000
# A keypoint whose 2D landmark lies this far (crop pixels) from the fitted hand gets half the weight.
HALF_WEIGHT_PX = 8.0


class TrackedFitter:
    """Fits hands to what a network predicted, and remembers their poses for half a second.

    Args:
        hand: the model that is fitted.
        settings: standard deviations.
    """

    def __init__(self, hand: OpenHand, settings: FitSettings | None = None) -> None:
        self._hand = hand
        self._fitter = HandFitter(hand, settings)
        self._known: dict[int, tuple[FittedPose, int]] = {}  # track: last pose, stamp

    def fit(self, observation: Observation, track_ids: Sequence[int], stamp_ns: int) -> FittedPose:
        """Poses of H hands.

        Args:
            observation: of H hands; finite.
            track_ids: (H,) a negative one has no past.
            stamp_ns: of the frame. Poses older than half a second, or of the same frame or a later one, do not count.
        """
        starts = [self._recall(track, stamp_ns) for track in track_ids]
        known = [pose for pose in starts if pose is not None]
        if len(known) == len(starts):
            pose = self._fitter.fit(observation, stack(known))
        else:
            pose = stack([self._fitter.fit(observation.at(index), start) for index, start in enumerate(starts)])
        self._known = {track: (pose.at(index), stamp_ns) for index, track in enumerate(track_ids) if track >= 0}
        return pose

    def predict(
        self,
        observation: Observation,
        weights: Array,
        score: Array,
        right: Array,
        track_ids: Sequence[int],
        stamp_ns: int,
    ) -> Prediction:
        """The fitted hands, for DGP: the observed 2D keypoints, and `weights` (H, 21) less where they do not agree."""
        pose = self.fit(observation, track_ids, stamp_ns)
        vertices, keypoints = self._hand.forward(pose.turned(pose.rotation))
        weights = weights * _agreement(keypoints + pose.translation_m[:, None], observation)
        return Prediction(observation.pixels, keypoints, vertices, weights, score, right)

    def reset(self) -> None:
        """Forget all hands."""
        self._known = {}

    @property
    def memory(self) -> object:
        """The poses that it starts from; given back later, it goes on from there."""
        return self._known  # replaced with every frame, never changed

    @memory.setter
    def memory(self, memory: object) -> None:
        assert isinstance(memory, dict)
        self._known = memory

    def _recall(self, track: int, stamp_ns: int) -> FittedPose | None:
        pose, then_ns = self._known.get(track, (None, 0))
        return pose if 0 < stamp_ns - then_ns <= _FORGET_AFTER_NS else None


def _agreement(points_m: Array, observation: Observation) -> Array:
    """(H, 21) how well every 2D keypoint agrees with the fitted hand, 0 to 1 (Geman-McClure)."""
    projected = np.einsum("bij,bkj->bki", observation.matrix, points_m)
    distance = np.linalg.norm(projected[..., :2] / projected[..., 2:] - observation.pixels, axis=-1)
    return np.asarray(1.0 / (1.0 + (distance / HALF_WEIGHT_PX) ** 2))
