"""The crop moves, turns and grows with the keypoints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handdgp_core.arrays import Array
from handdgp_core.detection.crops import SMALLEST_HALF_SIZE_PX, crop_from_keypoints, hand_roll, visible_fraction
from handdgp_core.errors import ShapeError
from handdgp_core.geometry.hand_crop import HandCrop

angles = st.floats(-np.pi, np.pi)
scales = st.floats(0.2, 5)
shifts = st.tuples(st.floats(-2000, 2000), st.floats(-2000, 2000)).map(np.array)


def upright_hand() -> Array:
    """An open right hand's keypoints, fingers up, wrist at the origin, middle finger tip at (0, -190)."""
    keypoints = np.zeros((21, 2))
    bases = [(-30, -25), (-30, -88), (0, -95), (20, -88), (40, -78)]
    tips = [(-85, -95), (-38, -165), (0, -190), (28, -175), (62, -140)]
    for finger, (base, tip) in enumerate(zip(bases, tips, strict=True)):
        keypoints[1 + 4 * finger : 5 + 4 * finger] = np.linspace(base, tip, 4)
    keypoints[9:13, 0] = 0
    keypoints[[5, 13], 0] = -20, 20  # so that the bases' mean lies straight above the wrist
    return keypoints


def turned(points: Array, angle: float) -> Array:
    """Clockwise in the image."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array([[cosine, sine], [-sine, cosine]])


def crop_of(keypoints: Array) -> HandCrop:
    return crop_from_keypoints(keypoints, "right", 1.0)


def test_an_upright_hand_has_no_roll_and_a_finger_to_the_right_a_quarter_turn() -> None:
    assert hand_roll(upright_hand()) == pytest.approx(0)
    assert hand_roll(turned(upright_hand(), np.pi / 2)) == pytest.approx(np.pi / 2)
    pointing_right = np.zeros((21, 2))
    pointing_right[[5, 9, 13]] = 100, 0
    assert hand_roll(pointing_right) == pytest.approx(np.pi / 2)


def test_known_square() -> None:
    crop = crop_from_keypoints(upright_hand(), "left", 0.7, track_id=5, factor=1.5)
    np.testing.assert_allclose(crop.center_px, [(-85 + 62) / 2, -95])
    # The palm's box is 95 high: as long a hand as the finger tips make it.
    assert crop.half_size_px == pytest.approx(1.5 * 95)
    assert (crop.handedness, crop.score, crop.track_id) == ("left", 0.7, 5)


@given(angle=angles, scale=scales, shift=shifts)
def test_the_crop_follows_the_keypoints(angle: float, scale: float, shift: Array) -> None:
    still = crop_of(upright_hand())
    moved = crop_of(turned(scale * upright_hand(), angle) + shift)
    np.testing.assert_allclose(moved.center_px, turned(scale * still.center_px, angle) + shift, atol=1e-6)
    assert moved.half_size_px == pytest.approx(scale * still.half_size_px)
    assert np.cos(moved.roll_rad - angle) == pytest.approx(1)


@given(noise=st.integers(0, 10_000), angle=angles)
def test_every_keypoint_lies_inside(noise: int, angle: float) -> None:
    keypoints = turned(upright_hand(), angle) + np.random.default_rng(noise).normal(0, 15, (21, 2))
    crop = crop_of(keypoints)
    upright = turned(keypoints - crop.center_px, -crop.roll_rad)
    assert np.abs(upright).max() <= crop.half_size_px


def test_a_fist_is_not_cropped_tighter_than_its_palm_asks() -> None:
    fist = upright_hand()
    for finger in range(5):
        fist[2 + 4 * finger : 5 + 4 * finger] = fist[1 + 4 * finger]
    assert crop_of(fist).half_size_px == pytest.approx(crop_of(upright_hand()).half_size_px)


def test_all_keypoints_in_one_place_still_give_a_crop() -> None:
    crop = crop_of(np.full((21, 2), 7.0))
    assert crop.half_size_px == SMALLEST_HALF_SIZE_PX
    assert crop.roll_rad == 0
    np.testing.assert_allclose(crop.center_px, [7, 7])


@pytest.mark.parametrize("bad", [np.zeros((20, 2)), np.zeros((21, 3)), np.full((21, 2), np.nan)])
def test_what_is_no_hand_is_refused(bad: Array) -> None:
    with pytest.raises(ShapeError, match="21"):
        crop_of(bad)


@given(shift=shifts, half=st.floats(1, 3000))
def test_visible_fraction_counts_the_overlap(shift: Array, half: float) -> None:
    crop = HandCrop("right", 1.0, shift, half, 0.0)
    share = visible_fraction(crop, 640, 480)
    assert 0 <= share <= 1 + 1e-12
    spread = (np.arange(200) + 0.5) / 100 - 1
    inside = [
        ((middle + half * spread >= -0.5) & (middle + half * spread <= side - 0.5)).mean()
        for middle, side in zip(shift, (640, 480), strict=True)
    ]
    assert share == pytest.approx(inside[0] * inside[1], abs=0.021)


@given(shift=shifts)
def test_a_crop_beyond_the_edge_is_not_visible(shift: Array) -> None:
    assume(shift[0] > 740 or shift[1] < -100.5)
    assert visible_fraction(HandCrop("right", 1.0, shift, 100.0, 0.0), 640, 480) == 0
