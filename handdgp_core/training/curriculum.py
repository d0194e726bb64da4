"""The two-stage curriculum: which losses count, when a stage ends, and the learning rate at every step.

Nothing here knows torch or Lightning. The whole state is a handful of numbers that travel in the checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from handdgp_core.training.config import StageConfig, TrainingConfig
from handdgp_core.training.losses import Stage

__all__ = ["Curriculum", "CurriculumState", "rate_factor"]

ORDER: tuple[Stage, ...] = ("relative", "all")


@dataclass
class CurriculumState:
    """Where a run stands.

    Attributes:
        stage: which losses count.
        first_step: number of optimiser steps taken before this stage.
        epochs: epochs done in this stage.
        best: lowest validation loss of this stage.
        since_best: validations since then.
        finished: the last stage is over.
    """

    stage: Stage = "relative"
    first_step: int = 0
    epochs: int = 0
    best: float = math.inf
    since_best: int = 0
    finished: bool = False


class Curriculum:
    """Decides after every epoch whether the stage goes on.

    Args:
        config: of the run. A stage of 0 epochs is skipped.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self._config = config
        self._stages: dict[Stage, StageConfig] = {"relative": config.curriculum.relative, "all": config.curriculum.all}
        self.state = CurriculumState(next(stage for stage in ORDER if self._stages[stage].epochs))

    @property
    def stage(self) -> Stage:
        """Which losses count now."""
        return self.state.stage

    @property
    def freezes_norms(self) -> bool:
        """Whether batch norms keep their statistics now."""
        return self._stages[self.stage].freeze_norms

    @property
    def end_to_end(self) -> bool:
        """Whether gradients flow through DGP now."""
        return self._stages[self.stage].end_to_end

    @property
    def frozen(self) -> tuple[str, ...]:
        """Beginnings of the names of parameters that rest now."""
        return self._config.optimiser.frozen + self._stages[self.stage].frozen

    @property
    def most_epochs(self) -> int:
        """Epochs of a run whose stages all take their time."""
        return sum(stage.epochs for stage in self._stages.values())

    def end_epoch(self, validation_loss: float | None, step: int) -> bool:
        """Record an epoch.

        Args:
            validation_loss: the losses of this stage on the validation data, or None without any.
            step: optimiser steps taken so far.

        Returns:
            Whether a new stage begins.
        """
        state, stage = self.state, self._stages[self.stage]
        state.epochs += 1
        if validation_loss is not None:
            better = validation_loss < state.best * (1.0 - stage.min_improvement) or math.isinf(state.best)
            state.best = min(state.best, validation_loss) if better else state.best
            state.since_best = 0 if better else state.since_best + 1
        converged = bool(stage.patience) and state.since_best >= stage.patience
        if state.epochs < stage.epochs and not converged:
            return False
        later = [name for name in ORDER[ORDER.index(self.stage) + 1 :] if self._stages[name].epochs]
        if not later:
            state.finished = True
            return False
        self.state = CurriculumState(later[0], first_step=step)
        return True

    def learning_rate(self, step: int, steps_per_epoch: float) -> float:
        """For the optimiser step number `step` (from 0, over the whole run)."""
        stage = self._stages[self.stage]
        done = step - self.state.first_step
        return self._config.learning_rate(stage) * rate_factor(stage, done, stage.epochs * steps_per_epoch)

    def to_plain(self) -> dict[str, Any]:
        """For a checkpoint: numbers, text and bools alone."""
        return asdict(self.state)

    def restore(self, values: dict[str, Any]) -> None:
        """The way back."""
        self.state = CurriculumState(**values)


def rate_factor(stage: StageConfig, done: int, total: float) -> float:
    """Factor on the learning rate after `done` of `total` steps of a stage."""
    progress = min(1.0, done / max(1, total))
    factor = 1.0
    if stage.schedule == "cosine":
        factor = stage.final_factor + (1 - stage.final_factor) * 0.5 * (1 + math.cos(math.pi * progress))
    elif stage.schedule == "steps":
        factor = stage.step_factor ** sum(progress >= milestone for milestone in stage.milestones)
    warmup = min(1.0, (done + 1) / stage.warmup_steps) if stage.warmup_steps else 1.0
    return factor * warmup
