"""The trail's memory, and how often the view may render."""

from dataclasses import replace

import numpy as np
import pytest

from app.viewport.pacing import SCALES, Pacer
from app.viewport.protocol import TRAIL_POINTS
from app.viewport.trail import TrailMemory

FRAME_NS = 33_000_000


def moved(scene, step, x=None, **change):
    hand = replace(scene.hands[0], root_m=np.array([0.001 * step if x is None else x, 0.0, 0.4]), **change)
    return replace(scene, hands=(hand,), stamp_ns=step * FRAME_NS)


def run(memory, scene, steps):
    for step in steps:
        result = memory.with_trails(moved(scene, step))
    return result.hands[0].trail_m


def test_trail_holds_the_last_seconds_oldest_first(scene):
    trail = run(TrailMemory(1.0), scene, range(100))
    assert len(trail) == 31  # 30 intervals of 33 ms are within a second
    assert np.allclose(trail[:, 0], 0.001 * np.arange(69, 100))
    assert trail[-1, 3] == 0 and np.all(np.diff(trail[:, 3]) < 0) and trail[0, 3] <= 1


def test_trail_never_outgrows_its_room(scene):
    assert len(run(TrailMemory(60.0), scene, range(300))) == TRAIL_POINTS


def test_redrawing_a_paused_frame_adds_nothing(scene):
    memory = TrailMemory()
    run(memory, scene, range(5))
    assert len(run(memory, scene, [4, 4, 4])) == 5


def test_winding_back_starts_anew(scene):
    memory = TrailMemory()
    run(memory, scene, range(50))
    assert len(run(memory, scene, [10])) == 1


def test_a_jump_or_another_hand_starts_anew(scene):
    memory = TrailMemory()
    run(memory, scene, range(10))
    assert len(memory.with_trails(moved(scene, 11, x=0.6)).hands[0].trail_m) == 1
    assert len(memory.with_trails(moved(scene, 12, x=0.6, track_id=9)).hands[0].trail_m) == 1


def feed(pacer, milliseconds_at_full, pictures, fixed_ms=0.0):
    for _ in range(pictures):
        pacer.record(fixed_ms + milliseconds_at_full * pacer.scale**2)


def test_quick_rendering_runs_at_full_rate_and_gets_finer():
    pacer = Pacer(30.0, 0.5)
    feed(pacer, 2.0, 100)
    assert pacer.interval_s == pytest.approx(1 / 30)
    assert pacer.scale == SCALES[-1]


def test_slow_rendering_never_takes_more_than_its_share_and_gets_coarser():
    pacer = Pacer(30.0, 0.5)
    feed(pacer, 120.0, 100)
    assert pacer.scale == SCALES[0]
    assert pacer.interval_s == pytest.approx(0.12 * SCALES[0] ** 2 / 0.5)


def test_coarser_pictures_that_save_nothing_are_taken_back():
    pacer = Pacer(30.0, 0.5)
    feed(pacer, 1.0, 200, fixed_ms=60.0)
    assert pacer.scale == 1.0


def test_the_scale_settles():
    pacer = Pacer(30.0, 0.5)
    feed(pacer, 12.0, 300)
    before = pacer.scale
    feed(pacer, 12.0, 300)
    assert pacer.scale == before
