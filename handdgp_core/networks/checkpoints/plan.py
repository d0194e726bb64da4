"""What a checkpoint says of its network: config and template, without the weights and without PyTorch.

Whoever runs the network by another engine needs no more than this, and need not wait for PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from safetensors import SafetensorError, safe_open

from handdgp_core.config import parse
from handdgp_core.errors import ShapeError, WeightsError
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.plain_files import parse_json

__all__ = ["NetworkPlan", "Planned", "read_config", "read_metadata", "read_plan"]

FORMAT = "handdgp-live network 1"
ARCHITECTURE = "handdgp"
_HINT = "Give a checkpoint that `train` or `import-weights` wrote, or get the file again."
_FOREIGN = "Turn a foreign checkpoint into one with: python main.py import-weights."


class Planned(Protocol):
    """A network (`HandDGP`), or what a checkpoint says of one."""

    @property
    def config(self) -> NetworkConfig:
        """What it is made of."""

    @property
    def template(self) -> Template:
        """Its mesh."""


class NetworkPlan(NamedTuple):
    """See `Planned`."""

    config: NetworkConfig
    template: Template


def read_plan(path: Path | str) -> NetworkPlan:
    """Config and template of a checkpoint.

    Raises:
        WeightsError: a file that is missing, damaged, foreign or of a newer version.
    """
    file = Path(path)
    metadata, arrays = read_tensors(file, "numpy", "template.")
    return NetworkPlan(config_of(metadata, file), template_of(metadata, arrays, file))


def read_metadata(path: Path | str) -> dict[str, str]:
    """The text in a checkpoint: format, architecture, config, template, and its writer's notes.

    Raises:
        WeightsError: a file that is missing, damaged or foreign.
    """
    return read_tensors(Path(path), "numpy", None)[0]


def read_config(path: Path | str) -> NetworkConfig:
    """How the network of a checkpoint is made, without its weights.

    Raises:
        WeightsError: a file that is missing, damaged or foreign.
    """
    return config_of(read_metadata(path), Path(path))


def read_tensors(file: Path, framework: str, prefix: str | None = "") -> tuple[dict[str, str], dict[str, Any]]:
    """The text, and the tensors whose names begin so (None: no tensors), as arrays of "numpy" or "pt" (PyTorch).

    Raises:
        WeightsError: a file that is missing, damaged or foreign.
    """
    if not file.is_file():
        raise wrong(file, "it is a folder" if file.is_dir() else "no such file")
    try:
        with safe_open(file, framework=framework) as content:
            metadata = dict(content.metadata() or {})
            _check_format(metadata, file)
            keys = [] if prefix is None else [key for key in content.keys() if key.startswith(prefix)]  # noqa: SIM118
            return metadata, {key: content.get_tensor(key) for key in keys}
    except (SafetensorError, OSError, TypeError) as error:
        raise wrong(file, f"a damaged or foreign file ({error})", f"{_HINT} {_FOREIGN}") from error


def config_of(metadata: Mapping[str, str], file: Path) -> NetworkConfig:
    """
    Raises:
        WeightsError: a config that cannot be read or makes no sense.
    """
    try:
        return parse(NetworkConfig, parse_json(metadata.get("config", "")), WeightsError)
    except ValueError as error:
        raise wrong(file, f"its config is not readable ({error})") from error
    except WeightsError as error:
        raise wrong(file, f"its config makes no sense ({error.message})") from error


def template_of(metadata: Mapping[str, str], arrays: Mapping[str, Any], file: Path) -> Template:
    """
    Raises:
        WeightsError: a template that is incomplete or damaged.
    """
    parts = {key.removeprefix("template."): value for key, value in arrays.items() if key.startswith("template.")}
    try:
        return Template.from_arrays(metadata.get("template", ""), parts)
    except KeyError as error:
        raise wrong(file, f"it has no template.{error.args[0]}") from error
    except (ShapeError, ValueError, TypeError, IndexError) as error:
        raise wrong(file, f"a damaged template ({error})") from error


def wrong(file: Path, reason: str, hint: str = _HINT) -> WeightsError:
    """The error for a checkpoint that cannot be used."""
    return WeightsError(f"Could not load a network from {file}: {reason}.", hint=hint)


def _check_format(metadata: Mapping[str, str], file: Path) -> None:
    actual = metadata.get("format")
    if actual == FORMAT and metadata.get("architecture") == ARCHITECTURE:
        return
    if actual is not None and actual.startswith(FORMAT.rsplit(" ", 1)[0]):
        reason = f"its format is {actual}, {metadata.get('architecture')}"
        raise wrong(file, reason, "Use a newer version of this program.")
    raise wrong(file, "a safetensors file of another program", _FOREIGN)
