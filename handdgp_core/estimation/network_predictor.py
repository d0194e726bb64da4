"""A checkpoint as a `Predictor`: crops through the network, its heads' output to the estimator, which runs DGP."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.engines import Engine, EngineOutput, describe
from handdgp_core.errors import WeightsError
from handdgp_core.estimation.distance_error import DistanceError
from handdgp_core.estimation.predictor import PositioningMethod, Prediction, View
from handdgp_core.estimation.stopwatch import Stopwatch
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.keypoints import COUNT
from handdgp_core.networks.checkpoints.plan import Planned

__all__ = ["NetworkPredictor"]


class NetworkPredictor:
    """Any HandDGP network. See `Predictor` for the attributes.

    It says neither whether there is a hand nor which one: `Prediction.score` and `right` are NaN.

    Args:
        network: what it is made of; for hands, 21 keypoints.
        engine: what runs it.
        name: as given to `--model`.
        distance_error: see `Predictor`, where somebody has measured it.

    Raises:
        WeightsError: a network that is not for hands.
    """

    def __init__(
        self,
        network: Planned,
        engine: Engine,
        name: str = "network",
        distance_error: DistanceError | None = None,
    ) -> None:
        if network.template.keypoint_count != COUNT:
            raise WeightsError(
                f"The network is not for hands: it has {network.template.keypoint_count} keypoints instead of {COUNT} "
                f"(template {network.template.name}).",
                hint="Choose another model.",
            )
        self.name = name
        self.method: PositioningMethod = network.config.positioning
        self.faces: NDArray[np.int32] = network.template.faces
        self.stage_ms: dict[str, float] = {}
        self.distance_error = distance_error
        self.assumed_length_m: float | None = None
        self._network = network
        self._engine = engine
        self.engine = describe(self._engine)

    def rectify(self, camera: Camera, crop: HandCrop) -> Rectification:
        size, wish = self._network.config.image_size, self._network.config.rectification
        if wish.policy == "published":
            return Rectification.published(camera, crop, size, wish.focal_px)
        if wish.policy == "none":
            return Rectification.none(camera, crop, size)
        return Rectification.fit(camera, crop, size, wish.fill)

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        watch = Stopwatch()
        unknown = np.full(len(images), np.nan)
        unused = np.zeros((len(images), 3, 3), np.float32)  # these networks do not look at intrinsics
        prediction = self._prediction(self._engine.run(images, unused), unknown, unknown)
        watch.lap("network")
        self.stage_ms = watch.laps_ms
        return prediction

    def use_best_engine(self) -> None:
        self._engine.settle()
        self.engine = describe(self._engine)

    def close(self) -> None:
        self._engine.close()

    def reset(self) -> None:
        """Every crop is predicted by itself."""

    @property
    def memory(self) -> object:
        """None: see `reset`."""
        return None

    @memory.setter
    def memory(self, memory: object) -> None: ...

    def _prediction(self, output: EngineOutput, score: Array, right: Array) -> Prediction:
        config, template = self._network.config, self._network.template
        vertices_m = output.vertices.astype(np.float64) * template.hand_scale_m
        return Prediction(
            keypoints_px=output.keypoints_uv.astype(np.float64) * config.image_size + config.pixel_offset,
            keypoints_m=template.keypoint_regressor @ vertices_m,
            vertices_m=vertices_m,
            weights=output.weights.astype(np.float64),
            score=score,
            right=right,
            misfit=np.full(len(score), np.nan),
        )
