"""Steps whose numbers are not finite: skipped up to a limit, then the run ends; the evidence is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handdgp_core.errors import HandDGPError
from handdgp_core.files import write_tensors

__all__ = ["FiniteSteps", "TrainingDiverged", "save_batch"]


class TrainingDiverged(HandDGPError):
    """A loss or gradient that is not finite. The batch that caused it has been saved."""


class FiniteSteps:
    """Tells steps that are not finite, and undoes them.

    Args:
        network: that learns.
        limit: how many steps of a run may be skipped.

    Attributes:
        skipped: how many were.
    """

    def __init__(self, network: nn.Module, limit: int) -> None:
        self.limit, self.skipped = limit, 0
        self._network = network
        self._buffers: list[Tensor] = []

    @property
    def may_skip(self) -> bool:
        """Whether one more may be skipped."""
        return self.skipped < self.limit

    def remember(self) -> None:
        """Before a step: what a pass changes beside the weights, the statistics of batch norms."""
        if self.may_skip:
            self._buffers = [buffer.clone() for buffer in self._network.buffers()]

    def check(self, values: list[Tensor], summed: Callable[[Tensor], Tensor]) -> bool:
        """Whether every number is finite, where steps may be skipped in all processes, so that they skip the same.

        Args:
            values: of this process.
            summed: adds a number up over all processes.
        """
        finite = all_finite(values)
        if not self.limit:
            return finite
        return float(summed(torch.tensor(float(not finite), device=values[0].device))) == 0

    def skip(self, keep_gradients: bool) -> None:
        """Leave weights and statistics as they were before the step."""
        for buffer, before in zip(self._network.buffers(), self._buffers, strict=True):
            buffer.copy_(before)
        for parameter in self._network.parameters() if not keep_gradients else ():
            parameter.grad = None
        self.skipped += 1


def save_batch(path: Path, batch: Mapping[str, Any], losses: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    """A batch and its losses as one safetensors file: tensors "view1.image" and so on, losses in the metadata.

    Raises:
        OutputError: the place cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in _flat(batch).items()}
    text = {f"loss.{name}": repr(float(value)) for name, value in losses.items()} | dict(notes)
    write_tensors(path, tensors, text)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Tensor]:
    flat: dict[str, Tensor] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, Tensor):
            flat[prefix + name] = value
    return flat


def all_finite(values: list[Tensor]) -> bool:
    """Whether every number is finite; waits for the device once."""
    return bool(torch.stack([torch.isfinite(value).all() for value in values]).all())
