"""The LightningModule: network, losses, curriculum and optimiser of a run.

Repeatable by construction: whatever is random in a step follows from the seed, the step's number and the process alone,
so a resumed run needs no state of any random generator.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from handdgp_core.errors import UsageError
from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.output import Auxiliary, NetworkOutput, RelativeOutput
from handdgp_core.training.config import TrainingConfig
from handdgp_core.training.curriculum import Curriculum
from handdgp_core.training.divergence import FiniteSteps, TrainingDiverged, save_batch
from handdgp_core.training.losses import HandLosses
from handdgp_core.training.validation import Means, selection_loss, validation_errors

__all__ = ["Batch", "HandModule", "Render"]

Batch = Mapping[str, Any]
# From a batch as the loader gives it to one with images: "view1" and, for two views, "view2" and "uv2_from_uv1".
Render = Callable[[Batch], Batch]

_log = logging.getLogger(__name__)
# From this share of an epoch's samples on, those whose system is singular are worth a warning.
_MANY = 0.1
_VIEWS = ("view1", "view2")
_SEED_STRIDE = 1_000_003


class HandModule(LightningModule):
    """Trains a network by the curriculum of the paper.

    Args:
        network: what is trained.
        config: of the run.
        render: makes the images of a batch on its device; None where the loader has made them.
    """

    def __init__(self, network: HandDGP, config: TrainingConfig, render: Render | None = None) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.curriculum = Curriculum(config)
        template = network.template
        self.losses = HandLosses(
            template.faces,
            config.losses,
            template.hand_scale_m,
            config.network.image_size,
            config.network.pixel_offset,
            template if config.network.kind == "cmr" else None,
        )
        for name, parameter in network.named_parameters():
            if name.startswith(config.optimiser.frozen):
                parameter.requires_grad_(False)
        hardware, decay = config.hardware, config.optimiser.average_decay
        if hardware.channels_last:
            torch.nn.Module.to(network, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._with_auxiliary = torch.compile(network.with_auxiliary) if hardware.compile else network.with_auxiliary
        self.average: AveragedModel | None = None
        if decay:
            self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
            self.average.requires_grad_(False)
        self._averaged_at = 0
        self._finite = FiniteSteps(network, config.optimiser.skip_non_finite)
        self._render = render
        self._validated: float | None = None
        self._validation, self._rejected = Means(), Means()
        self._step: tuple[Batch, dict[str, Tensor]] | None = None

    @property
    def result(self) -> HandDGP:
        """What is validated and written: the network, or the moving average of its weights."""
        return self.network if self.average is None else cast("HandDGP", self.average.module)

    def forward(self, image: Tensor, intrinsics: Tensor) -> NetworkOutput:
        """As the network, by `result`."""
        output: NetworkOutput = self.result(image, intrinsics)
        return output

    def predict_views(self, batch: Batch) -> tuple[list[NetworkOutput], Auxiliary | None]:
        """Outputs of every view in a batch, from one pass over all of them, and what else was predicted of all views.

        In the relative stage DGP stands outside of the graph: its roots are for the log alone.
        """
        views = [batch[name] for name in _VIEWS if name in batch]
        image = torch.cat([view["image"] for view in views])
        if self.config.hardware.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        intrinsics = torch.cat([view["intrinsics"] for view in views])
        relative, auxiliary = self._with_auxiliary(image, intrinsics)
        if self.curriculum.stage == "relative":
            output = self._placed_for_the_log(relative, intrinsics)
        else:
            output = self.network.position(relative, intrinsics, end_to_end=self.curriculum.end_to_end)
        parts = [part.chunk(len(views)) for part in output]
        return [NetworkOutput(*(part[number] for part in parts)) for number in range(len(views))], auxiliary

    def _placed_for_the_log(self, relative: RelativeOutput, intrinsics: Tensor) -> NetworkOutput:
        with torch.no_grad():
            placed = self.network.position(RelativeOutput(*(part.detach() for part in relative)), intrinsics)
        return placed._replace(keypoints_uv=relative.keypoints_uv, vertices=relative.vertices, weights=relative.weights)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        trainer = self.trainer
        number = trainer.current_epoch * int(trainer.num_training_batches) + batch_idx
        torch.manual_seed((self.config.seed * _SEED_STRIDE + number) * _SEED_STRIDE + trainer.global_rank)
        self._finite.remember()
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(not name.startswith(self.curriculum.frozen))
        if self.curriculum.freezes_norms:  # at every step: after a validation Lightning turns them on again
            for module in self.network.modules():
                if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        batch = self._with_images(batch)
        outputs, auxiliary = self.predict_views(batch)
        losses = self.losses(outputs, batch, self.curriculum.stage, auxiliary)
        self._step = batch, {name: value.detach() for name, value in losses.items()}
        self._log_losses("train", losses)
        samples = len(batch["view1"]["image"]) * sum(name in batch for name in _VIEWS)
        self._rejected.add("share", losses["degenerate_count"] / samples, samples)
        return losses["total"]

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Limits the gradient's norm, after a look whether it and the loss are finite; if not, nothing is learnt."""
        parameters = [parameter for parameter in self.parameters() if parameter.grad is not None]
        limit = self.config.optimiser.gradient_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
        assert self._step is not None
        # In float16 the loss scaler handles gradients that overflow, by skipping the step.
        watched = [self._step[1]["total"]] + ([] if self.config.hardware.precision == "16" else [norm])
        if not self._finite.check(watched, self._summed):
            self._skip_diverged(norm)
        else:
            self.log("train/gradient_norm", norm)
        self._step = None

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.average is not None and self.global_step > self._averaged_at:
            self._averaged_at = self.global_step
            self.average.update_parameters(self.network)

    def on_train_epoch_end(self) -> None:
        share = self._rejected.over(self._summed).get("share", 0.0)
        if share > _MANY and self.curriculum.stage == "all":
            self._warn(
                f"Epoch {self.current_epoch}: the DGP system of {share:.0%} of the samples was singular or not finite, "
                "so they gave no camera-space gradient. Train longer with the relative losses alone, or check the data."
            )
        loss, self._validated = self._validated, None
        if self.curriculum.end_epoch(loss, self.global_step):
            # Another objective: running moments of the old gradients would push the first steps astray.
            self.trainer.optimizers[0].state.clear()
            self._schedule.step()  # again: what comes next is another stage's first step
        self.trainer.should_stop = self.trainer.should_stop or self.curriculum.state.finished

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Returns the "output" and the "view" (images and labels) that it belongs to, for callbacks."""
        batch = self._with_images(batch)
        view = batch["view1"]
        output = self(view["image"], view["intrinsics"])
        losses = self.losses([output], batch, self.curriculum.stage)
        size = len(view["image"])
        self._validation.add("loss", selection_loss(losses, self.config.losses, size), size)
        for name, (value, count) in validation_errors(output, view, self.result).items():
            self._validation.add(name, value, count)
        return {"output": output, "view": view}

    def on_validation_epoch_end(self) -> None:
        means = self._validation.over(self._summed)
        for name, value in means.items():
            self.log(f"validation/{name}", value, sync_dist=True, prog_bar=name in ("loss", "joint_mm"))
        self._validated = means.get("loss")

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        options = self.config.optimiser
        trained = [p for p in self.parameters() if p.requires_grad]
        plain = [p for p in trained if p.ndim < 2]
        heavy = [p for p in trained if p.ndim >= 2]
        groups: list[dict[str, Any]] = [{"params": heavy}, {"params": plain, "weight_decay": 0.0}]
        kind = torch.optim.AdamW if options.name == "adamw" else torch.optim.Adam
        optimiser = kind(groups, lr=1.0, betas=options.betas, weight_decay=options.weight_decay)
        # By the steps taken and the stage, not by a count of its own, so that a stage may end early.
        self._schedule = LambdaLR(
            optimiser, lambda _: self.curriculum.learning_rate(self.global_step, self._steps_per_epoch)
        )
        return [optimiser], [{"scheduler": self._schedule, "interval": "step"}]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["curriculum"] = self.curriculum.to_plain()
        checkpoint["skipped_steps"] = self._finite.skipped
        checkpoint["config"] = yaml.safe_dump(self.config.to_plain(), sort_keys=False)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.curriculum.restore(checkpoint["curriculum"])
        self._finite.skipped = checkpoint.get("skipped_steps", 0)
        self._averaged_at = checkpoint["global_step"]
        before, now = yaml.safe_load(checkpoint["config"]), self.config.to_plain()
        for part in ("network", "seed"):
            if before[part] != now[part]:
                hint = "Resume with the configuration that began the run, or begin a new one under another name."
                raise UsageError(f"{part}: the run began with {before[part]}, got {now[part]}.", hint=hint)

    def _summed(self, values: Tensor) -> Tensor:
        """Over all processes, which must all call it: what a process measures must never decide whether it does."""
        total: Tensor = self.trainer.strategy.reduce(values, reduce_op="sum")
        return total

    def _warn(self, text: str) -> None:
        if self.global_rank == 0:
            _log.warning(text)

    def _with_images(self, batch: Batch) -> Batch:
        if self._render is None:
            return batch
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            return self._render(batch)

    @property
    def _steps_per_epoch(self) -> float:
        """Infinite before the data are there, when the first rate is asked for, which does not depend on it.

        Lightning's own estimate would open the data too early, before a resumed run knows where it stands in them.
        """
        batches = self.trainer.num_training_batches / self.config.optimiser.accumulate
        return math.ceil(batches) if math.isfinite(batches) else batches

    def _log_losses(self, part: str, losses: dict[str, Tensor]) -> None:
        size = 1  # means over a batch; the count is a sum
        named = {f"{part}/{name}": value for name, value in losses.items() if name not in ("total", "degenerate_count")}
        self.log_dict(named, batch_size=size)
        self.log(f"{part}/loss", losses["total"], batch_size=size, prog_bar=True)
        degenerate = losses["degenerate_count"].float()
        self.log(f"{part}/degenerate", degenerate, on_step=True, on_epoch=True, reduce_fx="sum", batch_size=size)
        self.log("stage", float(self.curriculum.stage == "all"), batch_size=size)
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"], batch_size=size)

    def _skip_diverged(self, norm: Tensor) -> None:
        """Save the batch; then go on as if it had not been, or end the run."""
        assert self._step is not None
        batch, losses = self._step
        rank = self.global_rank
        path = Path(self.trainer.default_root_dir) / f"diverged-step-{self.global_step}-process-{rank}.safetensors"
        notes = {"gradient_norm": repr(float(norm)), "stage": self.curriculum.stage, "step": str(self.global_step)}
        save_batch(path, batch, losses, notes)
        bad = [name for name, value in losses.items() if not bool(torch.isfinite(value))]
        what = f"Not finite at step {self.global_step}: {', '.join(bad) or 'gradients'}. The batch is saved in {path}."
        if self._finite.may_skip:
            # In float16 the loss scaler throws the step away by itself, and needs its gradients for that.
            self._finite.skip(keep_gradients=self.config.hardware.precision == "16")
            self._warn(f"{what} It is skipped, number {self._finite.skipped} of at most {self._finite.limit}.")
            return
        raise TrainingDiverged(
            what, hint="Look at that batch, lower the learning rate, or use precision 32 or bf16; then --resume."
        )
