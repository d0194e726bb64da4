from __future__ import annotations

import numpy as np
import pytest

from handdgp_core.hands.measure import hand_length_m
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand
from handdgp_core.synthetic.hands.motion import dof_from_pose
from handdgp_core.synthetic.hands.people import SKIN_TONES, draw_build, skin_tone
from handdgp_core.synthetic.hands.poses import PoseSampler, deepest_contact_m


@pytest.fixture(scope="module")
def hand() -> OpenHand:
    return OpenHand.load()


def test_drawn_poses_stay_within_the_joints_limits_and_apart(hand: OpenHand) -> None:
    sampler, rng = PoseSampler(hand), np.random.default_rng(3)
    drawn = np.stack([sampler.draw(rng) for _ in range(200)])
    low, high = hand.dof_limits_rad.T
    assert ((drawn >= low - 1e-9) & (drawn <= high + 1e-9)).all()
    depths = np.array([deepest_contact_m(hand, dof) for dof in drawn])
    assert (depths <= 0.004).mean() > 0.97
    assert np.ptp(np.degrees(drawn), axis=0).min() > 5  # every joint is used


def test_fingers_bend_together(hand: OpenHand) -> None:
    sampler, rng = PoseSampler(hand), np.random.default_rng(4)
    drawn = np.stack([sampler.draw(rng) for _ in range(300)])
    at = {name: number for number, name in enumerate(hand.dof_names)}
    pairs = [("middle PIP flexion", "ring PIP flexion"), ("index PIP flexion", "index DIP flexion")]
    for first, second in pairs:
        assert np.corrcoef(drawn[:, at[first]], drawn[:, at[second]])[0, 1] > 0.4


def test_contact_is_seen_where_a_finger_is_pushed_through_another(hand: OpenHand) -> None:
    spread = dof_from_pose(hand, "spread")
    assert deepest_contact_m(hand, spread) < 0
    crossed = spread.copy()
    crossed[hand.dof_names.index("index MCP abduction")] = np.radians(-30)
    assert deepest_contact_m(hand, crossed) > 0.004


def test_sizes_follow_the_stated_anthropometry(hand: OpenHand) -> None:
    rng = np.random.default_rng(0)
    builds = [draw_build(rng, hand.shape_count) for _ in range(4000)]
    adults = np.array([build.scale for build in builds if not build.child]) * hand.hand_length_mean_m
    assert abs(adults.mean() - 0.1825) < 0.001
    assert adults.std() / adults.mean() == pytest.approx(0.076, abs=0.005)
    children = np.array([build.scale for build in builds if build.child]) * hand.hand_length_mean_m
    assert 0.07 < len(children) / len(builds) < 0.09
    assert 0.11 < np.quantile(children, 0.1) < np.quantile(children, 0.9) < 0.18


def test_a_build_changes_the_hand_s_length_by_its_scale(hand: OpenHand) -> None:
    pose = hand.neutral_pose()
    small = HandPose(pose.rotation, pose.dof_rad, pose.shape, np.array([0.8]))
    lengths = [float(hand_length_m(hand.forward(p)[1][0])) for p in (pose, small)]
    assert lengths[1] == pytest.approx(0.8 * lengths[0], rel=1e-9)


def test_skin_gets_darker_with_every_step_and_palms_less_so() -> None:
    mean_back = [
        np.mean([np.mean(skin_tone(step, np.random.default_rng(n)).back) for n in range(20)])
        for step in range(1, SKIN_TONES + 1)
    ]
    mean_palm = [
        np.mean([np.mean(skin_tone(step, np.random.default_rng(n)).palm) for n in range(20)])
        for step in range(1, SKIN_TONES + 1)
    ]
    assert (np.diff(mean_back[3:]) < 0).all()
    assert mean_back[0] > 3 * mean_back[-1]
    assert mean_palm[-1] > 1.3 * mean_back[-1]
