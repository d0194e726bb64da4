"""A guided network as one frozen graph, for use alone: the same numbers, without Python between its parts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from handdgp_core.networks.backbones.mediapipe_landmarks import LandmarkOutput
from handdgp_core.networks.guided_handdgp import GuidedHandDGP
from handdgp_core.networks.output import RelativeOutput

__all__ = ["Prediction", "freeze"]

# What a guided network predicts for crops, and the landmarks that it started from.
Prediction = tuple[RelativeOutput, LandmarkOutput]
_FOCAL_PX = 400.0


def freeze(network: GuidedHandDGP) -> Callable[[Tensor, Tensor], Prediction]:
    """A function of crops (B, 3, 224, 224) and their intrinsics (B, 3, 3) that gives what `network.read` gives.

    On a CPU it takes a tenth less time. Any B; later changes of the network's weights do not reach it.
    """
    parameter = next(network.parameters())
    size = network.config.image_size
    image = torch.zeros(1, 3, size, size, dtype=parameter.dtype, device=parameter.device)
    matrix = torch.tensor([[_FOCAL_PX, 0, size / 2], [0, _FOCAL_PX, size / 2], [0, 0, 1]])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's: checks of shapes, which this example has passed
        example = (image, matrix[None].to(image))
        graph: Any = torch.jit.freeze(torch.jit.trace(_Flat(network).eval(), example, check_trace=False))

    def read(image: Tensor, intrinsics: Tensor) -> Prediction:
        uv, vertices, weights, *landmarks = graph(image, intrinsics)
        return RelativeOutput(uv, vertices, weights), LandmarkOutput(*landmarks)

    return read


class _Flat(nn.Module):
    def __init__(self, network: GuidedHandDGP) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, intrinsics: Tensor) -> tuple[Tensor, ...]:
        output, landmarks = self.network.read(image, intrinsics)
        return (*output, *landmarks)
