"""Callbacks of a run that only watch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from handdgp_core.drawing.training_pictures import draw_batch
from handdgp_core.training.module import HandModule

__all__ = ["PredictionPictures"]


class PredictionPictures(Callback):
    """Draws the first validation samples after every validation, into the TensorBoard log and RUN/pictures.

    Args:
        folder: of the run.
        count: how many samples.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder / "pictures"
        self._count = count

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx or dataloader_idx or not trainer.is_global_zero:
            return
        assert isinstance(module, HandModule)
        template = module.network.template
        image = draw_batch(outputs["view"], outputs["output"], template.faces, template.hand_scale_m, self._count)
        self._folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(self._folder / f"step-{trainer.global_step:07d}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        shown: Tensor = torch.from_numpy(image)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("predictions", shown, trainer.global_step, dataformats="HWC")
