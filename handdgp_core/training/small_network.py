"""Training of the small networks, the teacher's and the guide, on the CPU: AdamW, a warm-up, then a cosine to zero."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from handdgp_core.training import lightning_trainer
from handdgp_core.training.config import StageConfig
from handdgp_core.training.curriculum import rate_factor
from handdgp_core.training.divergence import TrainingDiverged, all_finite

__all__ = ["fit"]

_SCHEDULE = StageConfig(warmup_steps=50, schedule="cosine", final_factor=0.0)


def fit(
    network: nn.Module,
    loss: Callable[[], Tensor],
    steps: int,
    learning_rate: float,
    weight_decay: float,
    gradient_clip: float,
    after_step: Callable[[int], None] = lambda step: None,
) -> None:
    """Optimise a network in this process alone.

    Args:
        network: what is trained.
        loss: of the next batch.
        steps: how many.
        learning_rate: its peak.
        weight_decay: of AdamW.
        gradient_clip: largest norm of the gradient.
        after_step: told after every step how many were taken.

    Raises:
        TrainingDiverged: a loss or gradient that is not finite.
        KeyboardInterrupt: Ctrl-C.
    """
    module = _SmallNetwork(network, loss, steps, learning_rate, weight_decay, gradient_clip, after_step)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "GPU available but not used")
        trainer = lightning_trainer.make(
            plugins=[LightningEnvironment()],  # also where the run has several processes
            accelerator="cpu",
            devices=1,
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    lightning_trainer.fit(trainer, module, train_dataloaders=range(steps))  # a DataLoader would draw a random number


class _SmallNetwork(LightningModule):
    """Arguments as of `fit`."""

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[], Tensor],
        steps: int,
        learning_rate: float,
        weight_decay: float,
        gradient_clip: float,
        after_step: Callable[[int], None],
    ) -> None:
        super().__init__()
        self.network = network
        self._loss, self._after_step = loss, after_step
        self._steps, self._learning_rate = steps, learning_rate
        self._weight_decay, self._gradient_clip = weight_decay, gradient_clip
        self._value = torch.zeros(())

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        loss = self._loss()
        self._value = loss.detach()
        return loss

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Limits the gradient's norm; if it or the loss is not finite, nothing is learnt."""
        norm = torch.nn.utils.clip_grad_norm_(self.parameters(), self._gradient_clip)
        if not all_finite([self._value, norm]):
            raise TrainingDiverged(
                f"The loss is {float(self._value)} and the norm of the gradients {float(norm)} "
                f"at step {self.global_step}.",
                hint="Lower the learning rate.",
            )

    def on_train_batch_end(self, outputs: Any, batch: int, batch_idx: int) -> None:
        self._after_step(self.global_step)

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        optimiser = torch.optim.AdamW(self.parameters(), lr=self._learning_rate, weight_decay=self._weight_decay)
        schedule = LambdaLR(optimiser, lambda step: rate_factor(_SCHEDULE, step, self._steps))
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]
