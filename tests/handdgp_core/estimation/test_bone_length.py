"""A hand's length from one bone: the mean adult's bones give the mean adult's hand, in every model the same."""

import math
from itertools import pairwise

import numpy as np
import pytest

from handdgp_core.errors import UsageError
from handdgp_core.estimation.bone_length import (
    BONE_NAMES,
    bone_joints,
    bone_range_m,
    hand_length_from_bone,
    parse_bone,
)
from handdgp_core.estimation.hand_length import ADULT_HAND_M, check_hand_length
from handdgp_core.hands.keypoints import BONES
from handdgp_core.hands.open_hand.open_hand import OpenHand


def test_the_bones_of_the_mean_adult_are_those_of_the_table():
    # Buryanov and Kotiuk 2010: index 39.8, 22.4, 15.8 with 3.8 of flesh; middle 44.6, 26.3, 17.4 with 4.0.
    for name, mm in {"index_proximal": 39.8, "index": 81.8, "middle": 92.3, "middle_distal": 21.4}.items():
        assert hand_length_from_bone(name, mm / 1e3).length_m == pytest.approx(ADULT_HAND_M)
    palm_m = ADULT_HAND_M - 0.0923
    assert hand_length_from_bone("palm", palm_m).length_m == pytest.approx(ADULT_HAND_M)


@pytest.mark.parametrize("name", BONE_NAMES)
def test_a_longer_bone_is_a_longer_hand_in_proportion(name):
    low, high = bone_range_m(name)
    middle = (low + high) / 2
    one, other = hand_length_from_bone(name, middle), hand_length_from_bone(name, 0.8 * middle)
    assert other.length_m / one.length_m == pytest.approx(0.8)
    assert 0.04 < one.std < other.std < 0.2  # a ruler reads a short bone less well
    assert check_hand_length(hand_length_from_bone(name, 1.001 * low).length_m) == pytest.approx(0.05005)


@pytest.mark.parametrize("name", BONE_NAMES)
def test_a_bone_is_a_chain_of_neighbouring_joints(name):
    joints = bone_joints(name)
    assert all(pair in BONES or pair == (0, 9) for pair in pairwise(joints))


@pytest.mark.parametrize("name", [name for name in BONE_NAMES if "distal" not in name])  # a keypoint is not the tip
def test_the_open_hand_has_nearly_these_bones(name):
    """Within a fifth: the model's joints are not quite where a ruler finds them, and the thumb's are worst."""
    hand = OpenHand.load()
    points = hand.keypoints[list(bone_joints(name))]
    bone_m = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
    assert hand_length_from_bone(name, bone_m).length_m == pytest.approx(hand.hand_length_mean_m, rel=0.22)


def test_whole_fingers_are_surer_than_bones():
    assert hand_length_from_bone("middle", 0.09).std < 0.05 < hand_length_from_bone("middle_proximal", 0.045).std


@pytest.mark.parametrize("text", ["index_proximal=42", " Index proximal = 42", "index-proximal=42.0"])
def test_a_bone_is_written_with_any_hyphen(text):
    assert parse_bone(text) == ("index_proximal", pytest.approx(0.042))


@pytest.mark.parametrize("text", ["index_proximal", "index_proximal=", "index_proximal=long", "index_proximal=nan"])
def test_what_is_no_bone_with_a_length_is_refused(text):
    with pytest.raises(UsageError, match=r"is no bone with a length\. Write it like this: index_proximal=42"):
        parse_bone(text)


def test_an_unknown_bone_lists_those_that_are_known():
    with pytest.raises(UsageError, match=r"There is no bone “femur” to measure\. Use one of palm, index, middle"):
        parse_bone("femur=42")


@pytest.mark.parametrize("bone_m", [0.0042, 0.42, -0.04, math.nan, math.inf])
def test_a_bone_that_nobody_has_is_refused(bone_m):
    with pytest.raises(UsageError, match=r"index_proximal cannot be .* mm long: 11 to 63 mm are possible"):
        hand_length_from_bone("index_proximal", bone_m)
