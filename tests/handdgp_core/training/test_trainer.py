"""Whole runs of a tiny network: killed and resumed, diverging, learning."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback

from handdgp_core.errors import UsageError
from handdgp_core.networks import load_network
from handdgp_core.training.ablation import begin_as
from handdgp_core.training.config import TrainingConfig, load_config
from handdgp_core.training.divergence import TrainingDiverged
from handdgp_core.training.lightning_trainer import quieten
from handdgp_core.training.trainer import RunResult, train
from tests.handdgp_core.training.rendered_hands import RenderedData, RenderedHands
from tests.places import ROOT

TINY = ROOT / "configs" / "tiny.yaml"
# 12 hands in batches of 4: three steps an epoch, two epochs a stage, twelve steps in all.
SHORT = [
    "data.batch_size=4",
    "curriculum.relative.epochs=2",
    "curriculum.all.epochs=2",
    "output.checkpoint_every_steps=2",
]
STEPS = 12
pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def hands() -> RenderedHands:
    return RenderedHands(12)


class Losses(Callback):
    """Notes the loss of every step; ends the run, as a kill would, before a given one."""

    def __init__(self, kill_before: int | None = None) -> None:
        self.of_step: dict[int, float] = {}
        self._kill_before = kill_before

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self._kill_before:
            raise _Killed

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.of_step[trainer.global_step] = float(outputs["loss"])


class _Killed(RuntimeError):
    pass


def _config(folder: Path, *overrides: str) -> TrainingConfig:
    return load_config(TINY, [f"output.folder={folder}", *SHORT, *overrides])


def _run(config: TrainingConfig, hands: RenderedHands, *callbacks: Callback, resume: bool = False) -> RunResult:
    return train(config, resume, RenderedData(hands, config), callbacks, progress=False)


@pytest.fixture(scope="module")
def unbroken(
    hands: RenderedHands, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[int, float], RunResult]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("unbroken")
    losses = Losses()
    result = _run(_config(folder, "output.pictures=2"), hands, losses)
    return folder / "tiny", losses.of_step, result


@pytest.mark.slow
@pytest.mark.parametrize("kill_before", [5, 6, 9])  # within stage 1; at its very end; at the end of an epoch of stage 2
def test_a_killed_and_resumed_run_has_the_losses_of_an_unbroken_one(
    kill_before: int, hands: RenderedHands, unbroken: tuple[Path, dict[int, float], RunResult], tmp_path: Path
) -> None:
    expected = unbroken[1]
    assert sorted(expected) == list(range(1, STEPS + 1))
    before, after = Losses(kill_before), Losses()
    with pytest.raises(_Killed):
        _run(_config(tmp_path), hands, before)
    result = _run(_config(tmp_path), hands, after, resume=True)
    assert result.finished and result.steps == STEPS
    assert before.of_step == {step: expected[step] for step in range(1, kill_before + 1)}
    first = min(after.of_step)
    assert kill_before - 2 < first <= kill_before + 1  # it went on from a checkpoint, not from the beginning
    assert after.of_step == {step: expected[step] for step in range(first, STEPS + 1)}


def test_another_second_stage_goes_on_from_the_end_of_the_first(
    hands: RenderedHands, unbroken: tuple[Path, dict[int, float], RunResult], tmp_path: Path
) -> None:
    """What `ablation` does: gradients through DGP belong to the second stage, so the first is the same without."""
    _run(_config(tmp_path / "apart", "curriculum.all.end_to_end=false"), hands)
    folder = tmp_path / "end-to-end"
    begin_as(tmp_path / "apart" / "tiny", folder / "tiny")
    losses = Losses()
    assert _run(_config(folder), hands, losses, resume=True).steps == STEPS
    assert losses.of_step == {step: unbroken[1][step] for step in range(STEPS // 2 + 1, STEPS + 1)}


class Rates(Callback):
    """Notes the learning rate and the loss of every step; ends the run before a given one."""

    def __init__(self, kill_before: int | None = None) -> None:
        self.of_step: dict[int, float] = {}
        self.losses: dict[int, float] = {}
        self._kill_before = kill_before

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self._kill_before:
            raise _Killed
        (rate,) = {group["lr"] for group in trainer.optimizers[0].param_groups}
        self.of_step[trainer.global_step] = rate

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.losses[trainer.global_step - 1] = float(outputs["loss"])


# The first stage may take 5 epochs of 3 steps and ends after 2 epochs: no validation is nine tenths better.
EARLY = [
    *("data.batch_size=4", "output.checkpoint_every_steps=2", "optimiser.learning_rate=1e-5"),
    "curriculum.relative={epochs: 5, patience: 1, min_improvement: 0.9, warmup_steps: 4, final_factor: 0.1}",
    "curriculum.all={epochs: 2, learning_rate: 1e-6, schedule: steps, milestones: [0.5], warmup_steps: 2}",
]


@pytest.fixture(scope="module")
def rates(hands: RenderedHands, tmp_path_factory: pytest.TempPathFactory) -> Rates:
    torch.set_num_threads(1)
    noted = Rates()
    assert _run(load_config(TINY, [f"output.folder={tmp_path_factory.mktemp('rates')}", *EARLY]), hands, noted).finished
    return noted


def test_learning_rates_follow_the_curve_of_each_stage(rates: Rates) -> None:
    cosine = [0.1 + 0.9 * (1 + math.cos(math.pi * step / 15)) / 2 for step in range(6)]
    first = [1e-5 * factor * min(1, (step + 1) / 4) for step, factor in enumerate(cosine)]
    second = [1e-6 * factor for factor in (0.5, 1.0, 1.0, 0.1, 0.1, 0.1)]
    assert [rates.of_step[step] for step in range(12)] == pytest.approx(first + second, rel=1e-12)
    assert len(rates.of_step) == 12


@pytest.mark.parametrize("kill_before", [6, 9])  # at the first step of the second stage; within it
def test_a_resumed_run_has_the_learning_rates_and_losses_of_an_unbroken_one(
    kill_before: int, hands: RenderedHands, rates: Rates, tmp_path: Path
) -> None:
    config = load_config(TINY, [f"output.folder={tmp_path}", *EARLY])
    before, after = Rates(kill_before), Rates()
    with pytest.raises(_Killed):
        _run(config, hands, before)
    assert _run(config, hands, after, resume=True).finished
    assert 0 < min(after.of_step) <= kill_before
    assert before.of_step | after.of_step == rates.of_step
    assert before.losses | after.losses == rates.losses


def test_a_run_leaves_what_it_promises(unbroken: tuple[Path, dict[int, float], RunResult]) -> None:
    folder, _, result = unbroken
    checkpoint = torch.load(folder / "last.ckpt", weights_only=True)
    assert checkpoint["curriculum"]["finished"] and checkpoint["global_step"] == STEPS
    network = load_network(folder / "last.safetensors")
    assert torch.equal(
        network.backbone.body.conv1.weight, checkpoint["state_dict"]["network.backbone.body.conv1.weight"]
    )
    beside = yaml.safe_load((folder / "last.yaml").read_text())
    assert beside["config"] == yaml.safe_load((folder / "config.yaml").read_text()) and beside["stage"] == "all"
    # Twelve steps may leave every root unsolved, so which errors there are is not known beforehand.
    validated = {name: value for name, value in beside.items() if name.startswith("validation/")}
    assert {"validation/loss", "validation/relative_joint_mm", "validation/degenerate"} <= set(validated)
    assert validated == pytest.approx(result.errors)
    assert (folder / "best.safetensors").is_file() and list((folder / "pictures").glob("*.png"))
    assert list((folder / "tensorboard").glob("events*"))
    rows = list(csv.DictReader((folder / "csv" / "version_0" / "metrics.csv").open()))
    stages = [float(row["stage"]) for row in rows if row["stage"]]
    assert stages == [0.0] * 6 + [1.0] * 6
    # Camera-space losses count in the second stage alone; samples without a root are counted in both.
    assert [bool(row["train/root"]) for row in rows if row["stage"]] == [False] * 6 + [True] * 6
    assert all(row["train/degenerate_step"] for row in rows if row["stage"])
    assert not list(folder.glob("*.part*"))


def test_a_run_is_never_overwritten_nor_resumed_from_nothing(
    hands: RenderedHands, unbroken: tuple[Path, dict[int, float], RunResult], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--resume"):
        _run(_config(unbroken[0].parent), hands)
    with pytest.raises(UsageError, match=r"last\.ckpt"):
        _run(_config(tmp_path), hands, resume=True)
    with pytest.raises(UsageError, match="network"):
        _run(_config(unbroken[0].parent, "network.weight_latent=32"), hands, resume=True)


def test_numbers_that_are_not_finite_stop_the_run_and_save_the_batch(tmp_path: Path) -> None:
    from safetensors import safe_open

    broken = RenderedHands(4)
    broken[2]["view1"]["image"][0, 0, 0] = float("nan")
    with pytest.raises(TrainingDiverged, match="step 0") as error:
        _run(_config(tmp_path), broken)
    (saved,) = (tmp_path / "tiny").glob("diverged-*.safetensors")
    assert str(saved) in error.value.message
    with safe_open(saved, framework="pt") as content:
        images = content.get_tensor("view1.image")
        assert torch.isnan(images).any(dim=(1, 2, 3)).sum() == 1 and content.metadata()["stage"] == "relative"
    assert not (tmp_path / "tiny" / "last.ckpt").exists()


@pytest.mark.slow
def test_bfloat16_trains_through_both_stages(hands: RenderedHands, tmp_path: Path) -> None:
    losses = Losses()
    short = ("hardware.precision=bf16", "curriculum.relative.epochs=1", "curriculum.all.epochs=1", "output.pictures=0")
    result = _run(_config(tmp_path, *short), hands, losses)
    assert result.finished and len(losses.of_step) == 6
    assert all(torch.isfinite(torch.tensor(loss)) for loss in losses.of_step.values())


def test_impossible_hardware_is_a_usage_error(hands: RenderedHands, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        expected, override = "GPUs asked for", f"hardware.devices={torch.cuda.device_count() + 1}"
    else:
        expected, override = "no GPU that", "hardware.devices=1"
    with pytest.raises(UsageError, match=expected):
        _run(_config(tmp_path, "hardware.accelerator=gpu", override), hands)


def test_advertisements_stay_off_the_screen(
    hands: RenderedHands, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    short = ("curriculum.relative.epochs=1", "curriculum.all.epochs=0", "output.pictures=0")
    _run(_config(tmp_path, *short), hands)
    shown = "".join(capfd.readouterr())
    assert "Tip" not in shown and "litlogger" not in shown.lower() and "litmodels" not in shown.lower()


class OnePlace(Callback):
    """Puts all keypoints of all hands into one place, where DGP is singular."""

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        for parameter in module.network.keypoint_head.parameters():
            torch.nn.init.zeros_(parameter)


@pytest.mark.parametrize("singular", [True, False])
def test_an_epoch_of_singular_systems_is_reported(
    singular: bool, hands: RenderedHands, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short = ["curriculum.relative.epochs=0", "curriculum.all.epochs=1", "optimiser.frozen=[keypoint_head]"]
    _run(_config(tmp_path, *short), hands, *([OnePlace()] if singular else []))
    reported = [record.getMessage() for record in caplog.records if "camera-space gradient" in record.getMessage()]
    assert len(reported) == singular
    assert not singular or "100%" in reported[0]


def test_a_warning_of_lightnings_is_shown_once(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    import lightning.pytorch.trainer.connectors.checkpoint_connector as connector

    quieten()
    connector.log.info("a note on a file")
    connector.log.warning("a warning")
    assert [record.getMessage() for record in caplog.records] == ["a warning"]
    assert not "".join(capfd.readouterr())  # nothing beside what the program's own handlers show


class First(Callback):
    """Notes the weights that a run begins with."""

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.weights = {name: value.clone() for name, value in module.network.state_dict().items()}
        self.policy = module.network.config.rectification.policy


def test_a_run_starts_from_a_network_that_is_there(
    hands: RenderedHands, unbroken: tuple[Path, dict[int, float], RunResult], tmp_path: Path
) -> None:
    file, first = unbroken[0] / "last.safetensors", First()
    short = [f"start={file}", "curriculum.relative.epochs=0", "curriculum.all.epochs=1"]
    result = _run(_config(tmp_path, *short, "network.rectification.policy=none"), hands, first)
    assert result.finished and first.policy == "none"
    for name, value in load_network(file).state_dict().items():
        torch.testing.assert_close(first.weights[name], value)
    assert load_network(result.folder / "last.safetensors").config.rectification.policy == "none"
    with pytest.raises(UsageError, match="weight_latent is 64"):
        _run(_config(tmp_path, *short, "name=other", "network.weight_latent=32"), hands)
