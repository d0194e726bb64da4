"""Contradictions between views: a refocus, a second camera, turned images, in order and mixed; and honest sets."""

from dataclasses import replace

import numpy as np
import pytest

from calib.consistency import split_half
from calib.quality import calibrate
from calib.solve import solve
from tests.calib.scenes import BOARD, CAMERA, flexing_views


def zoomed(view, factor=1.05):
    middle = 0.5 * (np.array(view.size) - 1)
    return replace(view, corners_px=middle + factor * (view.corners_px - middle))


def shifted(view):
    return replace(view, corners_px=view.corners_px + (20.0, -12.0))


def turned(view):
    return replace(view, corners_px=np.array(view.size) - 1 - view.corners_px)


def late(views):
    return np.arange(len(views)) >= len(views) // 2


def mixed(views):
    return np.random.default_rng(1).permutation(len(views)) % 2 == 0


def changed(views, which, change):
    return [change(view) if wrong else view for view, wrong in zip(views, which(views), strict=True)]


@pytest.mark.parametrize("flex_m", [0.0, 0.0003])
def test_honest_views_do_not_contradict_each_other(flex_m):
    for seed in range(12):
        halves = split_half(solve(BOARD, flexing_views(200 + seed, 14, flex_m)))
        assert halves is not None and not halves.contradicts


@pytest.mark.parametrize(("which", "change"), [(late, zoomed), (late, shifted), (late, turned), (mixed, zoomed)])
def test_views_of_two_cameras_are_refused(which, change):
    views = changed(flexing_views(3, 18, 0.00015), which, change)
    _, verdict = calibrate(BOARD, views)
    assert not verdict.usable
    assert "contradict each other" in " ".join(verdict.reasons)
    assert "start again" in verdict.advice


def test_a_refocus_is_told_with_its_size_and_its_place():
    _, verdict = calibrate(BOARD, changed(flexing_views(3, 18, 0.00015), late, zoomed))
    assert "the views up to view 9 and those after it contradict each other (" in verdict.reasons[0]
    assert 0.045 < verdict.halves.focal_difference < 0.055
    assert "4." in verdict.halves.words or "5." in verdict.halves.words


@pytest.mark.parametrize("later", [4, 8, 13])
def test_a_refocus_at_any_moment_is_told_with_the_moment(later):
    views = [replace(view, name=f"{number}.png") for number, view in enumerate(flexing_views(9, 18, 0.00015))]
    _, verdict = calibrate(BOARD, [zoomed(view) if number >= later else view for number, view in enumerate(views)])
    assert f"the views up to {later - 1}.png and those after it contradict each other (" in verdict.reasons[0]


def test_few_views_that_are_zoomed_in_any_order_are_told():
    differences = []
    for seed in range(8):
        views = flexing_views(300 + seed, 10, 0.00015)
        wrong = np.random.default_rng(seed).permutation(10) < 3 + seed % 3
        mixed_up = [zoomed(view) if far else view for view, far in zip(views, wrong, strict=True)]
        halves = split_half(solve(BOARD, mixed_up))
        differences += [halves.focal_difference] if halves.contradicts else []
    assert len(differences) >= 7
    np.testing.assert_allclose(differences, 0.05, atol=0.01)


def test_too_few_distinct_views_cannot_be_split():
    assert split_half(solve(BOARD, flexing_views(5, 5, 0.0))) is None
    assert split_half(solve(BOARD, flexing_views(5, 5, 0.0) * 4)) is None


def test_three_pictures_ten_times_are_three():
    views = flexing_views(5, 3, 0.0)
    _, verdict = calibrate(BOARD, views * 10)
    assert verdict.grade in ("rough", "refused")
    assert any("30 count as 3 distinct views" in note for note in verdict.notes)
    _, verdict = calibrate(BOARD, flexing_views(8, 1, 0.0) * 10)
    assert not verdict.usable and "too much alike: 1 of 10" in verdict.reasons[0]


def test_stretched_images_are_told_by_their_pixels():
    views = [replace(v, corners_px=v.corners_px * (1.0, 1.03)) for v in flexing_views(3, 12, 0.0)]
    _, verdict = calibrate(BOARD, views)
    assert any("fx / fy is 0.97" in note for note in verdict.notes)
    _, straight = calibrate(BOARD, flexing_views(3, 12, 0.0))
    assert not any("fx / fy" in note for note in straight.notes)
    assert CAMERA.focal_px[0] / CAMERA.focal_px[1] < 1.01
