"""The loop of the small networks against one written out, and its end where numbers are not finite."""

from __future__ import annotations

import math
import signal

import pytest
import torch
from torch import Tensor, nn

from handdgp_core.training.divergence import TrainingDiverged
from handdgp_core.training.small_network import fit
from handdgp_core.training.teacher.module import _blend

STEPS, RATE, DECAY, CLIP = 80, 0.02, 0.1, 0.5


def _line() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def _loss(line: nn.Linear, x: Tensor) -> Tensor:
    return (line(x) - x.sum(1, keepdim=True)).square().mean()


def test_it_takes_the_steps_of_a_loop_written_out_and_draws_the_same_numbers() -> None:
    trained, reference = _line(), _line()
    steps: list[int] = []
    torch.manual_seed(1)
    fit(trained, lambda: _loss(trained, torch.randn(16, 3)), STEPS, RATE, DECAY, CLIP, steps.append)
    assert steps == list(range(1, STEPS + 1))
    torch.manual_seed(1)
    optimiser = torch.optim.AdamW(reference.parameters(), lr=RATE, weight_decay=DECAY)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 50) * (1 + math.cos(math.pi * step / STEPS)) / 2
        optimiser.zero_grad()
        _loss(reference, torch.randn(16, 3)).backward()
        nn.utils.clip_grad_norm_(reference.parameters(), CLIP)
        optimiser.step()
    torch.testing.assert_close(trained.weight, reference.weight, rtol=1e-6, atol=1e-7)
    assert not torch.equal(trained.weight, _line().weight)


def test_an_interrupt_comes_out_of_it_as_such() -> None:
    line, handler = _line(), signal.getsignal(signal.SIGINT)

    def interrupted(step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # Lightning makes an exit of it
        fit(line, lambda: line.weight.sum(), 5, RATE, DECAY, CLIP, interrupted)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_loss_that_is_not_finite_ends_it_before_the_step() -> None:
    line, losses = _line(), iter([1.0, math.nan])
    after: list[Tensor] = []
    with pytest.raises(TrainingDiverged, match=r"The loss is nan .* at step 1\.") as error:
        fit(
            line,
            lambda: next(losses) * line.weight.sum(),
            5,
            RATE,
            DECAY,
            CLIP,
            lambda step: after.append(line.weight.detach().clone()),
        )
    assert error.value.hint and len(after) == 1 and torch.equal(line.weight, after[0])


def test_it_trains_in_one_process_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torchrun starts them: Lightning must not expect the other processes here."""
    values = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "1", "GROUP_RANK": "0"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    line, x = _line(), torch.ones(2, 3)
    fit(line, lambda: _loss(line, x), 2, RATE, DECAY, CLIP)
    assert not torch.equal(line.weight, _line().weight)


def test_the_running_mean_begins_as_a_mean_and_ends_with_its_decay() -> None:
    mean, value = torch.zeros(1), torch.ones(1)
    assert float(_blend(0.995, mean, value, torch.tensor(1))) == pytest.approx(0.9)
    assert float(_blend(0.995, mean, value, torch.tensor(9))) == pytest.approx(0.5)
    assert float(_blend(0.995, mean, value, torch.tensor(10**6))) == pytest.approx(0.005)
