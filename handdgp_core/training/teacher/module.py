"""Trains a refiner: minutes on a CPU, repeatable, from a configuration to a weights file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from torch import Tensor

from handdgp_core.augmentation import AppearanceSettings
from handdgp_core.datasets.shards import Shards
from handdgp_core.errors import UsageError
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.networks.checkpoints.refiner_file import save_refiner
from handdgp_core.networks.pose_refiner import PoseRefiner
from handdgp_core.training.checkpoints import write_text
from handdgp_core.training.config import StageConfig
from handdgp_core.training.curriculum import rate_factor
from handdgp_core.training.divergence import TrainingDiverged
from handdgp_core.training.teacher.config import RefinerConfig
from handdgp_core.training.teacher.data import RefinerSet, load_set
from handdgp_core.training.teacher.losses import refiner_losses
from handdgp_core.training.teacher.scores import score

__all__ = ["fit_refiner", "train_refiner"]

_PACE = StageConfig(warmup_steps=50, schedule="cosine", final_factor=0.0)
Report = Callable[[int, dict[str, float]], None]
Loading = Callable[[str, int, int], None]


def train_refiner(config: RefinerConfig, loading: Loading, report: Report) -> tuple[Path, dict[str, float]]:
    """A whole run: data, training, centring, and `refiner.safetensors` in the run's folder.

    Args:
        config: of the run.
        loading: told (which data, views done, views in all).
        report: told (step, figures).

    Returns:
        The file, and the validation figures (see `scores.score`).

    Raises:
        UsageError: a run of that name that is there already.
        DatasetError: data that are missing.
        TrainingDiverged: numbers that are not finite.
    """
    file = config.run_folder / "refiner.safetensors"
    if file.exists():
        raise UsageError(
            f"{config.run_folder} holds the weights of an earlier run.", hint="Choose another name with --set name=..."
        )
    training, validation = _data(config, loading)
    refiner, figures = fit_refiner(config, training, validation, report)
    write_text(config.run_folder / "config.yaml", yaml.safe_dump(config.to_plain(), sort_keys=False))
    notes = {name: f"{value:.2f}" for name, value in figures.items()}
    save_refiner(refiner, file, {**notes, "origin": "python main.py train --config configs/teacher.yaml"})
    return file, figures


def _data(config: RefinerConfig, loading: Loading) -> tuple[RefinerSet, RefinerSet]:
    """Training views, varied; validation views as at run time."""
    steady, plain = config.views.steady(), AppearanceSettings.none()
    sets = []
    for name, root, views, how, pixels, limit in (
        ("training", config.data.train, config.data.views, config.views, config.appearance, config.data.limit),
        ("validation", config.data.validation, 1, steady, plain, None),
    ):
        cache = Path(config.data.cache)
        found = load_set(
            Shards(root),
            cache,
            views,
            config.seed,
            how,
            pixels,
            lambda done, total, name=name: loading(name, done, total),  # type: ignore[misc]
            limit,
        )
        sets.append(found.followed(config.data.least_presence))
    return sets[0], sets[1]


def fit_refiner(
    config: RefinerConfig, training: RefinerSet, validation: RefinerSet, report: Report
) -> tuple[PoseRefiner, dict[str, float]]:
    """Train on sets that are there. Arguments and errors as in `train_refiner`."""
    schedule, hand = config.schedule, OpenHand.load()
    torch.manual_seed(config.seed)
    refiner = PoseRefiner(hand.dof_count, hand.shape_count, schedule.width, schedule.dropout)
    optimiser = torch.optim.AdamW(refiner.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    average = {name: value.detach().clone() for name, value in refiner.named_parameters()}
    figures: dict[str, float] = {}
    for step in range(schedule.steps):
        refiner.train()
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate * rate_factor(_PACE, step, schedule.steps)
        part = training.at(torch.randint(len(training), (schedule.batch_size,)))
        losses = refiner_losses(part.evidence, refiner(part.evidence), part.labels, config.losses)
        optimiser.zero_grad(set_to_none=True)
        losses["total"].backward()
        norm = torch.nn.utils.clip_grad_norm_(refiner.parameters(), schedule.gradient_clip)
        _check(step, losses["total"], norm)
        optimiser.step()
        _blend(average, refiner, min(schedule.average, (1 + step) / (10 + step)))
        if (step + 1) % schedule.report_every == 0 or step + 1 == schedule.steps:
            figures = _validated(refiner, average, training, validation)
            report(step + 1, figures)
    _assign(refiner, average)
    refiner.eval()
    refiner.centre(training.evidence)
    return refiner, figures


def _validated(
    refiner: PoseRefiner, average: dict[str, Tensor], training: RefinerSet, validation: RefinerSet
) -> dict[str, float]:
    """Figures of the averaged and centred weights; training goes on with the present ones."""
    present = {name: value.detach().clone() for name, value in refiner.named_parameters()}
    _assign(refiner, average)
    refiner.eval()
    refiner.centre(training.evidence)
    figures = {name: float(value.mean()) for name, value in score(refiner, validation).items()}
    refiner.means.zero_()
    _assign(refiner, present)
    return figures


def _check(step: int, loss: Tensor, norm: Tensor) -> None:
    if not (bool(torch.isfinite(loss)) and bool(torch.isfinite(norm))):
        raise TrainingDiverged(
            f"The loss is {float(loss)} and the norm of the gradients {float(norm)} at step {step}.",
            hint="Lower schedule.learning_rate.",
        )


def _blend(average: dict[str, Tensor], module: torch.nn.Module, decay: float) -> None:
    for name, value in module.named_parameters():
        average[name].lerp_(value.detach(), 1 - decay)


def _assign(module: torch.nn.Module, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(values[name])
