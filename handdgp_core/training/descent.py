"""The training loop of the small networks, the teacher's and the guide: AdamW, a warm-up, then a cosine to zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from handdgp_core.training.config import StageConfig
from handdgp_core.training.curriculum import rate_factor
from handdgp_core.training.divergence import TrainingDiverged, all_finite

__all__ = ["descend"]

_SCHEDULE = StageConfig(warmup_steps=50, schedule="cosine", final_factor=0.0)


def descend(
    module: nn.Module,
    loss: Callable[[], Tensor],
    steps: int,
    learning_rate: float,
    weight_decay: float,
    gradient_clip: float,
) -> Iterator[int]:
    """Optimise a module, and yield after every step how many were taken.

    Args:
        module: what is trained.
        loss: of the next batch.
        steps: how many.
        learning_rate: its peak.
        weight_decay: of AdamW.
        gradient_clip: largest norm of the gradient.

    Raises:
        TrainingDiverged: a loss or gradient that is not finite.
    """
    optimiser = torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = LambdaLR(optimiser, lambda step: rate_factor(_SCHEDULE, step, steps))
    for step in range(steps):
        value = loss()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        norm = torch.nn.utils.clip_grad_norm_(module.parameters(), gradient_clip)
        if not all_finite([value, norm]):
            raise TrainingDiverged(
                f"The loss is {float(value)} and the norm of the gradients {float(norm)} at step {step}.",
                hint="Lower the learning rate.",
            )
        optimiser.step()
        schedule.step()
        yield step + 1
