"""Early stop on numbers that are not finite, with the evidence kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from handdgp_core.errors import HandDGPError
from handdgp_core.files import write_tensors

__all__ = ["TrainingDiverged", "save_batch"]


class TrainingDiverged(HandDGPError):
    """A loss or gradient that is not finite. The batch that caused it has been saved."""


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
