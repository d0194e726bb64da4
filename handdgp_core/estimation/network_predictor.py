"""A checkpoint as a `Predictor`: crops through the network, its heads' output to the estimator, which runs DGP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from handdgp_core.errors import WeightsError
from handdgp_core.estimation.predictor import PositioningMethod, Prediction, View
from handdgp_core.estimation.stopwatch import Stopwatch
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.keypoints import COUNT
from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.output import RelativeOutput
from handdgp_core.networks.weights import load_network
from handdgp_core.types import Array, Camera, HandCrop

__all__ = ["NetworkPredictor"]


class NetworkPredictor:
    """Any HandDGP network. See `Predictor` for the attributes.

    The network says neither whether there is a hand nor which one: `Prediction.score` and `right` are NaN.

    Args:
        network: for hands, 21 keypoints.
        device: where it runs.
        name: as given to `--model`.

    Raises:
        WeightsError: a network that is not for hands.
    """

    def __init__(self, network: HandDGP, device: torch.device, name: str = "network") -> None:
        if network.template.keypoint_count != COUNT:
            found = f"one with {network.template.keypoint_count} (template {network.template.name})"
            raise WeightsError(f"a network for hands, with {COUNT} keypoints", found, "choose another model")
        self.name = name
        self.method: PositioningMethod = network.config.positioning
        self.faces: NDArray[np.int32] = network.template.faces
        self.stage_ms: dict[str, float] = {}
        self.distance_std = (float("nan"), float("nan"))
        self._network = network.to(device).eval()
        self._device = device

    @classmethod
    def load(cls, path: Path | str, device: torch.device) -> NetworkPredictor:
        """From a checkpoint of this program.

        Raises:
            WeightsError: the file is missing, damaged, foreign, or not for hands.
        """
        return cls(load_network(path), device, str(path))

    def rectify(self, camera: Camera, crop: HandCrop) -> Rectification:
        size, wish = self._network.config.image_size, self._network.config.rectification
        if wish.policy == "published":
            return Rectification.published(camera, crop, size, wish.focal_px)
        return Rectification.fit(camera, crop, size, wish.fill)

    def predict(self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int) -> Prediction:
        watch = Stopwatch()
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).to(torch.float32).div_(255)
            prediction = self._prediction(self._network.relative(batch))
        watch.lap("network")
        self.stage_ms = watch.laps_ms
        return prediction

    def reset(self) -> None:
        """There is nothing to forget: every picture is seen by itself."""

    def _prediction(self, seen: RelativeOutput) -> Prediction:
        vertices_m = seen.vertices * self._network.template.hand_scale_m
        unknown = np.full(len(seen.weights), np.nan)
        return Prediction(
            keypoints_px=_numpy(self._network.pixels(seen.keypoints_uv)),
            keypoints_m=_numpy(self._network.keypoints(vertices_m)),
            vertices_m=_numpy(vertices_m),
            weights=_numpy(seen.weights),
            score=unknown,
            right=unknown,
        )


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.double().cpu().numpy()
