"""How many threads a network may take in this process, for every engine; PyTorch need not be loaded to say so."""

from __future__ import annotations

import sys

__all__ = ["apply_limit", "limit_threads", "thread_count"]

_waiting: int | None = None  # a limit that PyTorch has not been told


def limit_threads(count: int) -> None:
    """Give networks so many threads from now on."""
    global _waiting
    _waiting = count
    if "torch" in sys.modules:
        apply_limit()


def apply_limit() -> None:
    """Tell PyTorch. For whoever loads a network into it, for the limit may be older than it."""
    global _waiting
    import torch

    if _waiting is not None:
        torch.set_num_threads(_waiting)
        _waiting = None


def thread_count() -> int:
    """The limit; without one as many as PyTorch takes."""
    if _waiting is not None and "torch" not in sys.modules:
        return _waiting
    import torch

    apply_limit()
    return torch.get_num_threads()
