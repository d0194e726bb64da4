from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand
from handdgp_core.synthetic.hands.motion import POSES, Key, Moment, Score, dof_from_pose
from tools.assets.demo_clip import DURATION_S, PARTS, RATE

FINGERTIPS = [4, 8, 12, 16, 20]


@pytest.fixture(scope="module")
def hand() -> OpenHand:
    return OpenHand.load()


@pytest.fixture(scope="module")
def performances(hand: OpenHand) -> list[list[Moment]]:
    """Every part of the demo, frame by frame."""
    scores = [Score(hand, part.keys, seed) for seed, part in enumerate(PARTS)]
    return [
        [score.at(number / RATE) for number in range(int(score.start_s * RATE) + 1, int(score.end_s * RATE))]
        for score in scores
    ]


def keypoints(hand: OpenHand, moments: list[Moment]) -> np.ndarray:
    dof = np.stack([moment.dof_rad for moment in moments])
    shape = np.zeros((len(moments), hand.shape_count))
    local, _ = hand.keypoints_and_jacobian(dof, shape, np.ones(len(moments)))
    turned = np.einsum("nij,nkj->nki", np.stack([moment.rotation for moment in moments]), local)
    return turned + np.stack([moment.center_m for moment in moments])[:, None]


@pytest.mark.parametrize("name", sorted(POSES))
def test_poses_name_real_degrees_of_freedom(hand: OpenHand, name: str) -> None:
    assert set(POSES[name]) <= set(hand.dof_names)
    low, high = hand.dof_limits_rad.T
    assert ((dof_from_pose(hand, name) >= low) & (dof_from_pose(hand, name) <= high)).all()


def test_a_pinch_closes_and_an_open_hand_does_not(hand: OpenHand) -> None:
    gap = {}
    for name in ("pinch", "ok", "open"):
        points = hand.forward(
            HandPose(np.eye(3)[None], dof_from_pose(hand, name)[None], np.zeros((1, hand.shape_count)), np.ones(1))
        )[1][0]
        gap[name] = np.linalg.norm(points[4] - points[8])
    assert 0.006 < gap["pinch"] < 0.014
    assert 0.006 < gap["ok"] < 0.014
    assert gap["open"] > 0.08


def test_joints_stay_within_their_limits(hand: OpenHand, performances: list[list[Moment]]) -> None:
    low, high = hand.dof_limits_rad.T
    dof = np.concatenate([[moment.dof_rad for moment in part] for part in performances])
    assert (dof >= low).all()
    assert (dof <= high).all()
    assert np.ptp(dof, axis=0).min() > 0.01  # nothing is frozen


def test_no_jumps(hand: OpenHand, performances: list[list[Moment]]) -> None:
    for part in performances:
        points = keypoints(hand, part)
        speed = np.linalg.norm(np.diff(points, axis=0), axis=-1) * RATE
        assert speed.max() < 3.0  # metres a second: brisk, but a person can do it
        jerkiness = np.linalg.norm(np.diff(points, n=2, axis=0), axis=-1) * RATE**2
        assert jerkiness.max() < 60.0
        turn = np.stack([moment.rotation for moment in part])
        relative = np.einsum("nji,njk->nik", turn[:-1], turn[1:])
        angle = np.arccos(np.clip((np.trace(relative, axis1=1, axis2=2) - 1) / 2, -1, 1)) * RATE
        assert angle.max() < 12.0  # radians a second


def test_depth_covers_the_promised_range(performances: list[list[Moment]]) -> None:
    depth = np.array([moment.center_m[2] for moment in performances[0]])
    assert depth.min() < 0.28
    assert depth.max() > 0.78


def test_the_clip_loops(hand: OpenHand) -> None:
    """Nobody is in view at either end, so the last frame runs into the first."""
    for part in PARTS:
        score = Score(hand, part.keys, 0)
        assert score.start_s > 0.05
        assert score.end_s < DURATION_S
    assert min(part.keys[0].time_s for part in PARTS) < 0.5
    assert max(part.keys[-1].time_s for part in PARTS) > DURATION_S - 0.5


@settings(max_examples=30, deadline=None)
@given(st.floats(-1.0, 3.0), st.integers(0, 50))
def test_a_score_is_smooth_and_repeats_itself(time_s: float, seed: int) -> None:
    hand = OpenHand.load()
    keys = (Key(0.0, (0, 0, 0.5), pose="open"), Key(0.6, (0.1, 0, 0.4), (20, 0, 10), "fist"), Key(1.5, (0, 0, 0.6)))
    one, same = Score(hand, keys, seed).at(time_s), Score(hand, keys, seed).at(time_s)
    np.testing.assert_array_equal(one.dof_rad, same.dof_rad)
    np.testing.assert_allclose(one.rotation @ one.rotation.T, np.eye(3), atol=1e-12)
    soon = Score(hand, keys, seed).at(time_s + 1e-4)
    assert np.abs(soon.center_m - one.center_m).max() < 1e-4
    assert np.abs(soon.dof_rad - one.dof_rad).max() < 3e-3
