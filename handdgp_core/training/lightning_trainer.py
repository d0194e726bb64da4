"""The one place that makes and runs a Lightning trainer: what all trainings share, whatever they train."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from handdgp_core.training.termination import Termination

__all__ = ["fit", "make", "quieten"]


def make(callbacks: Sequence[Callback] = (), **options: Any) -> Trainer:
    """A trainer that SIGTERM ends in order, without a validation before the first step.

    Args:
        callbacks: more of Lightning's.
        options: of Lightning's `Trainer`.
    """
    quieten()
    return Trainer(callbacks=[*callbacks, Termination()], num_sanity_val_steps=0, **options)


def fit(trainer: Trainer, module: LightningModule, **data: Any) -> None:
    """Train.

    Args:
        trainer: of `make`.
        module: what is trained.
        data: arguments of Lightning's `Trainer.fit`.

    Raises:
        KeyboardInterrupt: Ctrl-C. Lightning itself ends the program then, and leaves it deaf to another Ctrl-C.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, **data)
    except SystemExit as end:
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None


def quieten() -> None:
    """Lightning's warnings come once, by the program's own way; its advertisements and notes on every file do not."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)
