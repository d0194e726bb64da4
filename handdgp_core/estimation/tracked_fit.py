"""The fit of the open hand from frame to frame: a hand that is followed starts from its last pose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.estimation.hand_fit import FitSettings, FittedPose, HandFitter, Observation, stack
from handdgp_core.estimation.predictor import Prediction
from handdgp_core.hands.open_hand.open_hand import OpenHand

__all__ = ["HALF_WEIGHT_PX", "TrackedFitter"]

_FORGET_AFTER_NS = 500_000_000
# A fit that costs so many times what the last frame's did may sit in a wrong minimum: a fresh one is tried beside it.
_SUSPECT = 1.5
# A keypoint whose 2D landmark lies this far (crop pixels) from the fitted hand gets half the weight.
HALF_WEIGHT_PX = 8.0


class _Known(NamedTuple):
    """The last fit of a hand (H = 1), what it cost, and when that was."""

    pose: FittedPose
    cost: float
    stamp_ns: int


class TrackedFitter:
    """Fits hands to what a network predicted, and remembers their poses for half a second.

    Args:
        hand: the model that is fitted.
        settings: standard deviations.
    """

    def __init__(self, hand: OpenHand, settings: FitSettings | None = None) -> None:
        self._hand = hand
        self._fitter = HandFitter(hand, settings)
        self._known: dict[int, _Known] = {}  # by track

    def fit(self, observation: Observation, track_ids: Sequence[int], stamp_ns: int) -> FittedPose:
        """Poses of H hands.

        Args:
            observation: of H hands; finite.
            track_ids: (H,) a negative one has no past.
            stamp_ns: of the frame. Poses older than half a second, or of the same frame or a later one, do not count.
        """
        starts = [self._recall(track, stamp_ns) for track in track_ids]
        found = [self._fit(observation.at(index), start) for index, start in enumerate(starts)]
        self._known = {
            track: _Known(*fitted, stamp_ns) for track, fitted in zip(track_ids, found, strict=True) if track >= 0
        }
        return stack([pose for pose, _ in found])

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

    def _fit(self, observation: Observation, last: _Known | None) -> tuple[FittedPose, float]:
        """The pose of one hand, and its cost."""
        if last is None:
            return self._fit_from(observation, None)
        found = self._fit_from(observation, last.pose)
        if found[1] <= _SUSPECT * last.cost:
            return found
        return min(found, self._fit_from(observation, None), key=lambda fitted: fitted[1])

    def _fit_from(self, observation: Observation, start: FittedPose | None) -> tuple[FittedPose, float]:
        pose, cost = self._fitter.fit_with_cost(observation, start)
        return pose, float(cost[0])

    def _recall(self, track: int, stamp_ns: int) -> _Known | None:
        known = self._known.get(track)
        return known if known is not None and 0 < stamp_ns - known.stamp_ns <= _FORGET_AFTER_NS else None


def _agreement(points_m: Array, observation: Observation) -> Array:
    """(H, 21) how well every 2D keypoint agrees with the fitted hand, 0 to 1 (Geman-McClure)."""
    projected = np.einsum("bij,bkj->bki", observation.matrix, points_m)
    distance = np.linalg.norm(projected[..., :2] / projected[..., 2:] - observation.pixels, axis=-1)
    return np.asarray(1.0 / (1.0 + (distance / HALF_WEIGHT_PX) ** 2))
