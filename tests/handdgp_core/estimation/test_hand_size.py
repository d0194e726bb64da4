"""Measurements of one hand add up: a tight one rules, equal ones average, contradictions widen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from handdgp_core.errors import UsageError
from handdgp_core.estimation.bone_length import hand_length_from_bone
from handdgp_core.estimation.hand_length import ADULT_HAND_M, RULER_STD
from handdgp_core.estimation.hand_size import PRIOR_STD, Measurement, fused, ruler, seen


def test_nothing_measured_is_nothing_known() -> None:
    assert fused([]).length_m is None


@pytest.mark.parametrize("length_m", [0.13, 0.188, 0.24])
def test_a_whole_hand_that_was_measured_is_not_pulled_to_the_mean_of_adults(length_m: float) -> None:
    known = fused([ruler(length_m)])
    assert (known.length_m, known.std) == (pytest.approx(length_m), pytest.approx(RULER_STD))


def test_a_bone_alone_is_a_regression_to_the_mean_adult() -> None:
    bone = hand_length_from_bone("index_proximal", 0.048)
    known = fused([bone])
    assert known.length_m is not None and ADULT_HAND_M < known.length_m < bone.length_m
    assert 1 / known.std**2 == pytest.approx(1 / bone.std**2 + 1 / PRIOR_STD**2)


def test_a_ruler_beside_a_bone_rules() -> None:
    known = fused([hand_length_from_bone("ring", 0.085), ruler(0.19)])
    assert known.length_m == pytest.approx(0.19, rel=0.02) and known.std < RULER_STD


def test_what_repeating_does_not_remove_stays() -> None:
    many = fused([seen(0.19, 0.025)] * 50)
    assert many.length_m == pytest.approx(0.19) and 0.0199 < many.std < 0.021
    both = fused([*[seen(0.19, 0.025)] * 50, ruler(0.19)])
    assert both.std == pytest.approx((many.std**-2 + RULER_STD**-2) ** -0.5)


def test_measurements_that_contradict_each_other_widen_the_error() -> None:
    agreeing, other = fused([ruler(0.19), seen(0.19, 0.02)]), fused([ruler(0.17), seen(0.21, 0.02)])
    assert other.std > 3 * agreeing.std


def test_it_is_the_posterior_of_simulated_people() -> None:
    """Drawn as the model says, the mean error is none and the standardised error one."""
    random = np.random.default_rng(0)
    errors = []
    for _ in range(4000):
        true = ADULT_HAND_M * math.exp(random.normal(0, PRIOR_STD))
        fingers = random.normal(0, 0.03)
        bones = [
            Measurement(true * math.exp(fingers + error), math.hypot(0.03, 0.05), "finger", 0.03, False)
            for error in random.normal(0, 0.05, 3)
        ]
        palm = Measurement(true * math.exp(random.normal(0, 0.04)), 0.04, "palm", 0.0, False)
        found = fused([*bones, palm])
        assert found.length_m is not None
        errors.append(math.log(found.length_m / true) / found.std)
    assert abs(np.mean(errors)) < 0.05 and np.std(errors) == pytest.approx(0.95, abs=0.07)  # widened now and then


@pytest.mark.parametrize("wrong", [0.0, -0.1, math.nan, math.inf])
def test_what_is_no_measurement_is_refused(wrong: float) -> None:
    with pytest.raises(UsageError, match="is no measurement"):
        fused([ruler(wrong)])
