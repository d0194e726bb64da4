"""Writing .safetensors files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from handdgp_core.errors import OutputError

__all__ = ["write_tensors"]


def write_tensors(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a file, never half: through a temporary name in the same folder, which is made where it is missing.

    Args:
        file: the file.
        tensors: on the CPU, each contiguous.
        metadata: text to keep with them.

    Raises:
        OutputError: the place cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
        os.close(handle)
        try:
            save_file(dict(tensors), part, dict(metadata or {}))
            os.chmod(part, 0o666 & ~_umask())
            os.replace(part, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
    except (OSError, SafetensorError) as error:
        raise OutputError(f"to write {file}", str(error), "choose another place, or make room") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
