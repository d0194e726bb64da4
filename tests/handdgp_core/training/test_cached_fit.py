"""The loop of the small networks against one written out, and its end where numbers are not finite."""

from __future__ import annotations

import math
import signal

import pytest
import torch
from torch import Tensor, nn

from handdgp_core.training.cached_fit import FitOptions, fit_cached
from handdgp_core.training.divergence import TrainingDiverged
from handdgp_core.training.teacher.module import _blend

OPTIONS = FitOptions(steps=80, learning_rate=0.02, weight_decay=0.1, gradient_clip=0.5)


def _line() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def _loss(line: nn.Linear, x: Tensor) -> Tensor:
    return (line(x) - x.sum(1, keepdim=True)).square().mean()


def test_it_takes_the_steps_of_a_loop_written_out() -> None:
    x, trained, reference = torch.randn(16, 3, generator=torch.Generator().manual_seed(1)), _line(), _line()
    losses: list[Tensor] = []
    told: list[int] = []

    def loss() -> Tensor:
        losses.append(_loss(trained, x))
        return losses[-1]

    fit_cached(trained, loss, OPTIONS, told.append)
    assert told == list(range(1, OPTIONS.steps + 1))
    optimiser = torch.optim.AdamW(reference.parameters(), lr=OPTIONS.learning_rate, weight_decay=OPTIONS.weight_decay)
    for step in range(OPTIONS.steps):
        for group in optimiser.param_groups:
            share = (1 + math.cos(math.pi * step / OPTIONS.steps)) / 2
            group["lr"] = OPTIONS.learning_rate * min(1, (step + 1) / 50) * share
        optimiser.zero_grad()
        value = _loss(reference, x)
        torch.testing.assert_close(losses[step], value, rtol=1e-6, atol=1e-7)
        value.backward()
        nn.utils.clip_grad_norm_(reference.parameters(), OPTIONS.gradient_clip)
        optimiser.step()
    torch.testing.assert_close(trained.weight, reference.weight, rtol=1e-6, atol=1e-7)
    assert not torch.equal(trained.weight, _line().weight)


def test_a_loss_that_is_not_finite_ends_it_before_the_step() -> None:
    line, losses, after = _line(), iter([1.0, math.nan]), list[Tensor]()
    with pytest.raises(TrainingDiverged, match=r"The loss is nan .* at step 1\.") as error:
        fit_cached(
            line,
            lambda: next(losses) * line.weight.sum(),
            OPTIONS,
            lambda step: after.append(line.weight.detach().clone()),
        )
    assert error.value.hint and len(after) == 1 and torch.equal(line.weight, after[0])


def test_an_interrupt_comes_out_of_it_as_such() -> None:
    line, handler = _line(), signal.getsignal(signal.SIGINT)

    def interrupted(step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_cached(line, lambda: line.weight.sum(), OPTIONS, interrupted)
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_running_mean_begins_as_a_mean_and_ends_with_its_decay() -> None:
    mean, value = torch.zeros(1), torch.ones(1)
    assert float(_blend(0.995, mean, value, torch.tensor(1))) == pytest.approx(0.9)
    assert float(_blend(0.995, mean, value, torch.tensor(9))) == pytest.approx(0.5)
    assert float(_blend(0.995, mean, value, torch.tensor(10**6))) == pytest.approx(0.005)
