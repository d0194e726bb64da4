"""Versions of the program and its parts, also where the program runs from its folder without being installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PROGRAM = "handdgp-live"


def version_of(package: str = PROGRAM) -> str:
    """The installed version, or "not installed"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
