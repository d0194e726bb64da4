"""Hand lengths from keypoints."""

from __future__ import annotations

import numpy as np
import pytest

from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.hands.measure import CHAIN_PER_LENGTH, LENGTH_NAMES, chain_of, hand_length_m, length_of_chain
from handdgp_core.hands.open_hand.open_hand import OpenHand


def straight_hand() -> np.ndarray:
    """Fingers 2 cm apart, each a straight line from 8 cm before the wrist with joints 3, 2 and 1 cm apart."""
    keypoints = np.zeros((21, 3))
    for finger in range(5):
        for joint, y in enumerate((0.08, 0.11, 0.13, 0.14)):
            keypoints[1 + 4 * finger + joint] = [0.02 * (2 - finger), y, 0]
    return keypoints


def test_known_lengths() -> None:
    hand = straight_hand()
    assert hand_length_m(hand) == pytest.approx(0.14)
    assert hand_length_m(hand, "palm") == pytest.approx(0.08)
    assert hand_length_m(hand, "palm-width") == pytest.approx(0.06)
    for finger in ("thumb", "index", "middle", "ring", "little"):
        assert hand_length_m(hand, finger) == pytest.approx(0.06)


def test_batches_and_every_name() -> None:
    batch = np.stack([straight_hand(), 2 * straight_hand()])[None]
    for name in LENGTH_NAMES:
        lengths = hand_length_m(batch, name)
        assert lengths.shape == (1, 2)
        assert lengths[0, 1] == pytest.approx(2 * lengths[0, 0])


def test_length_does_not_change_when_the_hand_closes() -> None:
    hand = OpenHand.load()
    pose = hand.neutral_pose()
    pose.dof_rad[:] = hand.clamped(np.where([name.endswith("flexion") for name in hand.dof_names], 0.9, 0.0))
    _, closed = hand.forward(pose)
    assert hand_length_m(closed)[0] == pytest.approx(float(hand_length_m(hand.keypoints)), rel=0.002)


def test_a_ruler_along_the_stretched_hand_finds_the_length_that_belongs_to_its_chain() -> None:
    hand = OpenHand.load()
    pose = hand.neutral_pose()
    pose.dof_rad[:] = hand.clamped(-hand.dof_rest_rad)  # every finger straight
    vertices_m, keypoints_m = hand.forward(pose)
    wrist, tip = keypoints_m[0, 0], keypoints_m[0, 12]
    along = (tip - wrist) / np.linalg.norm(tip - wrist)
    by_ruler_m = float(((vertices_m[0] - wrist) @ along).max())
    assert length_of_chain(float(hand_length_m(keypoints_m)[0])) == pytest.approx(by_ruler_m, rel=0.01)
    assert hand_length_m(hand.keypoints) / hand.hand_length_mean_m == pytest.approx(CHAIN_PER_LENGTH, abs=1e-4)
    assert chain_of(length_of_chain(0.18)) == pytest.approx(0.18)


def test_bad_input() -> None:
    with pytest.raises(UsageError, match="palm-width"):
        hand_length_m(straight_hand(), "femur")
    with pytest.raises(ShapeError):
        hand_length_m(np.zeros((20, 3)))
