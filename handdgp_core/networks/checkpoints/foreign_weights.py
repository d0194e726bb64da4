"""Reading weights that another program wrote, without running anything that lies in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from handdgp_core.errors import WeightsError
from handdgp_core.networks.checkpoints.torch_file import Skipped, read_torch
from handdgp_core.pickles import RefusedError

__all__ = ["read_state_dict", "read_torch_file"]


def read_state_dict(file: Path, hint: str) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a PyTorch file that is a state dict or holds one as `state_dict`.

    Raises:
        WeightsError: a file that is missing, damaged or holds something else; `hint` says what to do.
    """
    content = _read_safetensors(file, hint) if file.suffix == ".safetensors" else read_torch_file(file, hint)
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not content:
        raise WeightsError(f"{file} holds no tensors by name, but {type(content).__name__}.", hint=hint)
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            found = "of a kind that is not read" if isinstance(value, Skipped) else type(value).__name__
            raise WeightsError(f"{file} holds more than plain tensors: {key!r} is {found}.", hint=hint)
    return content


def read_torch_file(file: Path, hint: str) -> Any:
    """What `torch.save` wrote; numbers and containers as they are, objects of any other type as `Skipped`.

    Nothing of the file runs, and nothing is made that it does not hold.

    Raises:
        WeightsError: a file that is missing or damaged, or that insists on a type that must not be read.
    """
    problem = f"Could not read the PyTorch checkpoint {file}"
    try:
        return read_torch(file)
    except FileNotFoundError as error:
        raise WeightsError(f"{problem}: no such file.", hint=hint) from error
    except IsADirectoryError as error:
        raise WeightsError(f"{problem}: it is a folder.", hint=hint) from error
    except RefusedError as error:
        raise WeightsError(f"{problem}: it holds what must not be read ({_first_line(error)}).", hint=hint) from error
    except (RuntimeError, OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, MemoryError) as error:
        raise WeightsError(f"{problem}: a damaged or foreign file ({_first_line(error)}).", hint=hint) from error


def _read_safetensors(file: Path, hint: str) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except FileNotFoundError as error:
        raise WeightsError(f"Could not read the weights {file}: no such file.", hint=hint) from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"Could not read the weights {file}: a damaged file ({_first_line(error)}).", hint=hint
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
