"""SIGTERM ends a run in all its processes, whichever of them it reaches."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

__all__ = ["Termination"]

_EXIT_CODE = 128 + signal.SIGTERM
# A process that waits for another one which is gone never comes to the end of its batch.
GRACE_S = 30.0


class Termination(Callback):
    """Takes the place of Lightning's handler, which talks to other processes from within the signal, so that they wait
    for each other in different places for ever. Here the signal leaves a note, and all processes compare notes after
    every batch. Where that does not happen in time, the process and those it started end the hard way.
    """

    def __init__(self) -> None:
        self._received = False

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # only there can handlers be set; Lightning's are not there either

        def receive(signum: int, frame: Any) -> None:
            if not self._received:
                self._received = True
                late = threading.Timer(GRACE_S, _end_hard, [trainer])
                late.daemon = True
                late.start()

        # Lightning puts the handler from before the run back when the run is over.
        signal.signal(signal.SIGTERM, receive)

    def on_train_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        self._end_together(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        self._end_together(trainer)

    def _end_together(self, trainer: Trainer) -> None:
        received = self._received
        if trainer.world_size > 1:
            note = torch.tensor(float(received), device=trainer.strategy.root_device)
            received = bool(trainer.strategy.reduce(note, reduce_op="sum"))
        if received:
            raise SystemExit(_EXIT_CODE)


def _end_hard(trainer: Trainer) -> None:
    launcher = trainer.strategy.launcher
    if launcher is not None:
        launcher.kill(getattr(signal, "SIGKILL", signal.SIGTERM))
    os._exit(_EXIT_CODE)
