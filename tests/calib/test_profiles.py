"""Stored calibrations: kept whole, never overwritten, found by what they depend on, never applied silently."""

from dataclasses import replace

import numpy as np
import pytest

from calib.profiles import CameraKey, ProfileStore, load_views, new_profile, stored_solution
from calib.solve import solve
from handdgp_core.errors import CalibrationError, OutputError
from tests.calib.scenes import BOARD, CAMERA, random_views

KEY = CameraKey("/dev/v4l/by-id/usb-046d_C920-index0", 1280, 720, "MJPG", "C920", 0.0, 30.0, 100.0)
VIEWS = random_views(0, 4)


@pytest.fixture
def store(tmp_path):
    return ProfileStore(tmp_path / "cameras")


def saved(store, key=KEY, camera=CAMERA, percent=0.1):
    return store.save(new_profile(key, camera, BOARD, "Good: fine", percent), VIEWS)


def test_a_profile_comes_back_with_its_observations(store):
    folder = saved(store).folder
    match = store.find(KEY)
    assert (match.kind, match.warnings) == ("exact", ())
    assert match.camera == replace(CAMERA, name=match.camera.name)
    assert match.profile.key == KEY
    for before, after in zip(VIEWS, load_views(folder), strict=True):
        np.testing.assert_array_equal(before.ids, after.ids)
        np.testing.assert_array_equal(before.corners_px, after.corners_px)
        assert before.size == after.size


def test_the_newest_counts_and_the_old_one_stays(store):
    first = saved(store, percent=0.3)
    second = saved(store, percent=0.1)
    assert first.folder != second.folder and first.folder.is_dir()
    assert len(store.profiles()) == 2


def test_another_size_of_the_same_shape_is_marked_derived(store):
    saved(store)
    match = store.find(replace(KEY, width=1920, height=1080))
    assert match.kind == "derived"
    assert match.camera.derived_from == (1280, 720)
    assert "1280x720" in match.warnings[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 640, "height": 480}, "another shape"),
        ({"pixel_format": "YUYV"}, "pixel format MJPG"),
        ({"identity": "b"}, None),
    ],
)
def test_anything_else_is_not_applied(store, changes, said):
    saved(store)
    match = store.find(replace(KEY, **changes))
    assert match.kind == "none" and match.camera is None
    assert said is None or said in match.warnings[0]


def test_a_moved_focus_is_told(store):
    saved(store)
    warnings = store.find(replace(KEY, autofocus=1.0, focus=60.0)).warnings
    assert any("not locked" in text for text in warnings) and any("focus is 60" in text for text in warnings)


def test_damage_is_passed_over_and_told_when_asked_for(store):
    good, bad = saved(store), saved(store)
    (bad.folder / "profile.json").write_text("{")
    (good.folder / "views.npz").write_bytes(b"no zip")
    assert [profile.folder for profile in store.profiles()] == [good.folder]
    with pytest.raises(CalibrationError, match="damaged"):
        load_views(good.folder)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "cameras").write_text("a file")
    with pytest.raises(OutputError, match="a file at"):
        saved(ProfileStore(tmp_path / "cameras"))


def test_the_solution_comes_back_with_its_standard_deviations(store):
    profile = store.save(new_profile(KEY, CAMERA, BOARD, "Good: fine", 0.1), random_views(2, 8))
    solution, first = stored_solution(profile), solve(BOARD, random_views(2, 8))
    np.testing.assert_allclose(solution.covariance, first.covariance)
    (profile.folder / "views.npz").unlink()
    assert stored_solution(profile) is None
