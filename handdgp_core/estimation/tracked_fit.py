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
# A fresh fit that costs more than this may sit in a wrong minimum: other first guesses are tried, turned by these
# rotation vectors. Nine in ten hands of four real sets cost less; their error hardly depends on it from 150 to 300.
_COSTLY = 200.0
_TURNS_RAD = np.array([[0, 60, 0], [0, -60, 0], [60, 0, 0], [-60, 0, 0], [0, 180, 0]]) * np.pi / 180
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
        return self._fit_all(observation, track_ids, stamp_ns)[0]

    def _fit_all(self, observation: Observation, track_ids: Sequence[int], stamp_ns: int) -> tuple[FittedPose, Array]:
        """Poses of H hands, and what they cost (H,). Of several views of one hand in a frame the cheapest is kept."""
        starts = [self._recall(track, stamp_ns) for track in track_ids]
        found = [self._fit(observation.at(index), start) for index, start in enumerate(starts)]
        known = {track: last for track, last in self._known.items() if last.stamp_ns == stamp_ns}
        for track, (pose, cost) in zip(track_ids, found, strict=True):
            if track >= 0 and (track not in known or cost < known[track].cost):
                known[track] = _Known(pose, cost, stamp_ns)
        self._known = known
        return stack([pose for pose, _ in found]), np.array([cost for _, cost in found])

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
        pose, cost = self._fit_all(observation, track_ids, stamp_ns)
        vertices, keypoints = self._hand.forward(pose.turned(pose.rotation))
        weights = weights * _agreement(keypoints + pose.translation_m[:, None], observation)
        return Prediction(observation.pixels, keypoints, vertices, weights, score, right, cost)

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
            return self._fit_afresh(observation)
        found = self._fit_from(observation, last.pose)
        if found[1] <= _SUSPECT * last.cost:
            return found
        return min(found, self._fit_afresh(observation), key=lambda fitted: fitted[1])

    def _fit_afresh(self, observation: Observation) -> tuple[FittedPose, float]:
        found = self._fit_from(observation)
        if found[1] <= _COSTLY:
            return found
        turned = [self._fit_from(observation, turn_rad=turn) for turn in _TURNS_RAD]
        return min([found, *turned], key=lambda fitted: fitted[1])

    def _fit_from(
        self, observation: Observation, start: FittedPose | None = None, turn_rad: Array | None = None
    ) -> tuple[FittedPose, float]:
        pose, cost = self._fitter.fit_with_cost(observation, start, turn_rad)
        return pose, float(cost[0])

    def _recall(self, track: int, stamp_ns: int) -> _Known | None:
        known = self._known.get(track)
        return known if known is not None and 0 < stamp_ns - known.stamp_ns <= _FORGET_AFTER_NS else None


def _agreement(points_m: Array, observation: Observation) -> Array:
    """(H, 21) how well every 2D keypoint agrees with the fitted hand, 0 to 1 (Geman-McClure)."""
    projected = np.einsum("bij,bkj->bki", observation.matrix, points_m)
    distance = np.linalg.norm(projected[..., :2] / projected[..., 2:] - observation.pixels, axis=-1)
    return np.asarray(1.0 / (1.0 + (distance / HALF_WEIGHT_PX) ** 2))
