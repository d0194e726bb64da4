"""What Lightning says of itself."""

from __future__ import annotations

import logging

__all__ = ["quieten"]


def quieten() -> None:
    """Lightning's warnings come once, by the program's own way; its advertisements and notes on every file do not."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)
