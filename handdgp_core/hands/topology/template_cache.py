"""Templates that were built before, in the user's cache folder, by the content that they were built from.

A cache must never be a reason to fail: what cannot be read is built again, what cannot be written is not kept.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from handdgp_core.errors import OutputError
from handdgp_core.files import whole_file
from handdgp_core.plain_files import read_npz

__all__ = ["content_key", "folder", "recall", "remember"]

# Another number where the way of building changes, so that old files are not used.
_VERSION = 1
_log = logging.getLogger(__name__)


def folder() -> Path:
    """Where templates are kept; the environment variable HANDDGP_CACHE names another place."""
    chosen = os.environ.get("HANDDGP_CACHE")
    return (Path(chosen) if chosen else user_cache_path("handdgp-live", appauthor=False)) / "templates"


def content_key(*arrays: NDArray[Any]) -> str:
    """A hash of the arrays' types, shapes and numbers."""
    digest = hashlib.sha256(f"template {_VERSION}".encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def recall(key: str) -> dict[str, NDArray[Any]] | None:
    """The arrays kept under a key, or None."""
    file = folder() / f"{key}.npz"
    try:
        return read_npz(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("Building a template again: %s cannot be read (%s)", file, error)
        return None


def remember(key: str, arrays: dict[str, NDArray[Any]]) -> None:
    """Keep arrays under a key; a full or read-only disk is only worth a warning."""
    try:
        with whole_file(folder() / f"{key}.npz", make_folder=True) as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    except OutputError as error:
        _log.warning("A template is not kept: %s", error)
