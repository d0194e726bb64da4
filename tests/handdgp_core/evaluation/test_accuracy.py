"""Which hand is compared with which label, and the figures of `accuracy`, on hands whose errors are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array, Handedness
from handdgp_core.evaluation.accuracy import accuracy, mean_over_roots
from handdgp_core.evaluation.matching import Label, Match, Matches, match_hands
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.types import Hand

CAMERA = Camera.assumed(640, 480, 60)
REST = OpenHand.load().keypoints * [1.0, -1.0, -1.0]


def true_hand(x_m: float = 0.0, z_m: float = 0.5) -> Array:
    """(21, 3) of a flat hand."""
    return np.asarray(REST + [x_m, 0.08, z_m])


def found_hand(
    keypoints_m: Array, handedness: Handedness = "right", pixels_of: Array | None = None, distance_std: float = 0.1
) -> Hand:
    """A hand found at `keypoints_m`, seen where `pixels_of` (by default the same) appears."""
    pixels = CAMERA.project(keypoints_m if pixels_of is None else pixels_of)
    placed = bool(np.isfinite(keypoints_m).all())
    return Hand(
        handedness, 0.9, keypoints_m, keypoints_m, pixels, np.ones(21), keypoints_m[0], np.zeros((3, 3)), 1.0,
        np.zeros((0, 3), np.int32), None if placed else "fewer than three usable keypoints", 0, None, distance_std,
    )  # fmt: skip


def one(predicted_m: Array, true_m: Array, excluded: tuple[int, ...] = ()) -> dict:
    return accuracy(Matches([Match(Label(true_m, "right"), found_hand(predicted_m))]), excluded)


def test_hands_are_matched_by_place_whatever_their_order() -> None:
    left, right = true_hand(-0.15), true_hand(0.15)
    labels = [Label(left, "left"), Label(right, "right")]
    hands = [found_hand(right), found_hand(left, "left")]
    matched = match_hands(labels, hands, CAMERA)
    assert [match.hand for match in matched] == hands[::-1]
    # Both sides wrong: each is still compared with the hand that it covers.
    hands = [found_hand(right, "left"), found_hand(left, "right")]
    assert [match.hand for match in match_hands(labels, hands, CAMERA)] == hands[::-1]


def test_the_side_decides_between_hands_that_overlap() -> None:
    place = true_hand()
    labels = [Label(place, "left"), Label(place + [0.005, 0, 0], "right")]
    hands = [found_hand(place, "right"), found_hand(place + [0.005, 0, 0], "left")]
    assert [match.hand for match in match_hands(labels, hands, CAMERA)] == hands[::-1]


def test_a_hand_found_elsewhere_is_no_match_and_a_wrong_distance_is_one() -> None:
    label = Label(true_hand(), "right")
    assert match_hands([label], [found_hand(true_hand(0.25))], CAMERA)[0].hand is None
    twice_as_far = found_hand(true_hand() * 2)
    assert match_hands([label], [twice_as_far], CAMERA)[0].hand is twice_as_far
    assert match_hands([label], [], CAMERA)[0].hand is None and match_hands([], [twice_as_far], CAMERA) == []


def test_of_two_hands_found_for_one_label_the_nearer_one_counts() -> None:
    label, near, off = Label(true_hand()), found_hand(true_hand(0.01)), found_hand(true_hand(0.05))
    assert match_hands([label], [off, near], CAMERA)[0].hand is near


def test_degenerate_and_missed_hands_are_counted_and_have_no_error() -> None:
    true = true_hand()
    good, degenerate = found_hand(true), found_hand(np.full((21, 3), np.nan), "left", pixels_of=true)
    matched = [match_hands([Label(true, "right")], hands, CAMERA)[0] for hands in ([good], [degenerate], [])]
    row = accuracy(Matches(matched, extra=4))
    assert {key: row[key] for key in ("labelled", "found", "degenerate", "placed", "extra")} == {
        "labelled": 3, "found": 2, "degenerate": 1, "placed": 1, "extra": 4,
    }  # fmt: skip
    assert row["right_side"] == 0.5
    assert row["error_mm"]["count"] == 1 and row["error_mm"]["mean"] == pytest.approx(0)


def test_joints_skipped_are_in_the_error_of_all_joints_alone() -> None:
    true = true_hand()
    wrong = true.copy()
    wrong[0] += [0.021, 0, 0]
    row = one(wrong, true, excluded=(0,))
    assert row["error_mm"]["mean"] == pytest.approx(0) and row["error_all_joints_mm"]["mean"] == pytest.approx(1.0)
    assert row["distance_rms"] == pytest.approx(0) and row["error_if_mm"]["distance"] == pytest.approx(0)


def test_an_error_of_size_is_healed_by_the_right_size_and_is_the_same_share_of_the_distance() -> None:
    row = one(true_hand() * 1.1, true_hand())
    assert row["distance_rms"] == pytest.approx(0.1) and row["distance_bias"] == pytest.approx(0.1)
    assert row["error_if_mm"]["size"] == pytest.approx(0, abs=1e-6) and row["aligned_mm"] == pytest.approx(0, abs=1e-6)
    assert row["error_mm"]["mean"] == pytest.approx(50, rel=0.05)


def test_each_kind_of_error_is_healed_by_its_own_remedy_alone() -> None:
    true = true_hand(0.1)
    centre = true.mean(axis=0)
    sight = centre / np.linalg.norm(centre)
    side = np.cross(sight, [0, 1, 0]) / np.linalg.norm(np.cross(sight, [0, 1, 0]))
    swing = Rotation.from_rotvec(0.1 * side).as_matrix()
    moved = {
        "distance": true + 0.05 * sight,
        "turn": (true - centre) @ swing.T + centre,
        "direction": true + np.linalg.norm(centre) * (swing @ sight - sight),
    }
    for kind, predicted in moved.items():
        row = one(predicted, true)
        error = row["error_mm"]["mean"]
        assert error > 3
        assert row["error_if_mm"][kind] == pytest.approx(0, abs=1e-6), kind
        for other in {"size", "distance", "turn", "direction"} - {kind}:
            assert row["error_if_mm"][other] > 0.5 * error, (kind, other)


def test_the_best_distance_is_no_worse_than_any_shift_along_the_sight() -> None:
    rng = np.random.default_rng(1)
    true = true_hand(0.05)
    predicted = true + [0.0, 0.01, 0.06] + rng.normal(0, 0.001, true.shape)
    sight = predicted.mean(axis=0) / np.linalg.norm(predicted.mean(axis=0))
    searched = min(np.linalg.norm(predicted + t * sight - true, axis=1).mean() for t in np.linspace(-0.1, 0.1, 2001))
    assert one(predicted, true)["error_if_mm"]["distance"] == pytest.approx(1e3 * searched, abs=0.05)


def test_coverage_counts_true_distances_inside_the_stated_deviations() -> None:
    true = true_hand()
    matched = [
        Match(Label(true, "right"), found_hand(true * factor, distance_std=0.1)) for factor in (1.05, 1.15, 1.3, 0.95)
    ]
    row = accuracy(Matches(matched))
    assert (row["within_1_sigma"], row["within_2_sigma"]) == (0.5, 0.75)
    unstated = found_hand(true, distance_std=float("nan"))  # and a covariance of zero: it states nothing
    assert accuracy(Matches([Match(Label(true), unstated)]))["within_2_sigma"] == 0


def test_without_a_hand_there_are_counts_and_no_figures() -> None:
    row = accuracy(Matches([Match(Label(true_hand(), "right"), None)]))
    assert (row["labelled"], row["found"]) == (1, 0)
    for value in (row["error_mm"]["mean"], row["distance_rms"], row["aligned_mm"], row["error_if_mm"]["turn"]):
        assert math.isnan(value)


def test_the_mean_over_roots_counts_every_root_alike() -> None:
    true = true_hand()
    many = Matches([Match(Label(true, "right"), found_hand(true))] * 9)
    few = Matches([Match(Label(true, "right"), found_hand(true + [0, 0, 0.01]))], extra=1)
    missed = Matches([Match(Label(true, "right"), None)])
    mean = mean_over_roots([accuracy(part) for part in (many, few, missed)])
    assert mean["error_mm"]["mean"] == pytest.approx(5.0)
    assert (mean["labelled"], mean["found"], mean["extra"], mean["error_mm"]["count"]) == (11, 10, 1, 10)
