"""The loop of the small networks against one written out, and its end where numbers are not finite."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from handdgp_core.training.descent import descend
from handdgp_core.training.divergence import TrainingDiverged
from handdgp_core.training.teacher.module import _blend

STEPS, RATE, DECAY, CLIP = 80, 0.02, 0.1, 0.5


def _line() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def _loss(line: nn.Linear, x: Tensor) -> Tensor:
    return (line(x) - x.sum(1, keepdim=True)).square().mean()


def test_it_takes_the_steps_of_a_loop_written_out() -> None:
    x, trained, reference = torch.randn(16, 3, generator=torch.Generator().manual_seed(1)), _line(), _line()
    assert list(descend(trained, lambda: _loss(trained, x), STEPS, RATE, DECAY, CLIP)) == list(range(1, STEPS + 1))
    optimiser = torch.optim.AdamW(reference.parameters(), lr=RATE, weight_decay=DECAY)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 50) * (1 + math.cos(math.pi * step / STEPS)) / 2
        optimiser.zero_grad()
        _loss(reference, x).backward()
        nn.utils.clip_grad_norm_(reference.parameters(), CLIP)
        optimiser.step()
    torch.testing.assert_close(trained.weight, reference.weight, rtol=1e-6, atol=1e-7)
    assert not torch.equal(trained.weight, _line().weight)


def test_a_loss_that_is_not_finite_ends_it_before_the_step() -> None:
    line, losses = _line(), iter([1.0, math.nan])
    steps = descend(line, lambda: next(losses) * line.weight.sum(), 5, RATE, DECAY, CLIP)
    assert next(steps) == 1
    before = line.weight.clone()
    with pytest.raises(TrainingDiverged, match=r"The loss is nan .* at step 1\.") as error:
        next(steps)
    assert error.value.hint and torch.equal(line.weight, before)


def test_the_running_mean_begins_as_a_mean_and_ends_with_its_decay() -> None:
    mean, value = torch.zeros(1), torch.ones(1)
    assert float(_blend(0.995, mean, value, torch.tensor(1))) == pytest.approx(0.9)
    assert float(_blend(0.995, mean, value, torch.tensor(9))) == pytest.approx(0.5)
    assert float(_blend(0.995, mean, value, torch.tensor(10**6))) == pytest.approx(0.005)
