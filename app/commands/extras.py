"""Packages that only some commands need: what to say where they are not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from handdgp_core.errors import UsageError


@contextmanager
def training_parts() -> Iterator[None]:
    """Imports inside may need the extra `train`.

    Raises:
        UsageError: one of its packages is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        cure = 'pip install "handdgp-live[train]", or pip install -e ".[train]" in a checkout'
        raise UsageError("the packages for training", f"no {error.name}", cure) from error
