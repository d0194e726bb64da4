"""The size of a hand on a board: right to 3 %, and refused where it cannot be right."""

import json

import numpy as np
import pytest

from calib.hand_size import FRAMES_WANTED, HandSizer, HandState, measure_hand
from calib.people import _CHAIN_PER_LENGTH, KeptMeasurement, PeopleStore
from calib.poses import look_at
from handdgp_core.errors import CalibrationError, OutputError, ShapeError
from handdgp_core.hands.measure import CHAIN_PER_LENGTH
from tests.calib.flat_hand import HandImage
from tests.calib.scenes import BOARD, CAMERA
from tools.calibration.simulation import simulated_view

BOARD_MEASUREMENT = KeptMeasurement("board", 173.0, 4.0, 1.0)


@pytest.fixture(scope="module")
def hands():
    return {scale: HandImage(BOARD, CAMERA, scale) for scale in (0.88, 1.1)}


def view_of(pose, random=None):
    return simulated_view(BOARD.points_m, pose, CAMERA, 0.08, random or np.random.default_rng(0))


@pytest.mark.parametrize("scale", [0.88, 1.1])
@pytest.mark.parametrize("tilt_deg", [0, 10, 18])
def test_a_hand_whose_joints_are_seen_is_measured_to_three_percent(hands, scale, tilt_deg):
    hand, random = hands[scale], np.random.default_rng(tilt_deg)
    sizer = HandSizer(BOARD, CAMERA)
    for _ in range(FRAMES_WANTED):
        pose = look_at(BOARD, 0.42, np.deg2rad(tilt_deg), 0.7)
        state = sizer.add(view_of(pose, random), hand.keypoints_px(pose) + random.normal(0, 1.5, (21, 2)))
    assert state is HandState.DONE
    result = sizer.result()
    assert result.length_m == pytest.approx(hand.length_m, rel=0.03)
    assert 4.0 <= result.percent < 7 and result.count == FRAMES_WANTED


def test_the_bare_board_plane_would_see_it_too_long(hands):
    hand, pose = hands[1.1], look_at(BOARD, 0.42)
    _, sample = measure_hand(BOARD, CAMERA, view_of(pose), hand.keypoints_px(pose))
    seen = hand.keypoints_px(pose)
    plane = np.concatenate([CAMERA.rays(seen)[:, :2] * 0.42, np.zeros((21, 1))], axis=1)
    length = np.linalg.norm(np.diff(plane[[0, 9, 10, 11, 12]], axis=0), axis=1).sum()
    assert length / hand.length_m > 1.03
    assert abs(sample.length_m / hand.length_m - 1) < 0.02


def test_what_cannot_be_measured_says_what_to_do(hands):
    hand, pose = hands[0.88], look_at(BOARD, 0.42)
    view, keypoints = view_of(pose), hand.keypoints_px(pose)
    sizer = HandSizer(BOARD, CAMERA)
    assert sizer.add(None, keypoints) is HandState.NO_BOARD
    assert sizer.add(view, None) is HandState.NO_HAND
    tilted = look_at(BOARD, 0.42, np.deg2rad(30))
    assert sizer.add(view_of(tilted), hand.keypoints_px(tilted)) is HandState.TILTED
    assert sizer.add(view, keypoints - (900, 0)) is HandState.OUTSIDE
    bent = keypoints.copy()
    bent[11:13] += 0.8 * (keypoints[10] - keypoints[12])[::-1] * (1, -1)
    assert sizer.add(view, bent) is HandState.BENT
    assert measure_hand(BOARD.scaled(3.0), CAMERA, view, keypoints)[0] is HandState.UNLIKELY
    with pytest.raises(CalibrationError, match=r"no image showed one.*Lay the hand"):
        sizer.result()
    with pytest.raises(ShapeError, match=r"\(21, 2\), not \(20, 2\)"):
        measure_hand(BOARD, CAMERA, view, keypoints[:20])


def test_a_hand_that_moves_is_measured_afresh(hands):
    hand, pose = hands[0.88], look_at(BOARD, 0.42)
    sizer = HandSizer(BOARD, CAMERA)
    for _ in range(5):
        sizer.add(view_of(pose), hand.keypoints_px(pose))
    sizer.add(view_of(pose), hand.keypoints_px(pose) + (60, 0))
    assert len(sizer.samples) == 1


def test_people_are_kept_by_name(tmp_path):
    store = PeopleStore(tmp_path / "new" / "people.json")
    assert store.people() == []
    store.save("  Ada   Lovelace ", 172, 3.0, (BOARD_MEASUREMENT,))
    store.save("Ada Lovelace", 174, 2.5, (BOARD_MEASUREMENT,))
    store.save("Bo", 190, 3.0, ())
    assert [(person.name, person.length_mm) for person in store.people()] == [("Ada Lovelace", 174), ("Bo", 190)]
    assert store.person(" Ada Lovelace").measurements == (BOARD_MEASUREMENT,)
    store.forget("Ada Lovelace")
    assert [person.name for person in store.people()] == ["Bo"] and store.person("Ada Lovelace") is None


def test_lengths_that_the_first_version_kept_mean_the_same_hand(tmp_path):
    """It kept the keypoints' chain by board, sheet and bone, and what was typed by ruler."""
    store = PeopleStore(tmp_path / "people.json")
    kept = [("A", 175.43, 4.0, "board"), ("B", 175.43, 12.8, "ruler"), ("C", 182.5, 3.0, "ruler")]
    people = [dict(zip(("name", "length_mm", "percent", "method"), k, strict=True), created_s=1.0) for k in kept]
    store.path.write_text(json.dumps({"version": 1, "people": people}))
    assert [person.length_mm for person in store.people()] == pytest.approx([182.5] * 3, abs=0.1)
    assert [[kept.what for kept in person.measurements] for person in store.people()] == [["board"], [], ["hand"]]
    store.save("D", 180, 3, ())
    assert [person.length_mm for person in store.people()] == pytest.approx([182.5] * 3 + [180], abs=0.1)
    assert pytest.approx(CHAIN_PER_LENGTH) == _CHAIN_PER_LENGTH


def test_a_name_or_length_that_makes_no_sense_is_refused(tmp_path):
    store = PeopleStore(tmp_path / "people.json")
    with pytest.raises(CalibrationError, match="name"):
        store.save(" ", 180, 3, ())
    with pytest.raises(CalibrationError, match="18 mm"):
        store.save("Bo", 18, 3, ())
    assert not store.path.exists()


def test_a_damaged_file_of_people_is_told_and_left_alone(tmp_path):
    store = PeopleStore(tmp_path / "people.json")
    store.path.write_text('{"people": [{"name": "Bo"}, 3]}')
    assert store.people() == []
    store.path.write_text("{")
    with pytest.raises(CalibrationError, match="damaged"):
        store.save("Bo", 180, 3, ())
    assert store.path.read_text() == "{"
    with pytest.raises(OutputError, match=r"people\.json"):
        PeopleStore(tmp_path / "people.json" / "people.json")._write([])
