"""Where the program's own data lie: beside the packages in a checkout, inside this one where it is installed."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

__all__ = ["bundled"]


def bundled(name: str) -> Path:
    """The place of a file or folder that comes with the program; it need not exist, readers say what is missing.

    Args:
        name: as in the repository, with forward slashes.

    Examples:
        >>> bundled("assets/weights/open.safetensors").name
        'open.safetensors'
    """
    return _base() / name


@cache
def _base() -> Path:
    package = Path(str(files("handdgp_core")))
    inside = package / "_bundled"  # pyproject.toml puts assets/ and configs/ there in a wheel
    return inside if inside.is_dir() else package.parent
