"""Loaders of distilled views for Lightning, in place of `training.data.HandData`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from handdgp_core.augmentation import ViewPairs
from handdgp_core.datasets.config import DatasetConfig
from handdgp_core.datasets.registry import JoinedHands
from handdgp_core.datasets.shards import Shards
from handdgp_core.hands.topology.template import Template
from handdgp_core.training.cached_views import Progress
from handdgp_core.training.config import TrainingConfig
from handdgp_core.training.data import BlockLoaders, open_pairs
from handdgp_core.training.distillation.teacher_outputs import DistilledViews, cached_outputs

__all__ = ["DistillationData", "Loading"]

Loading = Callable[[str, int, int], None]


class DistillationData(BlockLoaders):
    """Training and validation loaders of distilled views, which are computed where they are not in the cache.

    Validation, too, asks how near the teacher the network comes. How near the truth it comes is for `evaluate`.

    Args:
        config: of the run, with a teacher.
        template: the network's.
        loading: told (which data, pictures done, pictures in all).

    Attributes:
        training: the training views.

    Raises:
        AssetError, WeightsError, DatasetError, OutputError, UsageError: as `cached_outputs` and `open_dataset`.
    """

    def __init__(self, config: TrainingConfig, template: Template, loading: Loading) -> None:
        data, draws = config.data, config.teacher.draws
        varied = open_pairs(config, template, data.train, varied=True)
        training = _distilled(config, varied, data.train, draws, functools.partial(loading, "training"))
        validation = None
        if data.validation:
            steady = open_pairs(config, template, data.validation, varied=False)
            validation = _distilled(config, steady, data.validation, 1, functools.partial(loading, "validation"))
        super().__init__(config, training, validation)
        self.training = training


def _distilled(
    config: TrainingConfig, pairs: ViewPairs, datasets: Sequence[DatasetConfig], draws: int, progress: Progress
) -> DistilledViews:
    teacher = config.teacher
    weights, cache = Path(teacher.weights), Path(teacher.cache)
    return DistilledViews(
        cached_outputs(pairs, _origin(pairs, datasets), draws, weights, cache, config.data.workers, progress)
    )


def _origin(pairs: ViewPairs, datasets: Sequence[DatasetConfig]) -> str:
    """Where the pictures come from: the data sets as configured, and how drawn ones were drawn."""
    assert isinstance(pairs.hands, JoinedHands)
    named = zip(pairs.hands.parts, datasets, strict=True)
    return "; ".join(f"{part.info.origin if isinstance(part, Shards) else ''} {dataset}" for part, dataset in named)
