"""A guided network as a `Predictor`: the open hand is fitted to what it and its landmark backbone predict.

The network's heads have learned from renders, its backbone from photographs; neither sees how far away a hand is by
its size. The fit weighs both, holds the hand at one length, and gives DGP a hand whose 3D shape and 2D keypoints agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handdgp_core.engines import Engine
from handdgp_core.estimation.distance_error import DistanceError
from handdgp_core.estimation.hand_fit import FitSettings, Observation
from handdgp_core.estimation.hand_length import ADULT_CHAIN_M
from handdgp_core.estimation.landmarks import Landmarks, observation_of
from handdgp_core.estimation.network_predictor import NetworkPredictor
from handdgp_core.estimation.predictor import Prediction, View
from handdgp_core.estimation.stopwatch import Stopwatch
from handdgp_core.estimation.tracked_fit import TrackedFitter
from handdgp_core.hands.measure import scaled_to_length
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.networks.checkpoints.plan import Planned

__all__ = ["GuidedPredictor"]

# Standard deviations of the landmarks and of the network's keypoints. Chosen on four real sets (three people) by the
# camera-space error, mean over sets; near these it hardly changes (pixels from 1.5 to 3, metres from 0.02 to 0.09).
_LANDMARK_PX, _NETWORK_PX = 2.0, 3.0
_LANDMARK_M, _NETWORK_M = 0.045, 0.060


class GuidedPredictor(NetworkPredictor):
    """See `Predictor` for the attributes, and `NetworkPredictor` for the arguments.

    A network with another mesh than the open hand's is not fitted: its own hands go to DGP.
    """

    def __init__(
        self,
        network: Planned,
        engine: Engine,
        hand: OpenHand,
        name: str = "network",
        distance_error: DistanceError | None = None,
    ) -> None:
        super().__init__(network, engine, name, distance_error)
        world_std_m = _joint_std(_LANDMARK_M, _NETWORK_M)
        settings = FitSettings(
            world_std_m=(world_std_m, world_std_m, world_std_m), pixel_std=_joint_std(_LANDMARK_PX, _NETWORK_PX)
        )
        same_mesh = network.template.vertex_count == len(hand.vertices)
        self._fitter = TrackedFitter(hand, settings) if same_mesh else None
        self.assumed_length_m = ADULT_CHAIN_M if same_mesh else None

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        watch = Stopwatch()
        raw, landmarks = self.read(images, views)
        watch.lap("network")
        if self._fitter is not None:
            observation = _joined(observation_of(landmarks, views, length_m), raw)
            track_ids = [view.crop.track_id for view in views]
            raw = self._fitter.predict(observation, raw.weights, raw.score, raw.right, track_ids, stamp_ns)
            watch.lap("fit")
        self.stage_ms = watch.laps_ms
        return raw

    def read(self, images: NDArray[np.uint8], views: Sequence[View]) -> tuple[Prediction, Landmarks]:
        """The network's own hands, unfitted, and the landmarks that it starts from."""
        matrices = np.stack([view.rectification.matrix for view in views]).astype(np.float32)
        output = self._engine.run(images, matrices)
        assert output.landmarks is not None
        landmarks = Landmarks(*(part.astype(np.float64) for part in output.landmarks))
        return self._prediction(output, landmarks.presence, landmarks.right), landmarks

    def reset(self) -> None:
        if self._fitter is not None:
            self._fitter.reset()

    @property
    def memory(self) -> object:
        """The fit's."""
        return None if self._fitter is None else self._fitter.memory

    @memory.setter
    def memory(self, memory: object) -> None:
        if self._fitter is not None:
            self._fitter.memory = memory


def _joined(observation: Observation, raw: Prediction) -> Observation:
    """The landmarks and the network's keypoints as one observation: for independent noise, their weighted mean."""
    assert observation.length_m is not None
    pixel_share = _share(_NETWORK_PX, _LANDMARK_PX)
    world_share = _share(_NETWORK_M, _LANDMARK_M)
    network_m = scaled_to_length(raw.keypoints_m, observation.length_m)
    network_m += (observation.world_m - network_m).mean(axis=1, keepdims=True)
    return observation._replace(
        pixels=observation.pixels + pixel_share * (raw.keypoints_px - observation.pixels),
        world_m=observation.world_m + world_share * (network_m - observation.world_m),
    )


def _joint_std(one: float, other: float) -> float:
    return float((one**-2 + other**-2) ** -0.5)


def _share(of_std: float, beside_std: float) -> float:
    return of_std**-2 / (of_std**-2 + beside_std**-2)
