"""A guided network as one frozen graph, for use alone: the same numbers, without Python between its parts."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from handdgp_core.networks.backbones.mediapipe_landmarks import LandmarkOutput
from handdgp_core.networks.guided_handdgp import GuidedHandDGP
from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.output import RelativeOutput

__all__ = ["Prediction", "digest", "freeze"]

# What a guided network predicts for crops, and the landmarks that it started from.
Prediction = tuple[RelativeOutput, LandmarkOutput]
_FOCAL_PX = 400.0


def freeze(network: GuidedHandDGP) -> Callable[[Tensor, Tensor], Prediction]:
    """A function of crops (B, 3, 224, 224) and their intrinsics (B, 3, 3) that gives what `network.read` gives.

    On a CPU it takes a tenth less time. Any B; later changes of the network's weights do not reach it. PyTorch keeps
    what it froze (39 MB of the network that comes with the program) until the process ends, so networks of equal
    weights share one graph.
    """
    parameter = next(network.parameters())
    key = f"{parameter.device} {parameter.dtype} {network.config.to_plain()} {digest(network)}"
    graph = _graphs[key] = _graphs.get(key) or _frozen(network)

    def read(image: Tensor, intrinsics: Tensor) -> Prediction:
        uv, vertices, weights, *landmarks = graph(image, intrinsics)
        return RelativeOutput(uv, vertices, weights), LandmarkOutput(*landmarks)

    return read


_graphs: dict[str, Any] = {}


def digest(network: HandDGP) -> str:
    """A hash of everything that decides a network's numbers but its config: weights and mesh."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    for name, array in network.template.to_arrays().items():
        digest.update(f"{name} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _frozen(network: GuidedHandDGP) -> Any:
    parameter = next(network.parameters())
    size = network.config.image_size
    image = torch.zeros(1, 3, size, size, dtype=parameter.dtype, device=parameter.device)
    matrix = torch.tensor([[_FOCAL_PX, 0, size / 2], [0, _FOCAL_PX, size / 2], [0, 0, 1]])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's: checks of shapes, which this example has passed
        example = (image, matrix[None].to(image))
        return torch.jit.freeze(torch.jit.trace(_Flat(network).eval(), example, check_trace=False))


class _Flat(nn.Module):
    def __init__(self, network: GuidedHandDGP) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, intrinsics: Tensor) -> tuple[Tensor, ...]:
        output, landmarks = self.network.read(image, intrinsics)
        return (*output, *landmarks)
