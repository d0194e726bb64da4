"""What a training run is: one YAML file (configs/*.yaml), read into these models. Reference: docs/training.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from handdgp_core.augmentation.settings import AppearanceSettings, ViewSettings
from handdgp_core.bundled import bundled
from handdgp_core.config import Config, Fraction, SelfChecking, parse
from handdgp_core.datasets.config import DatasetConfig
from handdgp_core.detection.crops import HALF_SIZE_FACTOR
from handdgp_core.errors import UsageError
from handdgp_core.networks.backbones.registry import GUIDED
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.plain_files import SafeLoader, parse_yaml, read_text
from handdgp_core.training.losses import LossWeights

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
    "read_config",
]

Datasets = tuple[Annotated[DatasetConfig, SelfChecking], ...]
# YAML reads 16 and 32 as numbers.
Precision = Annotated[
    Literal["32", "bf16", "16"], BeforeValidator(lambda value: str(value) if type(value) is int else value)
]


class DataConfig(Config):
    """What is read, and how.

    Attributes:
        train, validation: data sets. An empty validation takes no patience: stages run their epochs.
        batch_size: samples (of two views each) per device and step.
        workers: loader processes per device; 0 reads in the training process.
        validate_every_epochs: epochs between two validations.
        two_views: pairs of augmented views of every sample, for the consistency losses.
        model_folder: where licensed models (MANO, SMPL) lie; empty for the program's usual places.
    """

    train: Datasets = ()
    validation: Datasets = ()
    batch_size: PositiveInt = 32
    workers: NonNegativeInt = 8
    validate_every_epochs: PositiveInt = 1
    two_views: bool = True
    model_folder: str = ""


class AugmentationConfig(Config):
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
    appearance: Annotated[AppearanceSettings, SelfChecking] = AppearanceSettings()

    @model_validator(mode="after")
    def _makes_views(self) -> AugmentationConfig:
        self.views(NetworkConfig())  # which checks what it is given
        return self

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


class StageConfig(Config):
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
        end_to_end: gradients flow through DGP, where its losses count; else its root is a constant (table 1).
        frozen: parts of the network that rest during this stage, by their names' beginnings, such as "guide".
    """

    epochs: NonNegativeInt = 25
    patience: NonNegativeInt = 0
    min_improvement: Fraction = 0.002
    learning_rate: PositiveFloat | None = None
    schedule: Literal["constant", "cosine", "steps"] = "cosine"
    warmup_steps: NonNegativeInt = 0
    final_factor: Fraction = 0.01
    milestones: tuple[Fraction, ...] = (0.8,)
    step_factor: Fraction = 0.1
    freeze_norms: bool = False
    end_to_end: bool = True
    frozen: tuple[str, ...] = ()


class CurriculumConfig(Config):
    """Supplement, 1.3: first the relative losses until they converge, then all of them."""

    relative: StageConfig = StageConfig(patience=5)
    all: StageConfig = StageConfig()

    @model_validator(mode="after")
    def _trains(self) -> CurriculumConfig:
        if not self.relative.epochs + self.all.epochs:
            raise ValueError("expected epochs in at least one of relative and all.")
        return self


class OptimiserConfig(Config):
    """The optimiser.

    Attributes:
        name: "adam", or "adamw" (decoupled weight decay).
        learning_rate: of a stage that names none.
        weight_decay: not on biases and normalisations.
        betas: of Adam.
        gradient_clip: largest norm of the gradient; 0 for no limit.
        accumulate: batches per step.
        frozen: parts of the network that stay as they begin in all stages, such as "backbone".
        average_decay: of an exponential moving average of the weights, such as 0.999; the average is what is validated
            and written to best and last. 0 for none.
        skip_non_finite: so many steps of a run whose loss or gradient is not finite are skipped; one more ends it.
    """

    name: Literal["adam", "adamw"] = "adamw"
    learning_rate: PositiveFloat = 1e-4
    weight_decay: NonNegativeFloat = 1e-4
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    gradient_clip: NonNegativeFloat = 1.0
    accumulate: PositiveInt = 1
    frozen: tuple[str, ...] = ()
    average_decay: Fraction = 0.0
    skip_non_finite: NonNegativeInt = 0


class HardwareConfig(Config):
    """Where it runs; the names are Lightning's.

    Attributes:
        accelerator: "auto" takes a GPU where there is one.
        devices: how many per machine; 0 for all.
        nodes: machines. Start the same command on each by torchrun, SLURM or any launcher that Lightning knows.
        strategy: "auto": one process, or DDP that bears parameters without gradients (stage 1 has some). Any other
            name of Lightning's is handed on.
        precision: "32", or mixed: "bf16", "16". DGP is solved in float32 in any case.
        deterministic: only operations that give the same result every time.
        sync_batchnorm: batch norms take their statistics over all processes.
        channels_last: images and filters lie in memory with channels last: quicker on GPUs, with mixed precision most.
        compile: the network's part of a step goes through torch.compile; on a CPU that needs a C++ compiler.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: NonNegativeInt = 0
    nodes: PositiveInt = 1
    strategy: str = "auto"
    precision: Precision = "32"
    deterministic: bool = False
    sync_batchnorm: bool = False
    channels_last: bool = False
    compile: bool = False


class OutputConfig(Config):
    """What is written.

    Attributes:
        folder: a run writes into folder/NAME.
        log_every_steps: steps between two rows of the logs.
        checkpoint_every_steps: steps between two checkpoints for resuming.
        pictures: how many validation samples are drawn at each validation; 0 for none.
        half_precision: write networks as float16, half as large.
    """

    folder: str = "runs"
    log_every_steps: PositiveInt = 50
    checkpoint_every_steps: PositiveInt = 500
    pictures: NonNegativeInt = 8
    half_precision: bool = False


class TeacherConfig(Config):
    """Training on a teacher's outputs in place of the labels (`training.distillation`), for a guided network.

    Attributes:
        weights: file of the teacher; empty for none.
        cache: folder for views and the teacher's outputs, 110 kB for a picture in two views.
        draws: pairs of views of every picture.
        guide_steps: steps of the guide alone, before the curriculum (`distillation.guide_pretraining`); 0 for none.
        guide_batch, guide_learning_rate: views in such a step, and the peak of its learning rate.
    """

    weights: str = ""
    cache: str = "data/synthetic/taught"
    draws: PositiveInt = 1
    guide_steps: NonNegativeInt = 2000
    guide_batch: PositiveInt = 512
    guide_learning_rate: PositiveFloat = 1e-3


class TrainingConfig(Config):
    """A whole run. Everything that a run depends on, but for the data itself.

    Attributes:
        start: file of a network to go on from, weights and template; empty for a new one. `network` must describe it,
            but for its rectification, its solve and its template's name, which a fine-tuning may change.

    Raises:
        UsageError: a value that makes no sense.
    """

    name: str
    seed: NonNegativeInt = 0
    start: str = ""
    network: NetworkConfig = NetworkConfig()
    data: DataConfig = DataConfig()
    teacher: TeacherConfig = TeacherConfig()
    augmentation: Annotated[AugmentationConfig, SelfChecking] = AugmentationConfig()
    losses: LossWeights = LossWeights()
    curriculum: CurriculumConfig = CurriculumConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    hardware: HardwareConfig = HardwareConfig()
    output: OutputConfig = OutputConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> TrainingConfig:
        if not self.name or Path(self.name).name != self.name:
            raise UsageError(f"name: expected a name that a folder can have, got {self.name!r}.")
        if self.teacher.weights and (self.network.backbone != GUIDED or self.output.pictures):
            raise UsageError(
                f"teacher.weights: a teacher needs network.backbone {GUIDED} and output.pictures 0, "
                f"got {self.network.backbone} and {self.output.pictures}."
            )
        if self.losses.weights and not self.teacher.weights:
            raise UsageError(
                f"losses.weights: expected 0 where there is no teacher, whose weights they compare with, "
                f"got {self.losses.weights}."
            )
        return self

    @property
    def run_folder(self) -> Path:
        """Where this run writes."""
        return Path(self.output.folder) / self.name

    def learning_rate(self, stage: StageConfig) -> float:
        """The full learning rate of a stage."""
        return self.optimiser.learning_rate if stage.learning_rate is None else stage.learning_rate


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
    return parse_config(read_config(Path(path)), overrides)


def parse_config(values: dict[str, Any], overrides: Sequence[str] = ()) -> TrainingConfig:
    """The same from plain values."""
    return parse(TrainingConfig, with_overrides(values, overrides))


def read_config(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, or in one that comes with the program: `configs/open.yaml` is found anywhere.

    Raises:
        UsageError: no such file, no YAML, or no mapping.
    """
    ours = path.parent in (Path("."), Path("configs")) and not path.exists()
    try:
        content = _values(read_text(bundled(f"configs/{path.name}") if ours else path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "The configurations that come with the program are in configs/."
        raise UsageError(f"Could not read the configuration {path}: {reason}.", hint=hint) from error
    except ValueError as error:
        raise UsageError(f"{path} is not YAML: {error}.", hint="Correct that line.") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected keys and values, got {type(content).__name__!s}.")
    return content


def with_overrides(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy with "dotted.key=value" put in; a number in a dotted key is a place in a list.

    Raises:
        UsageError: an override without "=", or one that goes through something that has no keys.
    """
    result = deepcopy(values)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"Expected an override such as optimiser.learning_rate=1e-4, got {override!r}.")
        try:
            value = _values(text)
        except ValueError as error:
            raise UsageError(f"{key}: expected a value in YAML, got {text!r}.") from error
        _put(result, key.strip().split("."), value)
    return result


class _Loader(SafeLoader):
    """Reads 1e-4 as a number, as YAML 1.2 does."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def _values(text: str) -> Any:
    return parse_yaml(text, _Loader)


def _put(place: Any, path: list[str], value: Any) -> None:
    *parents, last = path
    for depth, name in enumerate(parents):
        if isinstance(place, dict) and place.get(name) is None:
            place[name] = {}
        place = place[_index(place, name, path[:depth])]
    place[_index(place, last, parents)] = value


def _index(place: Any, name: str, path: list[str]) -> str | int:
    """What `name` is an index of `place`, which is found at `path`."""
    if isinstance(place, dict):
        return name
    above = ".".join(path)
    if not isinstance(place, list):
        raise UsageError(f"{above}.{name}: {above} has no keys.")
    if not name.isdecimal() or int(name) >= len(place):
        raise UsageError(f"{above}: expected a number below {len(place)}, got {name!r}.")
    return int(name)
