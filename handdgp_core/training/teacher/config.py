"""A refiner's training run as one YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from handdgp_core.augmentation import AppearanceSettings, ViewSettings
from handdgp_core.config import Config, Fraction, SelfChecking, parse
from handdgp_core.training.config import read_config, with_overrides

__all__ = [
    "RefinerConfig",
    "RefinerData",
    "RefinerLosses",
    "RefinerSchedule",
    "is_refiner_config",
    "load_refiner_config",
]

BelowOne = Annotated[float, Field(ge=0, lt=1)]


class RefinerData(Config):
    """Where the images are and which of them count.

    Attributes:
        train, validation: folders of synthetic shards, of different seeds.
        cache: folder for the outputs of the landmark network and the fit, which takes most of the time.
        limit: use the first training pictures only, rounded up to whole shards; null for all.
        views: augmented views of each training picture.
        least_presence: hands with a lower presence are skipped: the program does not follow them.
    """

    train: str = "data/synthetic/train"
    validation: str = "data/synthetic/validation"
    cache: str = "data/synthetic/cache"
    limit: PositiveInt | None = None
    views: PositiveInt = 2
    least_presence: BelowOne = 0.5


class RefinerSchedule(Config):
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

    steps: PositiveInt = 600
    batch_size: PositiveInt = 512
    learning_rate: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.1
    gradient_clip: PositiveFloat = 1.0
    average: Fraction = 0.995
    width: PositiveInt = 256
    dropout: BelowOne = 0.3
    report_every: PositiveInt = 200


class RefinerLosses(Config):
    """Factors of the terms, see `losses.refiner_losses`."""

    keypoints_3d: float = 1.0
    keypoints_uv: float = 1.0
    root: float = 1.0
    projection: float = 0.5
    trust: float = 0.01


class RefinerConfig(Config):
    """The whole run.

    Attributes:
        method: which kind of run the file is for.
        name: of the run's folder in `output`.
        seed: of everything random.
    """

    method: Literal["refiner"]
    name: str = "open"
    seed: int = 0
    data: RefinerData = RefinerData()
    views: Annotated[ViewSettings, SelfChecking] = ViewSettings()
    appearance: Annotated[AppearanceSettings, SelfChecking] = AppearanceSettings()
    losses: RefinerLosses = RefinerLosses()
    schedule: RefinerSchedule = RefinerSchedule()
    output: str = "runs"

    @property
    def run_folder(self) -> Path:
        return Path(self.output) / self.name


def is_refiner_config(path: Path) -> bool:
    """Whether a configuration file is one of a refiner.

    Raises:
        UsageError: not readable.
    """
    return read_config(path).get("method") == "refiner"


def load_refiner_config(path: Path, overrides: Sequence[str] = ()) -> RefinerConfig:
    """Read a configuration; overrides are "dotted.key=value".

    Raises:
        UsageError: not readable, an unknown key, another type, or a value that makes no sense; it names the key.
    """
    return parse(RefinerConfig, with_overrides(read_config(path), overrides))
