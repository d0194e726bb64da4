"""Checkpoints of this project: one .safetensors file that holds the weights, the config and the whole template.

    metadata    format, architecture, config (JSON), template (its name), and what the writer adds
    tensors     network.<parameter or buffer>, template.<array of Template.to_arrays>

Nothing in such a file can run. It needs no other file: a checkpoint opens where MANO's files are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from handdgp_core.config import parse
from handdgp_core.errors import ShapeError, UsageError, WeightsError
from handdgp_core.files import write_tensors
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.networks.guided_handdgp import make_network
from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.plain_files import parse_json

__all__ = ["load_network", "read_config", "read_metadata", "save_network"]

FORMAT = "handdgp-live network 1"
ARCHITECTURE = "handdgp"
_SHOWN_FAULTS = 5
_HINT = "Give a checkpoint that `train` or `import-weights` wrote, or get the file again."
_FOREIGN = "Turn a foreign checkpoint into one with: python main.py import-weights."


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
    metadata, tensors = _read(file)
    template = _template(metadata, tensors, file)
    config = _config(metadata, file)
    try:
        network = make_network(config.model_copy(update={"pretrained": ""}), template)
    except (UsageError, ShapeError) as error:
        raise _wrong(file, f"its config makes no network ({error.message})") from error
    network.config = config
    network.load_state_dict(_weights(network, tensors, file))
    return network.eval().to(device)


def read_metadata(path: Path | str) -> dict[str, str]:
    """The text in a checkpoint: format, architecture, config, template, and its writer's notes.

    Raises:
        WeightsError: a file that is missing, damaged or foreign.
    """
    return _read(Path(path), with_tensors=False)[0]


def read_config(path: Path | str) -> NetworkConfig:
    """How the network of a checkpoint is made, without its weights.

    Raises:
        WeightsError: a file that is missing, damaged or foreign.
    """
    return _config(read_metadata(path), Path(path))


def _plain(value: Tensor, half_precision: bool) -> Tensor:
    value = value.detach().cpu().contiguous()  # some weights lie channels-last
    return value.half() if half_precision and value.is_floating_point() else value


def _read(file: Path, with_tensors: bool = True) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not file.is_file():
        raise _wrong(file, "it is a folder" if file.is_dir() else "no such file")
    try:
        with safe_open(file, framework="pt") as content:
            metadata = dict(content.metadata() or {})
            _check_format(metadata, file)
            keys = content.keys() if with_tensors else []
            return metadata, {key: content.get_tensor(key) for key in keys}
    except (SafetensorError, OSError) as error:
        raise _wrong(file, f"a damaged or foreign file ({error})", f"{_HINT} {_FOREIGN}") from error


def _check_format(metadata: dict[str, str], file: Path) -> None:
    actual = metadata.get("format")
    if actual == FORMAT and metadata.get("architecture") == ARCHITECTURE:
        return
    if actual is not None and actual.startswith(FORMAT.rsplit(" ", 1)[0]):
        reason = f"its format is {actual}, {metadata.get('architecture')}"
        raise _wrong(file, reason, "Use a newer version of this program.")
    raise _wrong(file, "a safetensors file of another program", _FOREIGN)


def _config(metadata: dict[str, str], file: Path) -> NetworkConfig:
    try:
        return parse(NetworkConfig, parse_json(metadata.get("config", "")), WeightsError)
    except ValueError as error:
        raise _wrong(file, f"its config is not readable ({error})") from error
    except WeightsError as error:
        raise _wrong(file, f"its config makes no sense ({error.message})") from error


def _template(metadata: dict[str, str], tensors: dict[str, Tensor], file: Path) -> Template:
    arrays: dict[str, Any] = {
        key.removeprefix("template."): value.numpy() for key, value in tensors.items() if key.startswith("template.")
    }
    try:
        return Template.from_arrays(metadata.get("template", ""), arrays)
    except KeyError as error:
        raise _wrong(file, f"it has no template.{error.args[0]}") from error
    except (ShapeError, ValueError, TypeError, IndexError) as error:
        raise _wrong(file, f"a damaged template ({error})") from error


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
        raise _wrong(file, "; ".join(faults[:_SHOWN_FAULTS]) + more)
    return found


def _wrong(file: Path, reason: str, hint: str = _HINT) -> WeightsError:
    return WeightsError(f"Could not load a network from {file}: {reason}.", hint=hint)
