"""Reading weights that another program wrote, without running anything that lies in the file."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from handdgp_core.errors import WeightsError

__all__ = ["read_state_dict", "read_torch_file"]


class Skipped:
    """Stands for an object of a type that is not read, such as a training program's settings."""

    def __init__(self, *_args: object, **_named: object) -> None:
        pass

    def __setstate__(self, _state: object) -> None:
        pass


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
            raise WeightsError(f"{file} holds more than tensors: {key!r} is {type(value).__name__}.", hint=hint)
    return content


def read_torch_file(file: Path, hint: str) -> Any:
    """What `torch.save` wrote; numbers and containers as they are, objects of any other type as `Skipped`.

    Nothing of the file runs: PyTorch's weights-only reader takes each unknown type for `Skipped`.

    Raises:
        WeightsError: a file that is missing or damaged, or that insists on a type that must not be read.
    """
    problem = f"Could not read the PyTorch checkpoint {file}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names and formats that are old
            unknown = (
                torch.serialization.get_unsafe_globals_in_checkpoint(str(file)) if zipfile.is_zipfile(file) else []
            )
            stand_ins: list[Any] = [(type("Skipped", (Skipped,), {}), name) for name in unknown]
            with torch.serialization.safe_globals(stand_ins):
                return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(f"{problem}: no such file.", hint=hint) from error
    except IsADirectoryError as error:
        raise WeightsError(f"{problem}: it is a folder.", hint=hint) from error
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{problem}: it holds what must not be read ({_first_line(error)}).", hint=hint) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
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
