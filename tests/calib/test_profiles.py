"""Stored calibrations: kept whole, never overwritten, found by what they depend on, never applied silently."""

from dataclasses import replace

import numpy as np
import pytest

from calib.check import check_calibration
from calib.poses import look_at
from calib.profiles import CameraKey, ProfileStore, load_views, new_profile
from handdgp_core.errors import CalibrationError, OutputError
from handdgp_core.geometry.camera import Camera
from tests.calib.scenes import BOARD, CAMERA, random_views
from tools.calibration.simulation import simulated_view

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


def looked_at(tilt_deg, camera=CAMERA):
    pose = look_at(BOARD, 0.35, np.deg2rad(tilt_deg), 0.5)
    return simulated_view(BOARD.points_m, pose, camera, 0.08, np.random.default_rng(0))


def test_one_tilted_view_tells_whether_a_calibration_holds():
    assert check_calibration(BOARD, CAMERA, looked_at(35)).outcome == "holds"
    matrix = CAMERA.matrix.copy()
    matrix[:2, :2] *= 1.05
    zoomed = Camera(1280, 720, matrix, CAMERA.distortion)
    assert check_calibration(BOARD, zoomed, looked_at(35)).outcome in ("doubtful", "wrong")
    matrix[:2, :2] *= 1.2
    assert check_calibration(BOARD, Camera(1280, 720, matrix, CAMERA.distortion), looked_at(35)).outcome == "wrong"


def test_a_frontal_view_cannot_tell():
    result = check_calibration(BOARD, CAMERA, looked_at(3))
    assert result.outcome == "cannot tell" and "Tilt" in result.words
