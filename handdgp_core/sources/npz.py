"""Reading .npz files that may be anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def read_npz(path: Path) -> dict[str, NDArray]:
    """All arrays of an .npz file, in memory. Nothing is unpickled.

    Raises:
        ValueError: whatever is wrong with the file, in words.
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("one bare array instead of named ones")
        with archive:
            return {key: archive[key] for key in archive.files}
    except ValueError:
        raise
    except Exception as error:  # damaged bytes surface as zipfile, zlib, struct, memory and other errors
        raise ValueError(f"{type(error).__name__}: {error}") from error
