"""The open hand's fit from frame to frame."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handdgp_core.estimation.hand_fit import HandFitter, Observation
from handdgp_core.estimation.tracked_fit import TrackedFitter
from handdgp_core.hands.open_hand.open_hand import OpenHand
from tests.handdgp_core.estimation.test_hand_fit import observe, true_pose

HALF_A_SECOND_NS = 500_000_000


def frames(hand: OpenHand) -> tuple[Observation, Observation]:
    """Two views of hands so unlike that four steps from one pose do not reach the other."""
    return observe(hand, true_pose(hand, 1), noise=1.0), observe(hand, true_pose(hand, 8), noise=1.0, seed=1)


@pytest.mark.parametrize("step_ns", [33_000_000, HALF_A_SECOND_NS])
def test_a_hand_that_is_followed_starts_from_its_last_pose(step_ns: int) -> None:
    hand = OpenHand.load()
    fitter, single = TrackedFitter(hand), HandFitter(hand)
    first, _ = frames(hand)
    pose = fitter.fit(first, [3], 1_000)
    near = first._replace(pixels=first.pixels + 1.0)
    np.testing.assert_array_equal(fitter.fit(near, [3], 1_000 + step_ns).dof_rad, single.fit(near, pose).dof_rad)


def test_a_fit_that_costs_much_more_than_the_last_is_tried_afresh_and_the_better_counts() -> None:
    hand = OpenHand.load()
    fitter, single = TrackedFitter(hand), HandFitter(hand)
    first, second = frames(hand)
    known = single.cost(fitter.fit(first, [3], 1_000), first)[0]
    second.pixels[0, 8] += 150.0  # no pose agrees with this
    warm, fresh = single.fit(second, fitter.fit(first, [4], 1_000)), single.fit(second)
    costs = [single.cost(pose, second)[0] for pose in (warm, fresh)]
    assert min(costs) > 1.5 * known
    assert costs[0] != costs[1]
    fitter.reset()
    fitter.fit(first, [3], 1_000)
    assert single.cost(fitter.fit(second, [3], 2_000), second)[0] <= min(costs)


@pytest.mark.parametrize("seed", [0, 4, 7])
def test_landmarks_that_are_turned_far_from_the_hand_do_not_keep_the_fit_in_a_wrong_minimum(seed: int) -> None:
    hand = OpenHand.load()
    seen = observe(hand, true_pose(hand, seed), noise=1.0)
    about = seen.world_m - seen.world_m.mean(axis=1, keepdims=True)
    seen = seen._replace(world_m=about @ Rotation.from_rotvec([0, -2.2, 0]).as_matrix())
    single = HandFitter(hand)
    assert single.fit_with_cost(seen)[1][0] > 1000
    assert single.cost(TrackedFitter(hand).fit(seen, [3], 1_000), seen)[0] < 150


def test_of_several_views_of_a_hand_in_one_frame_the_next_frame_starts_from_the_one_that_fits() -> None:
    hand = OpenHand.load()
    good, bad = frames(hand)
    bad.pixels[0, 8] += 150.0  # no pose agrees with this
    near = good._replace(pixels=good.pixels + 1.0)
    fitter, single = TrackedFitter(hand), HandFitter(hand)
    pose = fitter.fit(good, [3], 1_000)
    fitter.fit(bad, [3], 1_000)
    np.testing.assert_array_equal(fitter.fit(near, [3], 2_000).dof_rad, single.fit(near, pose).dof_rad)


@pytest.mark.parametrize(
    ("track", "stamp_ns"),
    [(4, 2_000), (3, 1_001 + HALF_A_SECOND_NS), (3, 1_000), (3, 0)],
    ids=["another hand", "long ago", "the same frame again", "an earlier frame"],
)
def test_any_other_hand_starts_from_the_mean_pose(track: int, stamp_ns: int) -> None:
    hand = OpenHand.load()
    fitter, single = TrackedFitter(hand), HandFitter(hand)
    first, second = frames(hand)
    warm = single.fit(second, fitter.fit(first, [3], 1_000))
    found = fitter.fit(second, [track], stamp_ns).dof_rad
    np.testing.assert_array_equal(found, single.fit(second).dof_rad)
    assert np.abs(found - warm.dof_rad).max() > 1e-6


def test_hands_without_a_number_and_forgotten_ones_have_no_past() -> None:
    hand = OpenHand.load()
    fitter, single = TrackedFitter(hand), HandFitter(hand)
    first, second = frames(hand)
    fitter.fit(first, [-1], 1_000)
    np.testing.assert_array_equal(fitter.fit(second, [-1], 2_000).dof_rad, single.fit(second).dof_rad)
    fitter.fit(first, [3], 3_000)
    fitter.reset()
    np.testing.assert_array_equal(fitter.fit(second, [3], 4_000).dof_rad, single.fit(second).dof_rad)


def test_a_keypoint_that_does_not_agree_with_the_hand_weighs_less() -> None:
    hand = OpenHand.load()
    seen = observe(hand, true_pose(hand, 2))
    seen.pixels[0, 8] += 60.0
    ones = np.ones((1, 21))
    weights = TrackedFitter(hand).predict(seen, 0.5 * ones, np.ones(1), np.ones(1), [0], 0).weights[0]
    assert np.argmin(weights) == 8 and weights[8] < 0.5 * np.median(weights)
    assert weights.max() <= 0.5
