"""When stages end, and the learning rate at every step."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handdgp_core.training.config import StageConfig, TrainingConfig, parse_config
from handdgp_core.training.curriculum import Curriculum, rate_factor


def _config(**stages: dict[str, object]) -> TrainingConfig:
    return parse_config({"name": "x", "curriculum": stages})


def test_a_stage_ends_after_its_epochs() -> None:
    curriculum = Curriculum(_config(relative={"epochs": 2}, all={"epochs": 1}))
    assert [curriculum.end_epoch(None, 10), curriculum.stage] == [False, "relative"]
    assert [curriculum.end_epoch(None, 20), curriculum.stage] == [True, "all"]
    assert curriculum.state.first_step == 20 and not curriculum.state.finished
    assert not curriculum.end_epoch(None, 30) and curriculum.state.finished


def test_a_stage_ends_once_validation_stops_getting_better() -> None:
    curriculum = Curriculum(_config(relative={"epochs": 99, "patience": 2, "min_improvement": 0.1}, all={"epochs": 9}))
    # 0.95 is better than 1.0, but by less than a tenth; 0.89 counts; then two in a row do not.
    switched = [curriculum.end_epoch(loss, step) for step, loss in enumerate([1.0, 0.95, 0.89, 0.88, 0.87])]
    assert switched == [False, False, False, False, True] and curriculum.stage == "all"
    assert curriculum.state.since_best == 0 and math.isinf(curriculum.state.best)


def test_nan_never_counts_as_better() -> None:
    curriculum = Curriculum(_config(relative={"epochs": 99, "patience": 2}, all={"epochs": 1}))
    assert [curriculum.end_epoch(loss, 1) for loss in (1.0, math.nan, math.nan)] == [False, False, True]


def test_a_stage_of_no_epochs_is_skipped() -> None:
    assert Curriculum(_config(relative={"epochs": 0}, all={"epochs": 3})).stage == "all"
    alone = Curriculum(_config(relative={"epochs": 1}, all={"epochs": 0}))
    assert not alone.end_epoch(None, 1) and alone.state.finished


def test_the_second_stage_has_its_own_rate_and_clock() -> None:
    options = {"schedule": "constant", "warmup_steps": 4}
    config = _config(relative={"epochs": 1, **options}, all={"epochs": 1, "learning_rate": 3e-5, **options})
    curriculum = Curriculum(config)
    assert curriculum.learning_rate(0, 10) == pytest.approx(config.optimiser.learning_rate / 4)
    assert curriculum.learning_rate(9, 10) == pytest.approx(config.optimiser.learning_rate)
    curriculum.end_epoch(None, 10)
    assert curriculum.learning_rate(10, 10) == pytest.approx(3e-5 / 4)
    assert curriculum.learning_rate(14, 10) == pytest.approx(3e-5)


def test_schedules_have_their_known_values() -> None:
    cosine = StageConfig(schedule="cosine", final_factor=0.1)
    assert [rate_factor(cosine, done, 100) for done in (0, 50, 100, 500)] == pytest.approx([1.0, 0.55, 0.1, 0.1])
    steps = StageConfig(schedule="steps", milestones=(0.5, 0.8), step_factor=0.1)
    assert [rate_factor(steps, done, 100) for done in (0, 49, 50, 80)] == pytest.approx([1.0, 1.0, 0.1, 0.01])


@given(st.lists(st.floats(0.0, 2.0) | st.none(), max_size=12), st.integers(0, 12))
def test_a_state_that_went_through_a_checkpoint_decides_the_same(losses: list[float | None], cut: int) -> None:
    config = _config(relative={"epochs": 6, "patience": 2}, all={"epochs": 4, "patience": 1})
    unbroken, resumed = Curriculum(config), Curriculum(config)
    for step, loss in enumerate(losses):
        if step == cut:
            fresh = Curriculum(config)
            fresh.restore(resumed.to_plain())
            resumed = fresh
        assert unbroken.end_epoch(loss, step) == resumed.end_epoch(loss, step)
        assert unbroken.state == resumed.state
        if unbroken.state.finished:
            break
