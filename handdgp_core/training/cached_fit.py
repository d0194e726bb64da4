"""Fits a small network to cached outputs of a frozen one, the teacher or the guide: AdamW, warm-up, cosine to zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from handdgp_core.training.config import StageConfig
from handdgp_core.training.curriculum import rate_factor
from handdgp_core.training.divergence import TrainingDiverged, all_finite
from handdgp_core.training.lightning_trainer import fit, lightning_trainer

__all__ = ["FitOptions", "fit_cached"]

_SCHEDULE = StageConfig(warmup_steps=50, schedule="cosine", final_factor=0.0)


@dataclass(frozen=True)
class FitOptions:
    """How long and how fast.

    Attributes:
        steps: how many.
        learning_rate: its peak.
        weight_decay: of AdamW.
        gradient_clip: largest norm of the gradient.
    """

    steps: int
    learning_rate: float
    weight_decay: float
    gradient_clip: float


def fit_cached(
    module: nn.Module, loss: Callable[[], Tensor], options: FitOptions, stepped: Callable[[int], None]
) -> None:
    """Optimise a module in this process alone, on the CPU.

    Args:
        module: what is trained, in training mode.
        loss: of the next batch.
        options: of the fit.
        stepped: told after every step how many were taken.

    Raises:
        TrainingDiverged: a loss or gradient that is not finite; the step is not taken.
    """
    trainer = lightning_trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    fit(trainer, _CachedFit(module, loss, options, stepped), train_dataloaders=range(options.steps))


class _CachedFit(LightningModule):
    """A batch is the number of its step: what it holds is for `loss` to draw."""

    def __init__(
        self, module: nn.Module, loss: Callable[[], Tensor], options: FitOptions, stepped: Callable[[int], None]
    ) -> None:
        super().__init__()
        self.module = module
        self._loss, self._options, self._stepped = loss, options, stepped
        self._value = torch.zeros(())

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        value = self._loss()
        self._value = value.detach()
        return value

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), self._options.gradient_clip)
        if not all_finite([self._value, norm]):
            raise TrainingDiverged(
                f"The loss is {float(self._value)} and the norm of the gradients {float(norm)} "
                f"at step {self.global_step}.",
                hint="Lower the learning rate.",
            )

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._stepped(self.global_step)

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        options = self._options
        optimiser = torch.optim.AdamW(
            self.module.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        schedule = LambdaLR(optimiser, lambda step: rate_factor(_SCHEDULE, step, options.steps))
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]
