"""A run from its configuration: network, data, Lightning's trainer, and the way back in after an interruption."""

from __future__ import annotations

import ctypes
import functools
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from handdgp_core.augmentation import render_views
from handdgp_core.datasets.registry import open_template
from handdgp_core.errors import UsageError
from handdgp_core.files import expanded, write_text
from handdgp_core.networks import HandDGP, load_network
from handdgp_core.networks.guided_handdgp import GuidedHandDGP, make_network
from handdgp_core.training import lightning_trainer
from handdgp_core.training.checkpoints import LAST, NetworkExport, PlainCheckpoints, PredictionImages, ResumePoints
from handdgp_core.training.config import HardwareConfig, TrainingConfig
from handdgp_core.training.data import HandData
from handdgp_core.training.distillation import DistillationData, Loading, start_guide
from handdgp_core.training.module import HandModule

__all__ = ["RunResult", "make_trainer", "train"]

_PRECISION = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
_DDP = "ddp_find_unused_parameters_true"
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_NEVER = 2**31 - 1
_LARGEST = 2**30


@dataclass(frozen=True)
class RunResult:
    """What came out.

    Attributes:
        folder: of the run.
        steps: optimiser steps taken, over all restarts.
        finished: the curriculum is through; else the run was stopped and can be resumed.
        errors: last validation errors by name, millimetres.
    """

    folder: Path
    steps: int
    finished: bool
    errors: dict[str, float]


def train(
    config: TrainingConfig,
    resume: bool = False,
    data: LightningDataModule | None = None,
    callbacks: tuple[Callback, ...] = (),
    progress: bool = True,
    loading: Loading = lambda name, done, total: None,
) -> RunResult:
    """Run a training, or go on with one.

    Args:
        config: the whole run.
        resume: go on from the run's last checkpoint; the losses are those of a run that was never interrupted.
        data: loaders of batches with images, in place of the configured data sets.
        callbacks: more of Lightning's.
        progress: show a bar.
        loading: told (which data, pictures done, pictures in all) while a teacher predicts them.

    Raises:
        UsageError: nothing to resume, a run of that name that is not to be overwritten, or impossible hardware.
        DatasetError, AssetError: data or a licensed model is missing.
        TrainingDiverged: numbers that are not finite; the batch is saved.
    """
    _keep_freed_memory()
    folder = config.run_folder
    checkpoint = _checkpoint(folder, resume)
    seed_everything(config.seed, verbose=False)
    network = _network(config)
    template = network.template
    distilled = bool(config.teacher.weights)
    loaders = data or (DistillationData(config, template, loading) if distilled else HandData(config, template))
    draws = data is None and not distilled
    render = functools.partial(render_views, size=config.network.image_size) if draws else None
    module = HandModule(network, config, render)
    trainer = make_trainer(config, callbacks, progress)
    if trainer.is_global_zero:
        write_text(folder / "config.yaml", yaml.safe_dump(config.to_plain(), sort_keys=False))
    if isinstance(loaders, DistillationData) and isinstance(network, GuidedHandDGP) and checkpoint is None:
        start_guide(network, loaders.training, config, trainer.is_global_zero, loading)
    lightning_trainer.fit(trainer, module, datamodule=loaders, ckpt_path=checkpoint)
    errors = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("validation/")}
    return RunResult(folder, trainer.global_step, module.curriculum.state.finished, errors)


_FREE = ("rectification", "positioning", "template", "pretrained")  # what a fine-tuning may change


def _network(config: TrainingConfig) -> HandDGP:
    """A new network, or the one to start from.

    Raises:
        UsageError: the network to start from is another one than the configuration describes.
        AssetError, WeightsError: a licensed model or the file is missing or damaged.
    """
    if not config.start:
        return make_network(config.network, open_template(config.network.template, config.data.model_folder))
    network = load_network(expanded(config.start))
    before, now = network.config.to_plain(), config.network.to_plain()
    other = [f"{key} is {before[key]}" for key in before if key not in _FREE and before[key] != now[key]]
    if other:
        raise UsageError(
            f"network: {config.start} is not the network that is described: its {', its '.join(other)}.",
            hint="Give these values in the configuration.",
        )
    network.config = config.network.model_copy(update={"template": network.config.template})
    return network.train()


def make_trainer(config: TrainingConfig, callbacks: tuple[Callback, ...] = (), progress: bool = True) -> Trainer:
    """Lightning's trainer of a run.

    Raises:
        UsageError: hardware that is not there.
    """
    folder, hardware, output = config.run_folder, config.hardware, config.output
    count = _device_count(hardware)
    several = count * hardware.nodes > 1
    watchers = [PredictionImages(folder, output.pictures)] if output.pictures else []
    return lightning_trainer.make(
        plugins=[PlainCheckpoints()],
        accelerator=hardware.accelerator,
        devices=count,
        num_nodes=hardware.nodes,
        strategy=_DDP if several and hardware.strategy == "auto" else hardware.strategy,
        precision=_PRECISION[hardware.precision],
        max_epochs=config.curriculum.relative.epochs + config.curriculum.all.epochs,
        callbacks=[
            *watchers,
            *callbacks,
            NetworkExport(folder),
            ResumePoints(folder, output.checkpoint_every_steps),
        ],
        logger=[
            TensorBoardLogger(folder, name="tensorboard", version=""),
            CSVLogger(folder, name="csv"),  # a restart writes a file of its own: csv/version_1, and so on
        ],
        log_every_n_steps=output.log_every_steps,
        accumulate_grad_batches=config.optimiser.accumulate,
        check_val_every_n_epoch=config.data.validate_every_epochs,
        sync_batchnorm=hardware.sync_batchnorm,
        use_distributed_sampler=False,  # the order of samples knows about processes itself
        deterministic=hardware.deterministic or None,
        benchmark=False if hardware.deterministic else None,
        default_root_dir=folder,
        enable_progress_bar=progress,
        enable_model_summary=progress,
    )


def _checkpoint(folder: Path, resume: bool) -> Path | None:
    path = folder / LAST
    if resume:
        if not path.is_file():
            hint = "Start without --resume, or name the right run."
            raise UsageError(f"There is no checkpoint {path} to resume from.", hint=hint)
        return path
    if path.exists():
        hint = "Continue it with --resume, or choose another name with --set name=..."
        raise UsageError(f"{folder} holds the checkpoint of an earlier run.", hint=hint)
    return None


def _device_count(hardware: HardwareConfig) -> int:
    on_gpu = hardware.accelerator == "gpu" or (hardware.accelerator == "auto" and torch.cuda.is_available())
    present = torch.cuda.device_count() if on_gpu else 1
    if hardware.accelerator == "gpu" and not torch.cuda.is_available():
        hint = "Use --set hardware.accelerator=cpu, or install the GPU's driver and a CUDA build of PyTorch."
        raise UsageError("hardware.accelerator: there is no GPU that this PyTorch can use.", hint=hint)
    if hardware.compile and not on_gpu and not (shutil.which("g++") or shutil.which("clang++")):
        hint = "Install g++, or use --set hardware.compile=false."
        raise UsageError("hardware.compile: PyTorch needs a C++ compiler for this on a CPU.", hint=hint)
    if on_gpu and hardware.devices > present:
        raise UsageError(f"hardware.devices: {hardware.devices} GPUs asked for, {present} present.")
    return hardware.devices or present


def _keep_freed_memory() -> None:
    """Large tensors come out of memory that this process has used before, not fresh from the system.

    glibc gives every freed tensor of more than 32 MB back, and each new one then costs a page fault for every 4 kB: on
    a CPU two thirds of the time of a training step of the spiral decoder. Elsewhere than on Linux nothing happens.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _NEVER)
