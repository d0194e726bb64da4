"""PyTorch as an engine: the reference, on a processor or a CUDA device, always in float32."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from handdgp_core.engines.protocol import EngineOutput, Floats, LandmarkArrays, empty_crops
from handdgp_core.engines.threads import apply_limit
from handdgp_core.networks.frozen import freeze
from handdgp_core.networks.guided_handdgp import GuidedHandDGP
from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.output import RelativeOutput

__all__ = ["PyTorchEngine", "crop_batch"]


class PyTorchEngine:
    """See `Engine`.

    Args:
        network: what runs; moved to the device.
        device: "cpu" or "cuda".
        frozen: as one graph where that is quicker. PyTorch keeps such a graph until the process ends, so a look at the
            numbers alone goes without.
    """

    name = "pytorch"
    precision = "float32"

    def __init__(self, network: HandDGP, device: str, frozen: bool = True) -> None:
        apply_limit()
        self.device = device
        self._device = torch.device(device)
        self._network = network.to(self._device).eval()
        guided = network if isinstance(network, GuidedHandDGP) else None
        self._read = None if guided is None else freeze(guided) if frozen else guided.read

    def warm_up(self) -> None:
        self.run(*empty_crops(self._network.config.image_size))

    def run(self, images: NDArray[np.uint8], matrices: Floats) -> EngineOutput:
        crops = crop_batch(images, self._device)
        with torch.inference_mode():
            if self._read is None:
                return _output(self._network.relative(crops), None)
            output, landmarks = self._read(crops, torch.from_numpy(matrices).to(self._device))
            return _output(output, LandmarkArrays(*map(_numpy, landmarks)))

    def settle(self) -> None:
        """This is the engine that was chosen."""

    def close(self) -> None:
        """The network goes with its last user."""


def crop_batch(images: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """(B, 3, size, size) float32 in [0, 1] of RGB crops (B, size, size, 3)."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).to(torch.float32).div_(255)


def _output(output: RelativeOutput, landmarks: LandmarkArrays | None) -> EngineOutput:
    return EngineOutput(_numpy(output.keypoints_uv), _numpy(output.vertices), _numpy(output.weights), landmarks)


def _numpy(tensor: torch.Tensor) -> Floats:
    array: Floats = tensor.float().cpu().numpy()
    return array
