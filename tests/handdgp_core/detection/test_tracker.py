"""The tracker's policy, played through with a scripted finder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handdgp_core.arrays import Array, Handedness
from handdgp_core.detection.crops import crop_from_keypoints
from handdgp_core.detection.landmarker import Detection
from handdgp_core.detection.looks import Look, looks_at
from handdgp_core.detection.track import Observation, keypoint_distance
from handdgp_core.detection.tracker import HandTracker, TrackerOptions
from handdgp_core.errors import UsageError
from handdgp_core.geometry.hand_crop import HandCrop

IMAGE = np.zeros((480, 640, 3), np.uint8)
FRAME_NS = 33_333_333


def hand_at(x: float, y: float = 240.0, size: float = 50.0) -> Array:
    """Keypoints of an upright hand about (x, y), half as long as `size`."""
    keypoints = np.random.default_rng(3).uniform(-1, 1, (21, 2)) * (0.8, 1)
    keypoints[0] = 0, 1
    keypoints[[5, 9, 13, 17]] = [(-0.4, 0), (0, 0), (0.2, 0), (0.5, 0.1)]
    return keypoints * size + (x, y)


def detection(x: float, handedness: Handedness = "right", score: float = 0.9, size: float = 50.0) -> Detection:
    return Detection(hand_at(x, size=size), handedness, score)


class ScriptedFinder:
    """Finds what it is told to in a whole image, or in one kind of second look, and counts how often it is asked."""

    def __init__(self, *hands: Detection) -> None:
        self.hands: Sequence[Detection] = hands
        self.hidden: Sequence[Detection] = ()  # seen by second looks that `shows` accepts
        self.shows: Callable[[Look], bool] = lambda look: True
        self.runs = 0
        self.looks: list[Look] = []

    def find(self, image: NDArray[np.uint8], look: Look | None = None) -> list[Detection]:
        if look is not None:
            self.looks.append(look)
            return list(self.hidden) if self.shows(look) else []
        self.runs += 1
        return list(self.hands)


class Scene:
    """A tracker, its finder, and a clock; `step` is one frame."""

    def __init__(self, *hands: Detection, **options: object) -> None:
        self.finder = ScriptedFinder(*hands)
        self.tracker = HandTracker(self.finder, replace(TrackerOptions(max_hands=1), **options))
        self.stamp_ns = 0
        self.believed: set[int] = set()

    def look(self) -> list[HandCrop]:
        self.stamp_ns += FRAME_NS
        return self.tracker.crops(IMAGE, self.stamp_ns)

    def step(
        self, at: Array | None = None, presence: float | None = 0.99, right: float | None = None
    ) -> list[HandCrop]:
        """One frame in which the network sees each hand where the crop is (or all `at` one place)."""
        crops = self.look()
        seen = {track.track_id: track.keypoints_px for track in self.tracker._tracks}
        self.believed = self.tracker.update(
            Observation(crop.track_id, seen[crop.track_id] if at is None else at, presence, right) for crop in crops
        )
        return crops

    def look_until_found(self) -> list[HandCrop]:
        """Frames go by until a search finds something: with no hand it does not run in every one."""
        return next(crops for crops in (self.look() for _ in range(9)) if crops)

    def steps(self, count: int, **how: object) -> None:
        for _ in range(count):
            self.step(**how)


def ids(crops: Sequence[HandCrop]) -> list[int]:
    return [crop.track_id for crop in crops]


def test_a_followed_hand_is_searched_for_once() -> None:
    scene = Scene(detection(300))
    for x in range(300, 400):
        crops = scene.step(at=hand_at(x))
        assert ids(crops) == [0]
        assert scene.believed == {0}
    assert scene.finder.runs == scene.tracker.cost.runs == 1
    assert scene.tracker.cost.frames == 100
    np.testing.assert_allclose(crops[0].center_px, crop_from_keypoints(hand_at(398), "right", 1.0).center_px)


def test_the_first_crop_lies_on_the_detection_of_the_same_frame() -> None:
    (crop,) = Scene(detection(500, "left", 0.8)).look()
    assert (crop.handedness, crop.score) == ("left", 0.8)
    assert abs(crop.center_px[0] - 500) < 15


def test_a_hand_that_the_network_loses_is_searched_for_and_keeps_its_number() -> None:
    scene = Scene(detection(300))
    scene.steps(5)
    scene.step(presence=0.1)
    assert scene.believed == set()
    assert ids(scene.step()) == [0]
    assert scene.believed == {0}
    assert scene.finder.runs == 2


def test_a_hand_that_is_gone_gives_no_crop_and_comes_back_under_its_number_if_soon() -> None:
    scene = Scene(detection(300), remember_s=0.5)
    scene.steps(5)
    scene.finder.hands = ()
    scene.step(presence=0.0)
    for _ in range(5):
        assert scene.step() == []
    scene.finder.hands = (detection(320),)
    assert ids(scene.step()) == [0]


@pytest.mark.parametrize(
    "returning",
    [
        pytest.param((30, detection(300)), id="too late"),
        pytest.param((3, detection(600)), id="elsewhere"),
        pytest.param((3, detection(300, "left")), id="the other hand"),
    ],
)
def test_otherwise_it_is_a_new_hand(returning: tuple[int, Detection]) -> None:
    frames, hand = returning
    scene = Scene(detection(300), remember_s=0.5)
    scene.steps(5)
    scene.finder.hands = ()
    scene.step(presence=0.0)
    scene.steps(frames)
    scene.finder.hands = (hand,)
    scene.steps(4)
    assert ids(scene.step()) == [1]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(hand_at(500), id="jump"),
        pytest.param(hand_at(300, size=15), id="shrunk"),
        pytest.param(hand_at(300, size=150), id="grown"),
        pytest.param(np.full((21, 2), np.nan), id="not finite"),
    ],
)
def test_keypoints_that_cannot_be_make_the_hand_doubtful(bad: Array) -> None:
    scene = Scene(detection(300))
    scene.steps(3)
    scene.step(at=bad)
    assert scene.believed == set()
    scene.step()
    assert scene.believed == {0}
    assert scene.finder.runs == 2


def test_a_hand_that_leaves_the_image_is_given_up() -> None:
    scene = Scene(detection(600))
    for x in range(600, 720, 10):
        scene.step(at=hand_at(x))
        scene.finder.hands = ()
    assert scene.look() == []
    assert scene.finder.runs > 1


def test_a_hand_half_outside_is_still_followed() -> None:
    scene = Scene(detection(600))
    for x in range(600, 641, 5):
        scene.step(at=hand_at(x))
        assert scene.believed == {0}
    assert scene.finder.runs == 1


def test_a_false_detection_is_forgotten_at_once() -> None:
    scene = Scene(detection(300))
    scene.step(presence=0.1)
    scene.finder.hands = ()
    assert scene.step() == []


def test_a_missing_view_is_doubt() -> None:
    scene = Scene(detection(300))
    scene.steps(3)
    scene.look()
    assert scene.tracker.update([]) == set()
    scene.finder.hands = ()
    assert scene.look() == []


def test_views_of_unknown_hands_are_ignored() -> None:
    scene = Scene(detection(300))
    scene.look()
    assert scene.tracker.update([Observation(77, hand_at(10), 1.0, 1.0)]) == set()


def test_looking_for_a_second_hand_backs_off() -> None:
    scene = Scene(detection(300), max_hands=2, look_again_s=0.25, look_again_max_s=1.0)
    runs = []
    for _ in range(180):  # six seconds
        before = scene.finder.runs
        scene.step()
        if scene.finder.runs > before:
            runs.append(scene.stamp_ns)
    waits = np.diff(runs) / 1e9
    # 0.25 s again after the first hand is accepted, then doubling, up to the limit; a frame's grain each.
    np.testing.assert_allclose(waits[:2], [0.25, 0.5], atol=0.04)
    np.testing.assert_allclose(waits[2:], 1.0, atol=0.04)
    assert len(waits) >= 6


def test_a_second_hand_is_found_and_then_nothing_is_searched() -> None:
    scene = Scene(detection(150), max_hands=2)
    scene.steps(10)
    scene.finder.hands = (detection(450, "left"), detection(150))
    scene.steps(40)
    crops = scene.step()
    assert ids(crops) == [0, 1]
    assert [crop.handedness for crop in crops] == ["right", "left"]
    runs = scene.finder.runs
    scene.steps(100)
    assert scene.finder.runs == runs


def test_no_more_hands_than_asked_for() -> None:
    scene = Scene(*(detection(x) for x in (100, 300, 500)), max_hands=2)
    assert ids(scene.step()) == [0, 1]


def test_a_detection_of_a_followed_hand_starts_no_track() -> None:
    scene = Scene(detection(300), max_hands=2)
    for x in range(300, 360):
        scene.finder.hands = (detection(x - 12), detection(x + 5, "left"))
        assert ids(scene.step(at=hand_at(x))) == [0]
    assert scene.finder.runs > 1


def test_one_hand_found_twice_is_one_hand() -> None:
    assert ids(Scene(detection(300), detection(304, "left"), max_hands=2).look()) == [0]


def test_two_tracks_that_meet_on_one_hand_become_the_older_one() -> None:
    scene = Scene(detection(260), detection(340), max_hands=2)
    assert ids(scene.step()) == [0, 1]
    scene.step(at=hand_at(300))
    assert scene.believed == {0}
    scene.finder.hands = (detection(300),)
    assert ids(scene.step()) == [0]


def test_two_hands_side_by_side_stay_two() -> None:
    scene = Scene(detection(260), detection(340, "left"), max_hands=2)
    scene.steps(20)
    assert ids(scene.step()) == [0, 1]


def test_a_few_contrary_views_do_not_change_the_hand() -> None:
    scene = Scene(detection(300, "right"))
    scene.steps(20, right=0.98)
    scene.steps(4, right=0.02)
    scene.steps(4, right=0.9)
    (crop,) = scene.step()
    assert (crop.track_id, crop.handedness) == (0, "right")


def test_a_clear_majority_turns_it_into_the_other_hand_under_a_new_number() -> None:
    scene = Scene(detection(300, "right"))
    names = {}
    for _ in range(30):
        for crop in scene.step(right=0.02):
            assert names.setdefault(crop.track_id, crop.handedness) == crop.handedness
    assert names == {0: "right", 1: "left"}
    assert scene.finder.runs == 2  # once more at the turn


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.booleans()), min_size=5, max_size=60))
def test_handedness_is_constant_for_a_number_whatever_is_seen(views: list[tuple[float, float, bool]]) -> None:
    scene = Scene(detection(200), detection(450, "left"), max_hands=2)
    names: dict[int, Handedness] = {}
    for presence, right, found in views:
        scene.finder.hands = (detection(210), detection(440, "right")) if found else ()
        for crop in scene.step(presence=presence, right=right):
            assert names.setdefault(crop.track_id, crop.handedness) == crop.handedness
        assert scene.believed <= set(names)


def test_with_no_hand_the_search_slows_down() -> None:
    scene = Scene(idle_after_s=1.0, idle_search_s=0.1)
    scene.steps(30)
    assert scene.finder.runs == 30
    scene.steps(300)
    assert scene.finder.runs - 30 == pytest.approx(100, abs=25)


def test_a_hand_that_comes_back_later_keeps_its_side_until_clearly_outvoted() -> None:
    scene = Scene(detection(300))
    scene.steps(10, right=0.99)
    scene.finder.hands = ()
    scene.step(presence=0.0)
    scene.steps(30)  # one second: its number is forgotten
    scene.finder.hands = (detection(420, "left"),)
    (crop,) = scene.look_until_found()
    assert (crop.track_id, crop.handedness) == (1, "right")
    crops = [scene.step(at=hand_at(420), right=0.01) for _ in range(10)]
    assert crops[-1][0].handedness == "left"


def test_a_hand_that_jumps_to_where_it_looks_like_the_other_one_keeps_its_side() -> None:
    scene = Scene(detection(150), max_hands=2)
    scene.steps(10, right=0.99)
    scene.finder.hands = (detection(450, "left"),)
    for _ in range(60):  # the next search comes while the old place is still followed
        crops = scene.look()
        far = [crop for crop in crops if crop.center_px[0] > 300]
        scene.tracker.update(
            Observation(
                c.track_id,
                hand_at(450 if c in far else 150),
                0.99 if c in far or not far else 0.0,
                0.5 if far else 0.99,
            )
            for c in crops
        )
    assert [crop.handedness for crop in scene.look()] == ["right"]


def test_a_hand_that_is_lost_and_found_again_as_the_other_one_keeps_its_side() -> None:
    scene = Scene(detection(300, "right"))
    scene.steps(20, right=0.98)
    scene.finder.hands = ()
    scene.step(presence=0.0)
    scene.step()
    scene.finder.hands = (detection(310, "left", 0.95),)
    assert [crop.handedness for crop in scene.look_until_found()] == ["right"]


def test_a_new_hand_takes_the_side_that_its_first_view_gives_it_and_later_ones_cannot() -> None:
    scene = Scene(detection(300, "left", 0.99))
    (crop,) = scene.look()
    seen = Observation(crop.track_id, hand_at(300), 0.9, 0.9, "right")
    assert not scene.tracker.remembers_side(crop.track_id)
    scene.tracker.update([seen])
    assert scene.tracker.remembers_side(crop.track_id)
    assert [(crop.track_id, crop.handedness) for crop in scene.look()] == [(0, "right")]
    scene.tracker.update([replace(seen, right=None, handedness="left")])
    assert [(crop.track_id, crop.handedness) for crop in scene.look()] == [(0, "right")]


def test_after_long_a_hand_is_what_the_detector_says() -> None:
    scene = Scene(detection(300), side_memory_s=2.0)
    scene.steps(10, right=0.99)
    scene.finder.hands = ()
    scene.step(presence=0.0)
    scene.steps(75)
    scene.finder.hands = (detection(300, "left"),)
    assert scene.look_until_found()[0].handedness == "left"


def test_of_two_hands_that_come_back_each_has_the_side_of_the_nearest() -> None:
    scene = Scene(detection(150), detection(450, "left"), max_hands=2)
    for _ in range(10):
        crops = scene.look()
        scene.tracker.update(
            Observation(c.track_id, hand_at(c.center_px[0]), 0.99, 0.99 * (c.handedness == "right")) for c in crops
        )
    scene.finder.hands = ()
    scene.step(presence=0.0)
    scene.steps(30)
    scene.finder.hands = (detection(440, "right", 0.6), detection(160, "left", 0.6))
    crops = scene.look_until_found()
    assert {round(crop.center_px[0], -2): crop.handedness for crop in crops} == {200: "right", 400: "left"}


def test_a_second_look_makes_no_second_hand_of_a_followed_one() -> None:
    scene = Scene(detection(300), max_hands=2)
    scene.finder.hidden = (detection(335, "left"),)  # the same hand, seen otherwise
    scene.steps(120)
    assert ids(scene.step()) == [0]


def test_a_first_image_gets_every_second_look_until_one_finds_a_hand() -> None:
    scene = Scene()
    every = looks_at(640, 480)
    assert scene.step() == []
    assert scene.finder.looks == every
    assert scene.tracker.cost.looks == len(every)

    scene = Scene()
    scene.finder.hidden = (detection(300),)
    scene.finder.shows = lambda look: look == every[5]
    assert ids(scene.step()) == [0]
    assert scene.finder.looks == every[:6]


def test_second_looks_take_turns_and_keep_their_distance() -> None:
    scene = Scene(second_look_s=0.2, second_look_idle_s=0.8)
    scene.step()
    every = scene.finder.looks.copy()
    scene.finder.looks.clear()
    scene.steps(360)  # twelve seconds: 0.4 s, then 0.8 s from one to the next
    assert scene.finder.looks[: len(every)] == every
    assert len(every) <= len(scene.finder.looks) <= 16


def test_second_looks_beside_a_followed_hand_become_rare_and_take_frames_without_a_search() -> None:
    scene = Scene(detection(150), max_hands=2, second_look_s=0.2, second_look_max_s=3.2)
    asked = []
    for _ in range(600):  # twenty seconds
        before = scene.finder.runs, len(scene.finder.looks)
        scene.step()
        asked.append((scene.finder.runs - before[0], len(scene.finder.looks) - before[1]))
    assert max(sum(frame) for frame in asked[1:]) == 1
    assert 6 <= len(scene.finder.looks) <= 10  # after 0.2, 0.4, 0.8, 1.6 and then every 3.2 s


def test_second_looks_begin_anew_when_a_hand_is_lost() -> None:
    scene = Scene(detection(150), max_hands=1)
    scene.steps(3)
    scene.finder.hands = ()
    scene.step(presence=0.1)
    scene.step()
    scene.finder.looks.clear()
    scene.steps(20)
    assert len(scene.finder.looks) >= 2


def test_a_hand_that_only_a_second_look_finds_joins_the_one_that_is_followed() -> None:
    scene = Scene(detection(150), max_hands=2)
    scene.steps(3)
    every = looks_at(640, 480)
    scene.finder.hidden = (detection(152), detection(450, "left"))
    scene.finder.shows = lambda look: look == every[2]
    scene.steps(120)
    assert ids(scene.step()) == [0, 1]
    assert len(scene.finder.looks) == 3  # one after the other until the room is taken


def test_with_all_hands_followed_there_is_no_second_look() -> None:
    scene = Scene(detection(150), detection(450), max_hands=2)
    scene.steps(60)
    assert scene.finder.looks == []


def test_a_doubtful_hand_is_looked_for_at_its_last_place() -> None:
    scene = Scene(detection(300))
    scene.steps(3)
    scene.finder.hands = ()
    scene.finder.hidden = (detection(310),)
    scene.step(presence=0.1)
    assert ids(scene.step()) == [0]
    (look,) = scene.finder.looks
    assert look.left < 250 and look.left + look.width > 350 and look.width < 300
    assert look.quarter_turns == 0


@pytest.mark.parametrize("jump_ns", [-2 * FRAME_NS, 5_000_000_000], ids=["back", "ahead"])
def test_a_jump_in_time_starts_afresh(jump_ns: int) -> None:
    scene = Scene(detection(300))
    scene.steps(5)
    scene.stamp_ns += jump_ns
    assert ids(scene.step()) == [1]
    assert scene.finder.runs == 2


def test_another_image_size_starts_afresh() -> None:
    scene = Scene(detection(300))
    scene.steps(5)
    assert ids(scene.tracker.crops(np.zeros((720, 1280, 3), np.uint8), scene.stamp_ns + FRAME_NS)) == [1]


def test_reset_forgets_but_numbers_go_on() -> None:
    scene = Scene(detection(300))
    scene.steps(5)
    scene.tracker.reset()
    assert ids(scene.step()) == [1]


def test_a_network_without_presence_is_checked_by_searching() -> None:
    scene = Scene(detection(300), confirm_s=0.5)
    scene.steps(50, presence=None)
    assert scene.believed == {0}
    assert 3 <= scene.finder.runs <= 5
    scene.finder.hands = ()
    scene.steps(20, presence=None)
    assert scene.step(presence=None) == []


def test_the_cost_of_searching_is_kept() -> None:
    scene = Scene(detection(300))
    scene.step()
    assert scene.tracker.cost.last_ms > 0
    assert scene.tracker.cost.total_ms == scene.tracker.cost.last_ms
    scene.step()
    assert scene.tracker.cost.last_ms == 0


def test_no_hands_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="max_hands"):
        HandTracker(ScriptedFinder(), TrackerOptions(max_hands=0))


@given(shift=st.floats(-300, 300), size=st.floats(5, 200))
def test_keypoint_distance_is_in_half_hands(shift: float, size: float) -> None:
    expected = abs(shift) / (np.ptp(hand_at(0, size=size), axis=0).max() / 2)
    assert keypoint_distance(hand_at(0, size=size), hand_at(shift, size=size)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("apart_px", "misfits", "stay"),
    [
        (30, (200.0, 30.0), {1}),  # the first was left behind by a hand that moved fast
        (30, (30.0, 200.0), {0}),
        (30, (60.0, 40.0), {0, 1}),  # two hands close together
        (30, (None, 40.0), {0, 1}),
        (10, (60.0, 40.0), {0}),  # in one place: the older one
        (10, (200.0, 30.0), {1}),
        (60, (200.0, 30.0), {0, 1}),  # a hand that is seen badly, beside another
    ],
)
def test_a_track_that_a_fast_hand_left_behind_goes(
    apart_px: float, misfits: tuple[float | None, float], stay: set[int]
) -> None:
    scene = Scene(detection(300), max_hands=2)
    scene.step()
    scene.finder.hands = (detection(300), detection(300 + 60))
    while len(crops := scene.look()) < 2:
        scene.tracker.update(Observation(crop.track_id, hand_at(300), 0.99) for crop in crops)
    places = hand_at(300), hand_at(300 + apart_px)
    believed = scene.tracker.update(
        Observation(crop.track_id, place, 0.99, misfit=misfit)
        for crop, place, misfit in zip(crops, places, misfits, strict=True)
    )
    assert ids(crops) == [0, 1] and believed == stay
