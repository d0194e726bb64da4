"""One-Euro smoothing of hands."""

from __future__ import annotations

import numpy as np
import pytest

from handdgp_core.estimation.smoothing import HandSmoother, SmoothingSettings, _OneEuro
from tests.handdgp_core.estimation.hands_for_tests import make_hand

FRAME_NS = 33_333_333


def track(roots: np.ndarray, settings: SmoothingSettings | None = None) -> np.ndarray:
    smoother = HandSmoother(settings or SmoothingSettings())
    hands = [smoother.apply([make_hand(tuple(root))], n * FRAME_NS)[0] for n, root in enumerate(roots)]
    return np.array([hand.root_m for hand in hands])


def noisy_still_hand(count: int = 300) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.array([0.05, 0.02, 0.4]) + rng.normal(0.0, [0.001, 0.001, 0.006], (count, 3))


def test_a_still_hand_trembles_less_and_depth_is_damped_most() -> None:
    raw = noisy_still_hand()
    smooth = track(raw)
    gain = smooth[60:].std(axis=0) / raw[60:].std(axis=0)
    assert gain[2] < 0.5
    assert gain[2] < gain[0]
    assert np.allclose(smooth[60:].mean(axis=0), raw[60:].mean(axis=0), atol=0.001)


def test_a_constant_hand_stays_where_it_is() -> None:
    raw = np.repeat([[0.1, -0.05, 0.5]], 20, axis=0)
    assert np.allclose(track(raw), raw, atol=1e-12)


def test_a_fast_move_is_followed() -> None:
    raw = np.repeat([[0.0, 0.0, 0.4]], 60, axis=0)
    raw[30:, 0] = 0.2
    smooth = track(raw)
    assert smooth[29, 0] == pytest.approx(0.0, abs=1e-9)
    assert smooth[36, 0] > 0.15


def test_keypoints_and_vertices_keep_their_place_on_the_hand() -> None:
    smoother = HandSmoother()
    for n, root in enumerate(noisy_still_hand(50)):
        raw = make_hand(tuple(root))
        hand = smoother.apply([raw], n * FRAME_NS)[0]
    assert np.allclose(hand.keypoints_m - hand.root_m, raw.keypoints_m - raw.root_m, atol=1e-9)
    assert np.allclose(hand.vertices_m - hand.root_m, raw.vertices_m - raw.root_m, atol=1e-9)
    assert raw.root_m is not hand.root_m


@pytest.mark.parametrize(("unseen_frames", "glides"), [(0, True), (1, True), (12, True), (20, False)])
def test_a_hand_unseen_for_a_moment_goes_on_and_for_longer_starts_afresh(unseen_frames: int, glides: bool) -> None:
    smoother = HandSmoother()
    for n in range(10):
        smoother.apply([make_hand((0.0, 0.0, 0.4))], n * FRAME_NS)
    for n in range(10, 10 + unseen_frames):
        assert smoother.apply([], n * FRAME_NS) == []
    hand = smoother.apply([make_hand((0.0, 0.0, 0.42))], (10 + unseen_frames) * FRAME_NS)[0]
    assert (0.4 < hand.root_m[2] < 0.4199) if glides else hand.root_m[2] == pytest.approx(0.42, abs=1e-12)


def test_off_means_untouched() -> None:
    hands = [make_hand()]
    assert HandSmoother(SmoothingSettings(enabled=False)).apply(hands, 0) == hands


@pytest.mark.parametrize("gap_ns", [0, -5 * FRAME_NS, 2_000_000_000])
def test_a_jump_in_time_starts_afresh(gap_ns: int) -> None:
    smoother = HandSmoother()
    smoother.apply([make_hand((0.0, 0.0, 0.3))], 10 * FRAME_NS)
    far = make_hand((0.2, 0.0, 0.9))
    assert np.allclose(smoother.apply([far], 10 * FRAME_NS + gap_ns)[0].root_m, far.root_m)


def test_two_hands_do_not_mix_and_a_new_track_starts_afresh() -> None:
    smoother = HandSmoother()
    for n in range(5):
        hands = [make_hand((0.0, 0.0, 0.3)), make_hand((0.2, 0.0, 0.8), track_id=2, handedness="left")]
        first, second = smoother.apply(hands, n * FRAME_NS)
    assert np.allclose(first.root_m, (0.0, 0.0, 0.3)) and np.allclose(second.root_m, (0.2, 0.0, 0.8))
    new = make_hand((0.0, 0.3, 0.5), track_id=3)
    assert np.allclose(smoother.apply([new], 6 * FRAME_NS)[0].root_m, new.root_m)


def test_a_degenerate_hand_passes_through_and_poisons_nothing() -> None:
    smoother = HandSmoother()
    smoother.apply([make_hand()], 0)
    nan = np.full(3, np.nan)
    lost = make_hand(root_m=(0, 0, 0.4), degenerate="too few keypoints", track_id=1)
    lost = type(lost)(**{**lost.__dict__, "root_m": nan})
    assert smoother.apply([lost], FRAME_NS)[0] is lost
    assert np.isfinite(smoother.apply([make_hand()], 2 * FRAME_NS)[0].root_m).all()


def slow_one_euro(values: np.ndarray, steps_s: list[float], cutoff_hz: float, beta: float) -> np.ndarray:
    """The 1 euro filter (Casiez et al., 2012) of (T, N, 3), number by number; its speed is that of a typical point."""

    def share(of_hz: float, dt_s: float) -> float:
        tau_s = 1 / (2 * np.pi * of_hz)
        return 1 / (1 + tau_s / dt_s)

    now, slope = values[0].copy(), np.zeros(values[0].shape)
    out = [now.copy()]
    for value, dt_s in zip(values[1:], steps_s, strict=True):
        squares = 0.0
        for place in np.ndindex(value.shape):
            newest = (value[place] - now[place]) / dt_s
            slope[place] = share(1.0, dt_s) * newest + (1 - share(1.0, dt_s)) * slope[place]
            squares += slope[place] ** 2
        weight = share(cutoff_hz + beta * np.sqrt(squares / len(value)), dt_s)
        for place in np.ndindex(value.shape):
            now[place] = weight * value[place] + (1 - weight) * now[place]
        out.append(now.copy())
    return np.stack(out)


def test_the_filter_is_the_one_euro_filter_at_any_frame_rate() -> None:
    rng = np.random.default_rng(2)
    values = np.cumsum(rng.normal(0, 0.01, (40, 5, 3)), axis=0)
    steps_s = [float(step) for step in rng.uniform(0.005, 0.1, 39)]
    fast = _OneEuro(3.0, 30.0)
    found = np.stack([fast(value, dt_s) for value, dt_s in zip(values, [1.0, *steps_s], strict=True)])
    np.testing.assert_allclose(found, slow_one_euro(values, steps_s, 3.0, 30.0), atol=1e-12)
