"""Files of a run: Lightning's checkpoint to resume from, and networks to use.

RUN/config.yaml               the whole configuration
RUN/last.ckpt                 to resume from: tensors and plain values alone
RUN/relative.ckpt             the same where the first stage ended
RUN/best.safetensors, .yaml   the network with the lowest validation error so far, to use
RUN/last.safetensors, .yaml   the network at the end
RUN/pictures/                 predictions for the first validation samples
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import cv2
import torch
import yaml
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger

from handdgp_core.drawing.training_images import draw_batch
from handdgp_core.errors import WeightsError
from handdgp_core.files import name_part, part_of, whole_file, write_text
from handdgp_core.networks.checkpoints.foreign_weights import read_torch_file
from handdgp_core.networks.checkpoints.torch_file import Skipped
from handdgp_core.networks.checkpoints.weights import save_network
from handdgp_core.training.module import HandModule

__all__ = ["LAST", "RELATIVE", "NetworkExport", "PlainCheckpoints", "PredictionImages", "ResumePoints"]

LAST, RELATIVE = "last.ckpt", "relative.ckpt"


class PlainCheckpoints(TorchCheckpointIO):
    """Reads checkpoints by the project's own reader, which runs nothing of the file."""

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """The checkpoint, on the CPU.

        Raises:
            WeightsError: it is damaged, or holds more than tensors and plain values.
        """
        hint = "Start the run again without --resume, under another name."
        content = read_torch_file(Path(path), hint)
        if not isinstance(content, dict) or _has_skipped(content):
            raise WeightsError(f"Could not resume from {path}: it holds more than tensors and numbers.", hint=hint)
        return content


def _has_skipped(values: Any) -> bool:
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, list | tuple):
        return isinstance(values, Skipped)
    return any(map(_has_skipped, values))


class ResumePoints(Checkpoint):
    """Writes `last.ckpt`, never half: every so many steps, and when a stage or the run ends.

    Where the first stage ends, that is kept as `relative.ckpt`: other second stages can go on from there.

    Args:
        folder: of the run.
        every_steps: between two of them.
    """

    def __init__(self, folder: Path, every_steps: int) -> None:
        self._path = folder / LAST
        self._every = every_steps
        self._saved_at = 0
        self._stage = ""

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, HandModule)
        self._saved_at, self._stage = trainer.global_step, module.curriculum.stage

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # The last batch of an epoch waits for the end of the epoch: validation and the stage's end belong to it.
        inside = batch_idx + 1 < trainer.num_training_batches
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if inside and stepped and self._due(trainer):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, HandModule)
        if self._due(trainer) or trainer.should_stop or module.curriculum.stage != self._stage:
            first_is_over = self._stage == "relative" != module.curriculum.stage
            self._stage = module.curriculum.stage
            self._save(trainer)
            if first_is_over and trainer.is_global_zero:
                with whole_file(self._path.with_name(RELATIVE)) as part:
                    shutil.copyfile(self._path, part)

    def _due(self, trainer: Trainer) -> bool:
        return trainer.global_step - self._saved_at >= self._every

    def _save(self, trainer: Trainer) -> None:
        self._saved_at = trainer.global_step
        part = part_of(self._path)
        trainer.save_checkpoint(part)  # in every process, as some strategies need it
        if trainer.is_global_zero:
            name_part(part, self._path)


class NetworkExport(Checkpoint):
    """Writes the network in the form that the program loads: the best so far, and the last.

    Until the last stage has begun there is no camera-space error worth comparing, so "best" starts again with it.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._best = math.inf
        self._stage = ""

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "stage": self._stage}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._best, self._stage = state["best"], state["stage"]

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, HandModule)
        loss = trainer.callback_metrics.get("validation/loss")
        if loss is None or trainer.sanity_checking:
            return
        stage = module.curriculum.stage
        if stage != self._stage:
            self._best, self._stage = math.inf, stage
        if float(loss) < self._best:
            self._best = float(loss)
            self._write(trainer, module, "best")

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, HandModule)
        self._write(trainer, module, "last")

    def _write(self, trainer: Trainer, module: HandModule, name: str) -> None:
        if not trainer.is_global_zero:
            return
        notes = {"run": module.config.name, "step": str(module.global_step), "stage": module.curriculum.stage}
        errors = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("validation/")}
        half = module.config.output.half_precision
        save_network(module.result, self._folder / f"{name}.safetensors", notes, half)
        text = yaml.safe_dump({**notes, **errors, "config": module.config.to_plain()}, sort_keys=False)
        write_text(self._folder / f"{name}.yaml", text)


class PredictionImages(Callback):
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
        shown = torch.from_numpy(image)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("predictions", shown, trainer.global_step, dataformats="HWC")
