"""Metrics against known values and slow reference implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handdgp_core.evaluation import metrics
from handdgp_core.evaluation.metrics import Spread
from handdgp_core.evaluation.summary import Pairs, summarise


@pytest.fixture
def hands() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    true = rng.normal(0.0, 0.05, (7, 21, 3)) + [0.0, 0.0, 0.5]
    return true + rng.normal(0.0, 0.01, true.shape), true


def test_a_spread_tells_the_standard_error_of_its_mean() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    found = Spread.of(values)
    mean = values.sum() / 4
    assert (found.mean, found.median, found.count) == (mean, 3.0, 4)
    assert found.standard_error == pytest.approx(math.sqrt(((values - mean) ** 2).sum() / 3) / 2)
    assert math.isnan(Spread.of(values[:1]).standard_error)


def test_joint_error_equals_a_slow_twin(hands: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, true = hands
    slow = [
        1000 * sum(math.dist(p, t) for p, t in zip(hand_p, hand_t, strict=True)) / 21
        for hand_p, hand_t in zip(predicted, true, strict=True)
    ]
    assert metrics.joint_error_mm(predicted, true) == pytest.approx(slow)


def test_a_known_shift_has_known_errors() -> None:
    true = np.random.default_rng(0).normal(size=(2, 21, 3))
    predicted = true + [0.003, 0.0, -0.004]
    assert metrics.joint_error_mm(predicted, true) == pytest.approx([5.0, 5.0])
    assert metrics.depth_error_mm(predicted, true) == pytest.approx([4.0, 4.0])
    assert metrics.depth_bias_mm(predicted, true) == pytest.approx([-4.0, -4.0])
    assert metrics.lateral_error_mm(predicted, true) == pytest.approx([3.0, 3.0])


def test_alignment_removes_a_similarity_and_nothing_else(hands: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, true = hands
    turned = 1.3 * true @ Rotation.random(7, random_state=1).as_matrix() + 0.2
    assert metrics.aligned_joint_error_mm(turned, true) == pytest.approx(np.zeros(7), abs=1e-6)
    aligned = metrics.aligned_joint_error_mm(predicted, true)
    assert (aligned > 5.0).all() and (aligned < metrics.joint_error_mm(predicted, true) + 1e-9).all()


def test_spread_of_known_numbers_and_of_nothing() -> None:
    assert Spread.of(np.arange(11.0)) == Spread(5.0, 5.0, 9.0, 11, 1.0)
    assert Spread.of(np.zeros(0)).count == 0 and math.isnan(Spread.of(np.zeros(0)).mean)


def test_a_missed_or_unplaced_hand_counts_as_missed_and_not_as_an_error() -> None:
    pairs = Pairs()
    true = np.random.default_rng(0).normal(size=(21, 3)) + [0, 0, 3.0]
    pairs.add(true, true + [0, 0, 0.01], True)
    pairs.add(true, None, None)
    pairs.add(true, np.full((21, 3), np.nan), False)
    figures = summarise(pairs)
    assert (figures["hands"], figures["found"]) == (3, 1)
    assert figures["handedness_right_fraction"] == 0.5
    assert figures["camera_space_mm"]["mean"] == pytest.approx(10.0)


def test_skipped_joints_do_not_count_and_ranges_hold_their_hands() -> None:
    pairs = Pairs()
    for depth in (0.35, 0.45):
        true = np.zeros((21, 3)) + [0.0, 0.0, depth]
        wrong_wrist = true.copy()
        wrong_wrist[0] += 1.0
        pairs.add(true, wrong_wrist)
    figures = summarise(pairs, excluded=(0,))
    assert figures["camera_space_mm"]["mean"] == 0.0
    assert {key: value["count"] for key, value in figures["camera_space_mm_by_distance"].items()} == {
        "0.3-0.4 m": 1,
        "0.4-0.5 m": 1,
    }


def test_an_empty_data_set_gives_no_numbers() -> None:
    figures = summarise(Pairs())
    assert figures["hands"] == 0 and math.isnan(figures["camera_space_mm"]["mean"])


def test_a_body_is_aligned_at_its_pelvis_even_where_the_pelvis_does_not_count() -> None:
    rng = np.random.default_rng(5)
    pairs = Pairs(keypoint_count=29)
    true = rng.normal(0, 0.3, (29, 3)) + [0, 0, 4]
    wrong = true + [0.05, 0, 0]
    wrong[9] += 0.2  # the joint that the wrist of a hand hands over to
    pairs.add(true, wrong)
    for excluded in ((), (0,)):
        figures = summarise(pairs, excluded)
        assert figures["reference_joint"] == 0
        assert figures["root_relative_mm"]["mean"] == pytest.approx(1e3 * 0.2 * 3**0.5 / (29 - len(excluded)))


def test_the_middle_fingers_base_may_be_skipped_beside_the_wrist() -> None:
    pairs = Pairs()
    true = np.random.default_rng(1).normal(0, 0.05, (21, 3)) + [0, 0, 0.5]
    pairs.add(true, true + 0.01)
    assert summarise(pairs, (0, 9))["root_relative_mm"]["mean"] == pytest.approx(0, abs=1e-9)
