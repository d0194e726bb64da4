"""The file of a `PoseRefiner`: .safetensors with the weights, and what they are in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from handdgp_core.errors import WeightsError
from handdgp_core.files import write_tensors
from handdgp_core.networks.pose_refiner import PoseRefiner

__all__ = ["is_refiner", "load_refiner", "save_refiner"]

FORMAT = "handdgp-live refiner 1"
_HINT = "Train one: python main.py train --config configs/teacher.yaml."


def save_refiner(refiner: PoseRefiner, path: Path | str, notes: Mapping[str, str] | None = None) -> None:
    """Write a refiner under a temporary name, then rename.

    Args:
        refiner: on any device.
        path: the file; its folder is made where due.
        notes: text to keep with it, such as its data and figures.

    Raises:
        OutputError: the place cannot be written.
    """
    file = Path(path)
    sizes = {"dofs": refiner.dofs, "shapes": refiner.shapes, "width": refiner.width}
    metadata = {**(notes or {}), "format": FORMAT, **{name: str(value) for name, value in sizes.items()}}
    write_tensors(
        file, {key: value.detach().cpu().contiguous() for key, value in refiner.state_dict().items()}, metadata
    )


def load_refiner(path: Path | str) -> PoseRefiner:
    """The refiner in a file, in evaluation mode.

    Raises:
        WeightsError: the file is missing, damaged, or of another kind.
    """
    file = Path(path)
    if not file.is_file():
        raise _unreadable(file, "no such file")
    try:
        with safe_open(file, framework="pt") as content:
            metadata = dict(content.metadata() or {})
            tensors = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise _unreadable(file, f"a damaged or foreign file ({error})") from error
    if metadata.get("format") != FORMAT:
        raise _unreadable(file, f"its format is {metadata.get('format', 'that of another program')}")
    try:
        refiner = PoseRefiner(*(int(metadata[name]) for name in ("dofs", "shapes", "width")))
        refiner.load_state_dict(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise _unreadable(file, f"other contents ({error})") from error
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise _unreadable(file, "numbers that are not finite")
    return refiner.eval()


def is_refiner(path: Path) -> bool:
    """Whether this is such a file, by its metadata alone. False for anything that cannot be read."""
    try:
        with safe_open(path, framework="pt") as content:
            return (content.metadata() or {}).get("format") == FORMAT
    except (SafetensorError, OSError):
        return False


def _unreadable(file: Path, reason: str) -> WeightsError:
    return WeightsError(f"Could not read the weights of a pose refiner from {file}: {reason}.", hint=_HINT)
