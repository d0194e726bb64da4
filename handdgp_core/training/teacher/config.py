"""A refiner's training run as one YAML file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from handdgp_core.augmentation import AppearanceSettings, ViewSettings
from handdgp_core.errors import UsageError
from handdgp_core.training.typed_yaml import read_yaml, to_dataclass, with_overrides

__all__ = [
    "RefinerConfig",
    "RefinerData",
    "RefinerLosses",
    "RefinerSchedule",
    "is_refiner_config",
    "load_refiner_config",
]


@dataclass(frozen=True)
class RefinerData:
    """Where the pictures are and how they are seen.

    Attributes:
        train, validation: folders of synthetic shards, of different seeds.
        cache: folder for what the landmark network and the fit say of them, which takes most of the time.
        limit: use the first training pictures only, rounded up to whole shards; null for all.
        views: augmented views of each training picture.
        least_presence: hands that the landmark network doubts more are left out: the program does not follow them.
    """

    train: str = "data/synthetic/train"
    validation: str = "data/synthetic/validation"
    cache: str = "data/synthetic/cache"
    limit: int | None = None
    views: int = 2
    least_presence: float = 0.5

    def __post_init__(self) -> None:
        if self.views < 1 or (self.limit or 1) < 1 or not 0 <= self.least_presence < 1:
            raise UsageError("data.views and limit of at least 1 and data.least_presence from 0 to 1", f"{self}")


@dataclass(frozen=True)
class RefinerSchedule:
    """How long and how fast.

    Attributes:
        steps: optimiser steps. More fit the renders better and photographs no better.
        batch_size: views a step.
        learning_rate: its peak; warmed up over 50 steps, then a cosine to zero.
        weight_decay, gradient_clip: of AdamW.
        average: decay of the running average of the weights, which is what is kept.
        width, dropout: of the network.
        report_every: steps between validations.
    """

    steps: int = 600
    batch_size: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    gradient_clip: float = 1.0
    average: float = 0.995
    width: int = 256
    dropout: float = 0.3
    report_every: int = 200

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.width, self.report_every) < 1:
            raise UsageError("steps, batch_size, width and report_every of at least 1", f"{self}")
        positive = (self.learning_rate, self.gradient_clip)
        if not all(math.isfinite(value) and value > 0 for value in positive) or not 0 <= self.dropout < 1:
            raise UsageError("a positive learning_rate and gradient_clip, a dropout from 0 to 1", f"{self}")


@dataclass(frozen=True)
class RefinerLosses:
    """Factors of the terms, see `losses.refiner_losses`."""

    keypoints_3d: float = 1.0
    keypoints_uv: float = 1.0
    root: float = 1.0
    projection: float = 0.5
    trust: float = 0.01


@dataclass(frozen=True)
class RefinerConfig:
    """The whole run.

    Attributes:
        method: says which kind of run the file is for.
        name: of the run's folder in `output`.
        seed: of everything random.
    """

    method: Literal["refiner"]
    name: str = "open"
    seed: int = 0
    data: RefinerData = field(default_factory=RefinerData)
    views: ViewSettings = field(default_factory=ViewSettings)
    appearance: AppearanceSettings = field(default_factory=AppearanceSettings)
    losses: RefinerLosses = field(default_factory=RefinerLosses)
    schedule: RefinerSchedule = field(default_factory=RefinerSchedule)
    output: str = "runs"

    @property
    def run_folder(self) -> Path:
        return Path(self.output) / self.name


def is_refiner_config(path: Path) -> bool:
    """Whether a configuration file is one of a refiner.

    Raises:
        UsageError: not readable.
    """
    return read_yaml(path).get("method") == "refiner"


def load_refiner_config(path: Path, overrides: Sequence[str] = ()) -> RefinerConfig:
    """Read a configuration; overrides are "dotted.key=value".

    Raises:
        UsageError: not readable, an unknown key, another type, or a value that makes no sense; it names the key.
    """
    return to_dataclass(RefinerConfig, with_overrides(read_yaml(path), overrides))
