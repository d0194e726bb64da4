"""Trains a refiner: minutes on a CPU, repeatable, from a configuration to a weights file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from handdgp_core.augmentation import AppearanceSettings
from handdgp_core.datasets.shards import Shards
from handdgp_core.errors import UsageError
from handdgp_core.files import write_text
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.networks.checkpoints.refiner_file import save_refiner
from handdgp_core.networks.pose_refiner import PoseRefiner
from handdgp_core.training.small_network import fit
from handdgp_core.training.teacher.config import RefinerConfig
from handdgp_core.training.teacher.data import RefinerSet, load_set
from handdgp_core.training.teacher.losses import refiner_losses
from handdgp_core.training.teacher.scores import score

__all__ = ["fit_refiner", "train_refiner"]

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
    refiner = PoseRefiner(hand.dof_count, hand.shape_count, schedule.width, schedule.dropout).train()
    average = AveragedModel(refiner, avg_fn=functools.partial(_blend, schedule.average))
    average.update_parameters(refiner)

    def loss() -> Tensor:
        part = training.at(torch.randint(len(training), (schedule.batch_size,)))
        return refiner_losses(part.evidence, refiner(part.evidence), part.labels, config.losses)["total"]

    kept: PoseRefiner = average.module.eval()  # type: ignore[assignment]
    figures: dict[str, float] = {}

    def after_step(step: int) -> None:
        nonlocal figures
        average.update_parameters(refiner)
        if step % schedule.report_every == 0 or step == schedule.steps:
            kept.centre(training.evidence)
            figures = {name: float(value.mean()) for name, value in score(kept, validation).items()}
            report(step, figures)

    options = (schedule.steps, schedule.learning_rate, schedule.weight_decay, schedule.gradient_clip)
    fit(refiner, loss, *options, after_step)
    return kept, figures


def _blend(decay: float, mean: Tensor, value: Tensor, count: Tensor) -> Tensor:
    """The running mean of the weights, which so far is of `count` values: the first ones count little."""
    return torch.lerp(mean, value, 1 - min(decay, int(count) / (9 + int(count))))
