"""Checkpoints of this project: one .safetensors file that holds the weights, the config and the whole template.

    metadata    format, architecture, config (JSON), template (its name), and what the writer adds
    tensors     network.<parameter or buffer>, template.<array of Template.to_arrays>

Nothing in such a file can run. It needs no other file: a checkpoint opens where MANO's files are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.files import write_tensors
from handdgp_core.networks.checkpoints.plan import (
    ARCHITECTURE,
    FORMAT,
    config_of,
    read_metadata,
    read_tensors,
    template_of,
    wrong,
)
from handdgp_core.networks.guided_handdgp import make_network
from handdgp_core.networks.handdgp import HandDGP

__all__ = ["load_network", "read_metadata", "save_network"]

_SHOWN_FAULTS = 5


def save_network(
    network: HandDGP, path: Path | str, notes: Mapping[str, str] | None = None, half_precision: bool = False
) -> None:
    """Write a network, never half: through a temporary name in the same folder.

    Args:
        network: on any device.
        path: the file; its folder is made where it is missing.
        notes: text to keep with it, such as its origin. Names of this format are taken.
        half_precision: store weights as float16: half the size, and half a thousandth of relative error.

    Raises:
        OutputError: the place cannot be written.
        UsageError: a note under a name that this format uses.
    """
    file = Path(path)
    tensors = {f"network.{key}": _plain(value, half_precision) for key, value in network.state_dict().items()}
    for key, array in network.template.to_arrays().items():
        tensors[f"template.{key}"] = torch.from_numpy(array.copy())
    metadata = {
        "format": FORMAT,
        "architecture": ARCHITECTURE,
        "config": json.dumps(network.config.to_plain()),
        "template": network.template.name,
    }
    taken = metadata.keys() & (notes or {}).keys()
    if taken:
        raise UsageError(f"Notes cannot have the names {', '.join(sorted(taken))}: the format uses them itself.")
    write_tensors(file, tensors, {**metadata, **(notes or {})})


def load_network(path: Path | str, device: torch.device | str = "cpu") -> HandDGP:
    """The network in a checkpoint, in evaluation mode.

    Raises:
        WeightsError: a file that is missing, damaged, foreign, of a newer version, or incomplete.
    """
    file = Path(path)
    metadata, tensors = read_tensors(file, "pt")
    meshes = {key: value.numpy() for key, value in tensors.items() if key.startswith("template.")}
    template = template_of(metadata, meshes, file)
    config = config_of(metadata, file)
    try:
        network = make_network(config.model_copy(update={"pretrained": ""}), template)
    except (UsageError, ShapeError) as error:
        raise wrong(file, f"its config makes no network ({error.message})") from error
    network.config = config
    network.load_state_dict(_weights(network, tensors, file))
    return network.eval().to(device)


def _plain(value: Tensor, half_precision: bool) -> Tensor:
    value = value.detach().cpu().contiguous()  # some weights lie channels-last
    return value.half() if half_precision and value.is_floating_point() else value


def _weights(network: HandDGP, tensors: dict[str, Tensor], file: Path) -> dict[str, Tensor]:
    """The network's tensors by its own names, checked one by one."""
    own = network.state_dict()
    found = {key.removeprefix("network."): value for key, value in tensors.items() if key.startswith("network.")}
    faults = [f"missing {key}" for key in sorted(own.keys() - found.keys())]
    faults += [f"unknown {key}" for key in sorted(found.keys() - own.keys())]
    for key in sorted(own.keys() & found.keys()):
        if found[key].shape != own[key].shape:
            faults.append(f"{key} of shape {tuple(found[key].shape)} instead of {tuple(own[key].shape)}")
        elif not torch.isfinite(found[key]).all():
            faults.append(f"{key} with numbers that are not finite")
    if faults:
        more = f"; and {len(faults) - _SHOWN_FAULTS} more" if len(faults) > _SHOWN_FAULTS else ""
        raise wrong(file, "; ".join(faults[:_SHOWN_FAULTS]) + more)
    return found
