"""The loaders of a run: deterministic, resumable in the middle of an epoch, split over processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from handdgp_core.hands.template import Template
from handdgp_core.training.augmentation import AppearanceSettings, ViewPairs
from handdgp_core.training.config import DatasetConfig, TrainingConfig
from handdgp_core.training.datasets.sampling import BlockShuffle
from handdgp_core.training.readers import JoinedHands, open_dataset

__all__ = ["HandData", "ResumableLoader", "make_loader"]


class EpochDataset(Protocol):
    """A data set whose draws depend on the epoch."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...

    def set_epoch(self, epoch: int) -> None: ...


class ResumableLoader(DataLoader[Any]):
    """A DataLoader that knows how many batches it has handed out, so that Lightning can go on in the middle.

    Args:
        dataset: told the epoch before it is read.
        sampler: decides the order.
        options: of `DataLoader`.
    """

    def __init__(self, dataset: EpochDataset, sampler: BlockShuffle, **options: Any) -> None:
        super().__init__(dataset, sampler=sampler, **options)  # type: ignore[arg-type]
        self._draws = dataset
        self._order = sampler
        self._done = 0  # batches of this epoch that were handed out
        self._resumed = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self._draws.set_epoch(self._order.epoch)
        self._done, self._resumed = self._resumed, 0
        return self._counted(super().__iter__())

    def _counted(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            self._done += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where training stands; Lightning puts it into its checkpoints."""
        return {"epoch": self._order.epoch, "batches": self._done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on there; after a whole epoch, with the next one."""
        epoch, batches = state["epoch"], state["batches"]
        if batches >= len(self):
            epoch, batches = epoch + 1, 0
        self._resumed = batches
        self._order.resume(epoch, batches * int(self.batch_size or 1))


class HandData(LightningDataModule):
    """Training and validation loaders.

    Args:
        config: of the run.
        template: the network's; decides which meshes fit.

    Raises:
        DatasetError, AssetError, UsageError: as in `readers.open_dataset`.
    """

    def __init__(self, config: TrainingConfig, template: Template) -> None:
        super().__init__()
        self.config = config
        self._template = template
        views = config.augmentation.views(config.network)
        self._train = self._pairs(
            config.data.train, views, config.augmentation.appearance, 2 if config.data.two_views else 1
        )
        self._validation = (
            self._pairs(config.data.validation, views.steady(), AppearanceSettings.none(), 1)
            if config.data.validation
            else None
        )

    def train_dataloader(self) -> ResumableLoader:
        return self._loader(self._train, shuffle=True)

    def val_dataloader(self) -> Sequence[ResumableLoader]:
        return [] if self._validation is None else [self._loader(self._validation, shuffle=False)]

    def _pairs(
        self, configs: Sequence[DatasetConfig], views: Any, appearance: AppearanceSettings, count: int
    ) -> ViewPairs:
        parts = [open_dataset(config, self._template, self.config.data.model_folder) for config in configs]
        return ViewPairs(
            JoinedHands(parts, configs),
            self._template.vertex_count,
            views,
            appearance,
            count,
            self.config.seed,
            self._template.hand_scale_m,
            self._template.keypoint_count,
        )

    def _loader(self, pairs: ViewPairs, shuffle: bool) -> ResumableLoader:
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        assert isinstance(pairs.hands, JoinedHands)
        order = BlockShuffle(pairs.hands.lengths, self.config.seed, shuffle, rank=rank, ranks=ranks)
        return make_loader(pairs, order, self.config, drop_last=shuffle)


def make_loader(dataset: EpochDataset, order: BlockShuffle, config: TrainingConfig, drop_last: bool) -> ResumableLoader:
    """A loader with the configuration's batch size and processes. A set smaller than a batch is one batch."""
    data = config.data
    return ResumableLoader(
        dataset,
        order,
        batch_size=data.batch_size,
        num_workers=data.workers,
        drop_last=drop_last and len(order) >= data.batch_size,
        pin_memory=config.hardware.accelerator != "cpu" and torch.cuda.is_available(),
        persistent_workers=data.workers > 0,
    )
