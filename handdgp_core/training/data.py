"""The loaders of a run: deterministic, resumable in the middle of an epoch, split over processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from handdgp_core.augmentation import AppearanceSettings, ViewPairs
from handdgp_core.datasets.config import DatasetConfig
from handdgp_core.datasets.registry import JoinedHands, open_dataset
from handdgp_core.datasets.sampling import BlockShuffle
from handdgp_core.hands.topology.template import Template
from handdgp_core.training.config import TrainingConfig

__all__ = ["BlockLoaders", "HandData", "ResumableLoader", "make_loader", "open_pairs"]


class EpochDataset(Protocol):
    """A data set whose draws depend on the epoch."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...

    def set_epoch(self, epoch: int) -> None: ...


class BlockDataset(EpochDataset, Protocol):
    """One whose samples lie in blocks that are best read together; `lengths` of them, in their order."""

    @property
    def lengths(self) -> Sequence[int]: ...


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


class BlockLoaders(LightningDataModule):
    """Loaders of training and validation data that are there already.

    Args:
        config: of the run.
        training: the training data.
        validation: the validation data, if any.
    """

    def __init__(self, config: TrainingConfig, training: BlockDataset, validation: BlockDataset | None) -> None:
        super().__init__()
        self.config = config
        self._training = training
        self._validation = validation

    def train_dataloader(self) -> ResumableLoader:
        return self._loader(self._training, shuffle=True)

    def val_dataloader(self) -> Sequence[ResumableLoader]:
        return [] if self._validation is None else [self._loader(self._validation, shuffle=False)]

    def _loader(self, data: BlockDataset, shuffle: bool) -> ResumableLoader:
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        order = BlockShuffle(data.lengths, self.config.seed, shuffle, rank=rank, ranks=ranks)
        return make_loader(data, order, self.config, drop_last=shuffle)


class HandData(BlockLoaders):
    """Training and validation loaders of what is configured.

    Args:
        config: of the run.
        template: the network's; decides which meshes fit.

    Raises:
        DatasetError, AssetError, UsageError: as in `datasets.registry.open_dataset`.
    """

    def __init__(self, config: TrainingConfig, template: Template) -> None:
        data = config.data
        validation = open_pairs(config, template, data.validation, varied=False) if data.validation else None
        super().__init__(config, open_pairs(config, template, data.train, varied=True), validation)


def open_pairs(
    config: TrainingConfig, template: Template, datasets: Sequence[DatasetConfig], varied: bool
) -> ViewPairs:
    """Data sets in views: varied ones, as many as configured, or the one that the program takes.

    Raises:
        DatasetError, AssetError, UsageError: as in `datasets.registry.open_dataset`.
    """
    views, appearance = config.augmentation.views(config.network), config.augmentation.appearance
    if not varied:
        views, appearance = views.steady(), AppearanceSettings.none()
    parts = [open_dataset(dataset, template, config.data.model_folder) for dataset in datasets]
    return ViewPairs(
        JoinedHands(parts, datasets),
        template.vertex_count,
        views,
        appearance,
        2 if varied and config.data.two_views else 1,
        config.seed,
        template.hand_scale_m,
        template.keypoint_count,
        template.faces if config.network.kind == "cmr" else None,
    )


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
