"""Loaders of taught views for Lightning, in place of `training.data.HandData`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lightning.pytorch import LightningDataModule

from handdgp_core.hands.template import Template
from handdgp_core.training.augmentation import AppearanceSettings, ViewPairs
from handdgp_core.training.config import DatasetConfig, TrainingConfig
from handdgp_core.training.data import ResumableLoader, make_loader
from handdgp_core.training.datasets.sampling import BlockShuffle
from handdgp_core.training.datasets.shards import Shards
from handdgp_core.training.distillation.views import TaughtViews, teach
from handdgp_core.training.readers import JoinedHands, open_dataset

__all__ = ["TaughtData"]

Loading = Callable[[str, int, int], None]


class TaughtData(LightningDataModule):
    """Training and validation loaders of taught views, which are computed where they are not in the cache.

    Validation, too, asks how near the teacher the network comes. How near the truth it comes is for `evaluate`.

    Args:
        config: of the run, with a teacher.
        template: the network's.
        loading: told (which data, pictures done, pictures in all).

    Attributes:
        training: the training views.

    Raises:
        AssetError, WeightsError, DatasetError, OutputError, UsageError: as `views.teach` and `readers.open_dataset`.
    """

    def __init__(self, config: TrainingConfig, template: Template, loading: Loading) -> None:
        super().__init__()
        self.config = config
        self._template = template
        self.training = self._views("training", config.data.train, 2 if config.data.two_views else 1, loading)
        told = config.data.validation
        self._validation = self._views("validation", told, 0, loading) if told else None

    def train_dataloader(self) -> ResumableLoader:
        return self._loader(self.training, shuffle=True)

    def val_dataloader(self) -> Sequence[ResumableLoader]:
        return [] if self._validation is None else [self._loader(self._validation, shuffle=False)]

    def _views(self, name: str, datasets: Sequence[DatasetConfig], count: int, loading: Loading) -> TaughtViews:
        """`count` varied views of each picture; 0 for the one that the program takes."""
        config = self.config
        named = [(open_dataset(dataset, self._template, config.data.model_folder), dataset) for dataset in datasets]
        views, appearance = config.augmentation.views(config.network), config.augmentation.appearance
        if not count:
            views, appearance = views.steady(), AppearanceSettings.none()
        pairs = ViewPairs(
            JoinedHands([part for part, _ in named], datasets),
            self._template.vertex_count,
            views,
            appearance,
            count or 1,
            config.seed,
            self._template.hand_scale_m,
            self._template.keypoint_count,
        )
        teacher = config.teacher
        origins = [f"{part.info.origin if isinstance(part, Shards) else ''} {dataset}" for part, dataset in named]
        files = teach(
            pairs,
            "; ".join(origins),
            teacher.draws if count else 1,
            Path(teacher.weights),
            Path(teacher.cache),
            config.data.workers,
            lambda done, total: loading(name, done, total),
        )
        return TaughtViews(files)

    def _loader(self, views: TaughtViews, shuffle: bool) -> ResumableLoader:
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        order = BlockShuffle(views.lengths, self.config.seed, shuffle, rank=rank, ranks=ranks)
        return make_loader(views, order, self.config, drop_last=shuffle)
