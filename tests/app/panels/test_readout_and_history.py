"""The figures of a hand and their history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.live.frame_result import overlay_style, smoothing_settings
from app.live.readout import clock, mute_shift_mm, palm_distance, pick_hand
from app.panels.motion_history import (
    DISTANCE,
    DISTANCE_ERROR,
    FRAME,
    RAW_DISTANCE,
    RAW_Z,
    STAGES,
    TIME,
    MotionHistory,
    Ring,
    Z,
    timing_row,
)  # fmt: skip
from app.settings import Settings
from handdgp_core.estimation.smoothing import SmoothingSettings
from tests.app.doubles import degenerate_hand, frame, hand, result


@given(st.floats(0.1, 2.0))
def test_distance_is_what_a_ruler_shows(distance_m: float) -> None:
    found = palm_distance(hand(distance_m))
    assert found is not None and found.meters == pytest.approx(distance_m)
    assert found.error_m == pytest.approx(2 * 2e-3)


def test_distance_is_along_the_line_of_sight_and_not_depth() -> None:
    straight = hand(0.4)
    aside = replace(straight, keypoints_m=straight.keypoints_m + (0.3, 0.0, 0.0))
    found = palm_distance(aside)
    assert found is not None and found.meters == pytest.approx(0.5)
    sight = np.array([0.6, 0.0, 0.8])
    assert found.error_m == pytest.approx(2 * np.sqrt(sight @ straight.root_covariance_m2 @ sight))


def test_an_error_of_size_counts_along_the_line_of_sight_alone() -> None:
    sure, unsure = hand(0.5), replace(hand(0.5), distance_std=0.05)
    near, far = palm_distance(sure), palm_distance(unsure)
    assert near is not None and far is not None
    assert far.error_m == pytest.approx(np.hypot(near.error_m, 2 * 0.05 * far.meters))
    across = np.cross(unsure.root_m, [0.0, 1.0, 0.0])
    covariance = unsure.covariance_at(unsure.root_m)
    assert across @ covariance @ across == pytest.approx(across @ sure.root_covariance_m2 @ across)


def test_no_position_gives_no_figure() -> None:
    assert palm_distance(degenerate_hand()) is None
    assert mute_shift_mm(degenerate_hand()) is None
    assert palm_distance(replace(hand(), keypoints_m=np.full((21, 3), np.nan))) is None


def test_mute_shift() -> None:
    assert mute_shift_mm(hand()) is None
    assert mute_shift_mm(hand(muted=frozenset({1, 2}))) == pytest.approx((0.0, 0.0, -4.0))


def test_picking_a_hand() -> None:
    both = [hand(side="left"), hand(side="right")]
    assert pick_hand(both, "auto") == 1 and pick_hand(both, "left") == 0
    assert pick_hand([both[0]], "right") is None and pick_hand([], "auto") is None


@given(st.lists(st.floats(-1e6, 1e6), max_size=40), st.integers(1, 12))
def test_ring_is_a_list_that_forgets(values: list[float], capacity: int) -> None:
    ring, twin = Ring(1, capacity), []
    for value in values:
        ring.append([value])
        twin = [*twin, value][-capacity:]
        assert ring.rows[:, 0].tolist() == twin


def test_last_cuts_by_time() -> None:
    ring = Ring(2, 8)
    for second in range(20):
        ring.append([second, second**2])
    assert ring.last(3.0)[:, 0].tolist() == [16, 17, 18, 19]
    assert len(ring.last(100.0)) == 8
    ring.clear()
    assert len(ring.last(3.0)) == 0


def test_history_keeps_smoothed_raw_and_gaps() -> None:
    history = MotionHistory()
    history.add(result([hand(0.30)], index=0, raw_hands=[hand(0.31)]))
    history.add(result([], index=1))
    history.add(result([degenerate_hand()], index=2))
    rows = history.motion["right"].rows
    assert rows[:, TIME] == pytest.approx([0.0, 0.02, 0.04])
    assert rows[0, Z] == pytest.approx(30.0) and rows[0, RAW_Z] == pytest.approx(31.0)
    assert rows[0, DISTANCE] == pytest.approx(30.0) and rows[0, RAW_DISTANCE] == pytest.approx(31.0)
    assert rows[0, DISTANCE_ERROR] == pytest.approx(0.4) and rows[:, FRAME].tolist() == [0, 1, 2]
    assert np.isnan(rows[1:, DISTANCE]).all() and np.isnan(history.motion["left"].rows[:, Z]).all()


def test_history_books_unknown_stages_under_other() -> None:
    row = np.array(timing_row(0.0, {"network": 5.0, "overlay": 1.0, "something new": 2.0}))
    assert row[1 + STAGES.index("network")] == 5.0 and row[-1] == 2.0 and row[1:].sum() == 8.0


def test_history_leaves_out_a_frame_done_twice_and_starts_anew_when_time_goes_back() -> None:
    history = MotionHistory()
    for index in (5, 5, 6):
        history.add(result(index=index))
    rows = history.motion["left"].rows
    assert len(rows) == 2
    history.add(result(index=0))
    assert len(history.motion["left"].rows) == 1 and history.motion["left"].rows[0, TIME] == 0.0
    assert frame(6).stamp_ns > frame(0).stamp_ns


@given(st.integers(0, 99))
def test_more_steadiness_means_lower_cut_offs(percent: int) -> None:
    less = smoothing_settings(Settings(steadiness=percent, depth_steadiness=percent))
    more = smoothing_settings(Settings(steadiness=percent + 1, depth_steadiness=percent + 1))
    assert more.min_cutoff_hz < less.min_cutoff_hz and more.depth_min_cutoff_hz < less.depth_min_cutoff_hz
    assert more.beta < less.beta and more.depth_beta < less.depth_beta


def test_the_middle_of_the_sliders_is_the_smoothers_default() -> None:
    assert smoothing_settings(Settings(steadiness=50, depth_steadiness=50)) == SmoothingSettings()
    assert not smoothing_settings(Settings(smoothing_enabled=False)).enabled


def test_overlay_choices() -> None:
    style = overlay_style(Settings(show_mesh=False, mesh_opacity=30, show_residuals=True, show_keypoints=False))
    assert (style.mesh, style.opacity, style.projected, style.keypoints) == (False, 0.3, True, False)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0:00.0"), (62.34, "1:02.3"), (59.96, "1:00.0"), (-3.0, "0:00.0"), (754.0, "12:34.0")]
)
def test_times_are_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock(seconds) == text
