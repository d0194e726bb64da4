"""Where the user's own licensed model files are looked for. They are never part of this program."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path

from handdgp_core.errors import AssetError
from handdgp_core.files import expanded

__all__ = ["find_model_file", "models_folder"]


def models_folder() -> Path:
    """The folder for model files; the environment variable HANDDGP_MODELS names another one."""
    chosen = os.environ.get("HANDDGP_MODELS")
    return expanded(chosen) if chosen else user_data_path("handdgp-live", appauthor=False) / "models"


def find_model_file(path: Path | str | None, names: tuple[str, ...], what: str, origin: str) -> Path:
    """The user's file: a path, a folder that holds it, or (None) the folder for model files.

    Args:
        path: file, folder or None.
        names: what the file may be called in a folder.
        what: what it is.
        origin: where to get it, a sentence.

    Raises:
        AssetError: there is none; says where to get it and where to put it.
    """
    place = models_folder() if path is None else expanded(path)
    candidates = [place / name for name in names] if path is None or place.is_dir() else [place]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    places = " or ".join(str(candidate) for candidate in candidates)
    raise AssetError(
        f"Could not find {what}: there is no file {places}.", hint=f"{origin} Put {names[0]} into {models_folder()}."
    )
