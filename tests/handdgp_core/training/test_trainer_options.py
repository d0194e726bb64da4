"""What a run may do beside the plain steps: a moving average, skipped steps, other layouts and compiled passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from handdgp_core.errors import UsageError
from handdgp_core.networks import load_network
from handdgp_core.training.config import load_config
from handdgp_core.training.divergence import FiniteSteps, TrainingDiverged
from handdgp_core.training.trainer import make_trainer, train
from tests.handdgp_core.training.rendered_hands import RenderedData, RenderedHands
from tests.places import ROOT

ONE_STAGE = ["data.batch_size=4", "curriculum.relative.epochs=2", "curriculum.all.epochs=0", "output.pictures=0"]
WEIGHT = "backbone.body.conv1.weight"
pytestmark = pytest.mark.usefixtures("one_torch_thread")


class Weights(Callback):
    """Notes one of the network's weights after every step, and the loss."""

    def __init__(self) -> None:
        self.after: list[torch.Tensor] = []
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.after.append(module.network.state_dict()[WEIGHT].clone())
        self.losses.append(float(outputs["loss"]))


def run(folder: Path, *overrides: str, hands: RenderedHands | None = None, resume: bool = False) -> Weights:
    config = load_config(ROOT / "configs" / "tiny.yaml", [f"output.folder={folder}", *ONE_STAGE, *overrides])
    weights = Weights()
    train(config, resume, RenderedData(hands or RenderedHands(8), config), (weights,), progress=False)
    return weights


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    torch.set_num_threads(1)
    return run(tmp_path_factory.mktemp("plain"))


def test_the_average_of_the_weights_is_written_and_changes_no_step(plain: Weights, tmp_path: Path) -> None:
    decay = 0.8
    averaged = run(tmp_path, f"optimiser.average_decay={decay}")
    assert averaged.losses == plain.losses
    expected = plain.after[0]
    for weight in plain.after[1:]:
        expected = decay * expected + (1 - decay) * weight
    written = load_network(tmp_path / "tiny" / "last.safetensors").state_dict()[WEIGHT]
    torch.testing.assert_close(written, expected)
    assert not torch.equal(written, plain.after[-1])


def test_a_step_that_is_not_finite_is_as_if_it_had_not_been(plain: Weights, tmp_path: Path, caplog: Any) -> None:
    broken = RenderedHands(8)
    broken[2]["view1"]["image"][0, 0, 0] = float("nan")
    weights = run(tmp_path, "optimiser.skip_non_finite=2", hands=broken)
    finite = [bool(torch.isfinite(torch.tensor(loss))) for loss in weights.losses]
    assert finite.count(False) == 2  # one batch of each epoch
    for number in (index for index, good in enumerate(finite) if not good and index):
        assert torch.equal(weights.after[number], weights.after[number - 1])
    assert all(torch.isfinite(value).all() for value in load_network(tmp_path / "tiny" / "last.safetensors").buffers())
    told = [record.getMessage() for record in caplog.records if "It is skipped" in record.getMessage()]
    assert len(told) == 2 and "number 2 of at most 2" in told[1]
    with pytest.raises(TrainingDiverged):
        run(tmp_path / "one", "optimiser.skip_non_finite=1", hands=broken)


def test_a_skipped_step_restores_the_statistics_and_no_gradient_is_left() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    finite = FiniteSteps(network, 1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    finite.remember()
    loss = network(torch.tensor([[float("nan"), 0.0], [1.0, 2.0]])).sum()
    loss.backward()
    assert not finite.check([loss], lambda value: value) and finite.may_skip
    finite.skip(keep_gradients=False)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters()) and not finite.may_skip
    # finite here, but not in another process: both skip
    assert not finite.check([torch.ones(1)], lambda value: value + 1)


def test_channels_last_gives_the_same_losses(plain: Weights, tmp_path: Path) -> None:
    losses = run(tmp_path, "hardware.channels_last=true").losses
    assert losses[0] == pytest.approx(plain.losses[0], rel=1e-3)
    assert losses == pytest.approx(plain.losses, rel=0.1)  # rounding grows from step to step


def test_batch_norms_are_joined_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr("handdgp_core.training.lightning_trainer.Trainer", lambda **options: asked.update(options))
    for value in ("true", "false"):
        overrides = [f"output.folder={tmp_path}", f"hardware.sync_batchnorm={value}"]
        make_trainer(load_config(ROOT / "configs" / "tiny.yaml", overrides), progress=False)
        assert asked["sync_batchnorm"] is (value == "true")


def test_a_compiled_pass_gives_the_same_losses(plain: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tracing is what may fail; generating code for it takes minutes.
    compiled = []
    original = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f: compiled.append(f) or original(f, backend="aot_eager"))
    losses = run(tmp_path, "hardware.compile=true").losses
    assert len(compiled) == 1
    assert losses[0] == pytest.approx(plain.losses[0], rel=1e-5)
    assert losses == pytest.approx(plain.losses, rel=0.1)


def test_compiling_without_a_compiler_is_said_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UsageError, match=r"hardware\.compile"):
        run(tmp_path, "hardware.compile=true", "hardware.accelerator=cpu")
