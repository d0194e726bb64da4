"""A training of two processes of which the second has no hand with a mesh or a root: run by `test_processes.py`.

Usage: python -m tests.handdgp_core.training.unlabelled_rank FOLDER EPOCHS
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from lightning.pytorch import LightningDataModule

from handdgp_core.datasets.sampling import BlockShuffle
from handdgp_core.training.config import TrainingConfig, load_config
from handdgp_core.training.data import ResumableLoader, make_loader
from handdgp_core.training.trainer import train
from tests.handdgp_core.training.rendered_hands import RenderedHands
from tests.places import ROOT

TINY = ROOT / "configs" / "tiny.yaml"


class HalfLabelled(LightningDataModule):
    """Every other sample, which all go to the second process, knows its keypoints in the image alone."""

    def __init__(self, hands: RenderedHands, config: TrainingConfig) -> None:
        super().__init__()
        self.hands, self.config = hands, config
        for index in range(1, len(hands), 2):
            for view in ("view1", "view2"):
                hands[index][view] |= {"has_vertices": torch.tensor(0.0), "has_root": torch.tensor(0.0)}

    def train_dataloader(self) -> ResumableLoader:
        return self._loader(drop_last=True)

    def val_dataloader(self) -> ResumableLoader:
        return self._loader(drop_last=False)

    def _loader(self, drop_last: bool) -> ResumableLoader:
        assert self.trainer is not None
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        order = BlockShuffle([len(self.hands)], shuffle=False, rank=rank, ranks=ranks)
        return make_loader(self.hands, order, self.config, drop_last)


def main(folder: str, epochs: str) -> None:
    torch.set_num_threads(1)
    overrides = [
        *(f"output.folder={folder}", "data.batch_size=2", "hardware.devices=2"),
        *("curriculum.relative.epochs=1", f"curriculum.all.epochs={epochs}"),
    ]
    config = load_config(TINY, overrides)
    data: Any = HalfLabelled(RenderedHands(4), config)
    result = train(config, data=data, progress=False)
    print("errors", sorted(result.errors), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
