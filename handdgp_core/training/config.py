"""What a training run is: one YAML file (configs/*.yaml), read into these dataclasses. Reference: docs/training.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from handdgp_core.augmentation.settings import AppearanceSettings, ViewSettings
from handdgp_core.datasets.config import DatasetConfig
from handdgp_core.detection.crops import HALF_SIZE_FACTOR
from handdgp_core.errors import UsageError
from handdgp_core.networks.backbones.registry import GUIDED
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.training.losses import LossWeights
from handdgp_core.training.typed_yaml import read_yaml, to_dataclass, to_plain, with_overrides

__all__ = [
    "AugmentationConfig",
    "CurriculumConfig",
    "DataConfig",
    "DatasetConfig",
    "HardwareConfig",
    "OptimiserConfig",
    "OutputConfig",
    "StageConfig",
    "TeacherConfig",
    "TrainingConfig",
    "load_config",
    "parse_config",
]


@dataclass(frozen=True)
class DataConfig:
    """What is read, and how.

    Attributes:
        train, validation: data sets. An empty validation takes no patience: stages run their epochs.
        batch_size: samples (of two views each) per device and step.
        workers: loader processes per device; 0 reads in the training process.
        validate_every_epochs: epochs between two validations.
        two_views: pairs of augmented views of every sample, for the consistency losses.
        model_folder: where licensed models (MANO, SMPL) lie; empty for the program's usual places.
    """

    train: tuple[DatasetConfig, ...] = ()
    validation: tuple[DatasetConfig, ...] = ()
    batch_size: int = 32
    workers: int = 8
    validate_every_epochs: int = 1
    two_views: bool = True
    model_folder: str = ""

    def __post_init__(self) -> None:
        _at_least("batch_size", self.batch_size, 1)
        _at_least("workers", self.workers, 0)
        _at_least("validate_every_epochs", self.validate_every_epochs, 1)


@dataclass(frozen=True)
class AugmentationConfig:
    """How training views vary; see `augmentation.settings`. Size, policy and focal length are the network's.

    Attributes:
        crop_factor: half the side of the hand's square over half its keypoints' longer extent.
        patch_size: side of the part of the source picture that goes to the GPU, pixels.
        rotation_deg: shared by both views.
        aim: shared by both views.
        scale: per view.
        shift: per view.
        appearance: of the pixels, per view.
    """

    crop_factor: float = HALF_SIZE_FACTOR
    patch_size: int = 320
    rotation_deg: float = 45.0
    aim: float = 0.08
    scale: tuple[float, float] = (0.85, 1.2)
    shift: float = 0.08
    appearance: AppearanceSettings = field(default_factory=AppearanceSettings)

    def __post_init__(self) -> None:
        self.views(NetworkConfig())

    def views(self, network: NetworkConfig) -> ViewSettings:
        """The views that this network wants."""
        rectification = network.rectification
        return ViewSettings(
            policy=rectification.policy,
            size=network.image_size,
            focal_px=rectification.focal_px,
            crop_factor=self.crop_factor / (rectification.fill if rectification.policy == "fit" else 1.0),
            patch_size=self.patch_size,
            rotation_deg=self.rotation_deg,
            aim=self.aim,
            scale=self.scale,
            shift=self.shift,
        )


@dataclass(frozen=True)
class StageConfig:
    """One stage of the curriculum. It ends after its epochs, or earlier once validation stops getting better.

    Attributes:
        epochs: at most so many.
        patience: validations without improvement that end the stage; 0 runs all epochs.
        min_improvement: by which part the validation loss must fall below its best so far to count as better.
        learning_rate: null for the optimiser's.
        schedule: of the learning rate over the stage's epochs: constant, cosine (down to `final_factor`), or steps
            (times `step_factor` at each of `milestones`).
        warmup_steps: steps of linear growth at the start of the stage.
        final_factor: of "cosine".
        milestones: of "steps": parts of the stage, between 0 and 1.
        step_factor: of "steps".
        freeze_norms: batch norms keep their statistics. With few samples a device those of a batch differ from the
            running ones that the network is used with, and camera-space depth feels the difference.
        frozen: parts of the network that rest during this stage, by their names' beginnings, such as "guide".
    """

    epochs: int = 25
    patience: int = 0
    min_improvement: float = 0.002
    learning_rate: float | None = None
    schedule: Literal["constant", "cosine", "steps"] = "cosine"
    warmup_steps: int = 0
    final_factor: float = 0.01
    milestones: tuple[float, ...] = (0.8,)
    step_factor: float = 0.1
    freeze_norms: bool = False
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _at_least("epochs", self.epochs, 0)
        _at_least("patience", self.patience, 0)
        _at_least("warmup_steps", self.warmup_steps, 0)
        _fraction("min_improvement", self.min_improvement)
        if self.learning_rate is not None:
            _positive("learning_rate", self.learning_rate)
        for name, value in (("final_factor", self.final_factor), ("step_factor", self.step_factor)):
            _fraction(name, value)
        for value in self.milestones:
            _fraction("milestones", value)


@dataclass(frozen=True)
class CurriculumConfig:
    """Supplement, 1.3: first the relative losses until they converge, then all of them."""

    relative: StageConfig = field(default_factory=lambda: StageConfig(patience=5))
    all: StageConfig = field(default_factory=StageConfig)

    def __post_init__(self) -> None:
        _at_least("relative.epochs + all.epochs", self.relative.epochs + self.all.epochs, 1)


@dataclass(frozen=True)
class OptimiserConfig:
    """The optimiser.

    Attributes:
        name: "adam", or "adamw" (decoupled weight decay).
        learning_rate: of a stage that names none.
        weight_decay: not on biases and normalisations.
        betas: of Adam.
        gradient_clip: largest norm of the gradient; 0 for no limit.
        accumulate: batches per step.
        frozen: parts of the network that stay as they begin in all stages, such as "backbone".
    """

    name: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    gradient_clip: float = 1.0
    accumulate: int = 1
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _positive("learning_rate", self.learning_rate)
        _not_negative("weight_decay", self.weight_decay)
        _not_negative("gradient_clip", self.gradient_clip)
        _at_least("accumulate", self.accumulate, 1)
        for beta in self.betas:
            _fraction("betas", beta)


@dataclass(frozen=True)
class HardwareConfig:
    """Where it runs; the names are Lightning's.

    Attributes:
        accelerator: "auto" takes a GPU where there is one.
        devices: how many per machine; 0 for all.
        nodes: machines. Start the same command on each by torchrun, SLURM or any launcher that Lightning knows.
        strategy: "auto": one process, or DDP that bears parameters without gradients (stage 1 has some). Any other
            name of Lightning's is handed on.
        precision: "32", or mixed: "bf16", "16". DGP is solved in float32 in any case.
        deterministic: only operations that give the same result every time.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 0
    nodes: int = 1
    strategy: str = "auto"
    precision: Literal["32", "bf16", "16"] = "32"
    deterministic: bool = False

    def __post_init__(self) -> None:
        _at_least("devices", self.devices, 0)
        _at_least("nodes", self.nodes, 1)


@dataclass(frozen=True)
class OutputConfig:
    """What is written.

    Attributes:
        folder: a run writes into folder/NAME.
        log_every_steps: steps between two rows of the logs.
        checkpoint_every_steps: steps between two checkpoints for resuming.
        pictures: how many validation samples are drawn at each validation; 0 for none.
        half_precision: write networks as float16, half as large.
    """

    folder: str = "runs"
    log_every_steps: int = 50
    checkpoint_every_steps: int = 500
    pictures: int = 8
    half_precision: bool = False

    def __post_init__(self) -> None:
        _at_least("log_every_steps", self.log_every_steps, 1)
        _at_least("checkpoint_every_steps", self.checkpoint_every_steps, 1)
        _at_least("pictures", self.pictures, 0)


@dataclass(frozen=True)
class TeacherConfig:
    """Training on a teacher's word in place of the labels (`training.distillation`), for a guided network.

    Attributes:
        weights: file of the teacher; empty for none.
        cache: folder for views and what the teacher says of them, 110 kB for a picture in two views.
        draws: pairs of views of every picture.
        guide_steps: steps of the guide alone, before the curriculum (`distillation.guide_first`); 0 for none.
        guide_batch, guide_learning_rate: views in such a step, and the peak of its learning rate.
    """

    weights: str = ""
    cache: str = "data/synthetic/taught"
    draws: int = 1
    guide_steps: int = 2000
    guide_batch: int = 512
    guide_learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        _at_least("draws", self.draws, 1)
        _at_least("guide_steps", self.guide_steps, 0)
        _at_least("guide_batch", self.guide_batch, 1)
        _positive("guide_learning_rate", self.guide_learning_rate)


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run. Everything that a run depends on, but for the data itself.

    Raises:
        UsageError: a value that makes no sense.
    """

    name: str
    seed: int = 0
    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    losses: LossWeights = field(default_factory=LossWeights)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    output: OutputConfig = field(default_factory=OutputConfig)

    def __post_init__(self) -> None:
        if not self.name or Path(self.name).name != self.name:
            raise UsageError("a name that can be a folder's", repr(self.name))
        _at_least("seed", self.seed, 0)
        for name, value in vars(self.losses).items():
            _not_negative(f"losses.{name}", value)
        if self.teacher.weights and (self.network.backbone != GUIDED or self.output.pictures):
            found = f"{self.network.backbone} and {self.output.pictures}"
            raise UsageError(f"with a teacher: network.backbone {GUIDED} and output.pictures 0", found)
        if self.losses.weights and not self.teacher.weights:
            raise UsageError("losses.weights 0 without a teacher, who alone has weights", f"{self.losses.weights}")

    @property
    def run_folder(self) -> Path:
        """Where this run writes."""
        return Path(self.output.folder) / self.name

    def learning_rate(self, stage: StageConfig) -> float:
        """The full learning rate of a stage."""
        return self.optimiser.learning_rate if stage.learning_rate is None else stage.learning_rate

    def to_plain(self) -> dict[str, Any]:
        """Plain values, for YAML; `parse_config` is the way back."""
        plain: dict[str, Any] = to_plain(self)
        return plain


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a configuration.

    Args:
        path: a YAML file.
        overrides: "dotted.key=value", the last one wins.

    Raises:
        UsageError: not readable, an unknown key, another type, or a value that makes no sense; it names the key.

    Examples:
        >>> load_config("configs/tiny.yaml", ["optimiser.learning_rate=1e-3"]).optimiser.learning_rate
        0.001
    """
    return parse_config(read_yaml(Path(path)), overrides)


def parse_config(values: dict[str, Any], overrides: Sequence[str] = ()) -> TrainingConfig:
    """The same from plain values."""
    return to_dataclass(TrainingConfig, with_overrides(values, overrides))


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise UsageError(f"{name} of at least {least}", f"{value}")


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"a positive {name}", f"{value}")


def _not_negative(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(f"{name} of at least 0", f"{value}")


def _fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError(f"{name} from 0 to 1", f"{value}")
