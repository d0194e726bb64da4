"""A checkpoint as a `Predictor`: crops through the network, its heads' output to the estimator, which runs DGP."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.errors import WeightsError
from handdgp_core.estimation.predictor import UNMEASURED, PositioningMethod, Prediction, View
from handdgp_core.estimation.size_memory import SizeMemory, plausible_log_length
from handdgp_core.estimation.stopwatch import Stopwatch
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.keypoints import COUNT
from handdgp_core.hands.measure import hand_length_m
from handdgp_core.networks.frozen import freeze
from handdgp_core.networks.guided_handdgp import GuidedHandDGP
from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.output import RelativeOutput

__all__ = ["NetworkPredictor"]


class NetworkPredictor:
    """Any HandDGP network. See `Predictor` for the attributes.

    Most networks say neither whether there is a hand nor which one: then `Prediction.score` and `right` are NaN.

    Args:
        network: for hands, 21 keypoints.
        device: where it runs.
        name: as given to `--model`.
        distance_std: see `Predictor`, where somebody has measured it.

    Raises:
        WeightsError: a network that is not for hands.
    """

    def __init__(
        self,
        network: HandDGP,
        device: torch.device,
        name: str = "network",
        distance_std: tuple[float, float] = UNMEASURED,
    ) -> None:
        if network.template.keypoint_count != COUNT:
            found = f"one with {network.template.keypoint_count} (template {network.template.name})"
            raise WeightsError(f"a network for hands, with {COUNT} keypoints", found, "choose another model")
        self.name = name
        self.method: PositioningMethod = network.config.positioning
        self.faces: NDArray[np.int32] = network.template.faces
        self.stage_ms: dict[str, float] = {}
        self.distance_std = distance_std
        # A guided network takes the size from landmarks, which say something else in every picture.
        self._sizes = SizeMemory() if isinstance(network, GuidedHandDGP) else None
        self._network = network.to(device).eval()
        self._read = freeze(self._network) if isinstance(self._network, GuidedHandDGP) else None
        self._device = device

    def rectify(self, camera: Camera, crop: HandCrop) -> Rectification:
        size, wish = self._network.config.image_size, self._network.config.rectification
        if wish.policy == "published":
            return Rectification.published(camera, crop, size, wish.focal_px)
        return Rectification.fit(camera, crop, size, wish.fill)

    def predict(self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int) -> Prediction:
        watch = Stopwatch()
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).to(torch.float32).div_(255)
            prediction = self._seen(batch, views)
        if self._sizes is not None:
            prediction = self._steady(prediction, [view.crop.track_id for view in views], stamp_ns, self._sizes)
        watch.lap("network")
        self.stage_ms = watch.laps_ms
        return prediction

    def reset(self) -> None:
        if self._sizes is not None:
            self._sizes.reset()

    def _steady(self, seen: Prediction, track_ids: Sequence[int], stamp_ns: int, memory: SizeMemory) -> Prediction:
        """The hands at a plausible, steady size. Their shape and turn, and so the place in the image, stay."""
        own = np.log(hand_length_m(seen.keypoints_m))
        scale = np.exp(memory.steady(track_ids, plausible_log_length(own), stamp_ns) - own)[:, None, None]
        return seen._replace(keypoints_m=seen.keypoints_m * scale, vertices_m=seen.vertices_m * scale)

    def _seen(self, batch: torch.Tensor, views: Sequence[View]) -> Prediction:
        if self._read is None:
            unknown = torch.full((len(batch),), torch.nan)
            return self._prediction(self._network.relative(batch), unknown, unknown)
        matrices = np.stack([view.rectification.matrix for view in views]).astype(np.float32)
        return self._prediction(*self._read(batch, torch.from_numpy(matrices).to(self._device)))

    def _prediction(self, seen: RelativeOutput, score: torch.Tensor, right: torch.Tensor) -> Prediction:
        vertices_m = seen.vertices * self._network.template.hand_scale_m
        return Prediction(
            keypoints_px=_numpy(self._network.pixels(seen.keypoints_uv)),
            keypoints_m=_numpy(self._network.keypoints(vertices_m)),
            vertices_m=_numpy(vertices_m),
            weights=_numpy(seen.weights),
            score=_numpy(score),
            right=_numpy(right),
        )


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.double().cpu().numpy()
