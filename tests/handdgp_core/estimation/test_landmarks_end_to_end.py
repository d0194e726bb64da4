"""The `landmarks` model from pixels to metres, on painted hands whose place is known and on a real clip."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from handdgp_core.arrays import Handedness
from handdgp_core.estimation.estimator import HandEstimator
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.measure import hand_length_m, length_of_chain
from handdgp_core.types import Frame, Hand
from tests.painted_hand import paint_hand
from tests.places import ROOT

CAMERA = Camera.assumed(640, 480, 60)
CLIP = ROOT.parent / "shared" / "data" / "real_hand_1280x720.mp4"


@pytest.fixture(scope="module")
def loaded() -> Iterator[HandEstimator]:
    estimator = HandEstimator.from_weights("landmarks", "cpu")
    yield estimator
    estimator.close()


@pytest.fixture
def estimator(loaded: HandEstimator) -> HandEstimator:
    loaded.reset()
    loaded.hand_length_m = None
    return loaded


def frame_of(image: np.ndarray, index: int = 0) -> Frame:
    return Frame(image, index * 33_333_333, index)


@pytest.mark.parametrize("handedness", ["left", "right"])
@pytest.mark.parametrize("place_m", [(0.0, 0.09, 0.35), (0.15, 0.05, 0.45), (-0.1, 0.12, 0.6)])
def test_a_painted_hand_is_found_where_it_is(
    estimator: HandEstimator, handedness: Handedness, place_m: tuple[float, float, float]
) -> None:
    image, truth_m = paint_hand(CAMERA, handedness, place_m)
    (hand,) = estimator.estimate(frame_of(image), CAMERA)
    assert hand.handedness == handedness and hand.degenerate is None
    assert np.abs(hand.keypoints_m[:, 2] / truth_m[:, 2] - 1).mean() < 0.08
    assert np.linalg.norm(CAMERA.project(hand.keypoints_m) - CAMERA.project(truth_m), axis=1).mean() < 7
    assert hand.vertices_m.shape == (1609, 3)
    assert hand.weights.min() > 0 and hand.weights.max() <= 1


def test_a_given_hand_length_is_kept_to(estimator: HandEstimator) -> None:
    image, truth_m = paint_hand(CAMERA, "right", (0.0, 0.09, 0.45))
    estimator.hand_length_m = length_of_chain(float(hand_length_m(truth_m)))
    (hand,) = estimator.estimate(frame_of(image), CAMERA)
    assert float(hand_length_m(hand.keypoints_m)) == pytest.approx(float(hand_length_m(truth_m)), rel=1e-6)
    assert np.abs(hand.keypoints_m[:, 2] / truth_m[:, 2] - 1).mean() < 0.09


def test_lens_distortion_does_not_move_the_hand(estimator: HandEstimator) -> None:
    bent = Camera(640, 480, CAMERA.matrix, np.array([-0.12, 0.05, 0.001, -0.001, 0.0]))
    image, truth_m = paint_hand(bent, "right", (0.12, 0.02, 0.45))
    (hand,) = estimator.estimate(frame_of(image), bent)
    assert np.abs(hand.keypoints_m[:, 2] / truth_m[:, 2] - 1).mean() < 0.08
    assert np.linalg.norm(bent.project(hand.keypoints_m) - bent.project(truth_m), axis=1).mean() < 7


def test_a_moving_painted_hand_keeps_its_number_and_side_with_few_searches(estimator: HandEstimator) -> None:
    before, numbers = estimator.search_cost.runs, set()
    for step in range(20):
        image, truth_m = paint_hand(CAMERA, "left", (0.004 * step - 0.06, 0.09, 0.45), 0.03 * step)
        (hand,) = estimator.estimate(frame_of(image, step), CAMERA)
        numbers.add((hand.track_id, hand.handedness))
        assert np.linalg.norm(CAMERA.project(hand.keypoints_m) - CAMERA.project(truth_m), axis=1).mean() < 9
    assert len(numbers) == 1 and next(iter(numbers))[1] == "left"
    assert estimator.search_cost.runs - before <= 4


def test_two_hands_are_two_hands(estimator: HandEstimator) -> None:
    left, _ = paint_hand(CAMERA, "left", (-0.11, 0.09, 0.4))
    right, _ = paint_hand(CAMERA, "right", (0.11, 0.09, 0.4))
    image = np.concatenate([left[:, :320], right[:, 320:]], axis=1)
    seen: set[str] = set()
    for step in range(60):  # one search may miss a hand; it is looked for again
        hands = estimator.estimate(frame_of(image, step), CAMERA)
        seen |= {hand.handedness for hand in hands}
        if len(hands) == 2:
            break
    assert seen == {"left", "right"}
    by_side = {hand.handedness: hand for hand in hands}
    assert by_side["left"].root_m[0] < 0 < by_side["right"].root_m[0]


@pytest.mark.parametrize("shape", [(480, 640, 3), (1, 1, 3), (3, 4000, 3)])
def test_no_hand_is_no_hand_whatever_the_size_of_the_picture(
    estimator: HandEstimator, shape: tuple[int, int, int]
) -> None:
    image = np.full(shape, 90, np.uint8)
    assert estimator.estimate(frame_of(image), Camera.assumed(shape[1], shape[0])) == []


def test_the_same_frames_give_the_same_numbers(estimator: HandEstimator) -> None:
    image, _ = paint_hand(CAMERA, "right", (0.05, 0.09, 0.45))

    def run() -> list[Hand]:
        estimator.reset()
        return [estimator.estimate(frame_of(image, step), CAMERA)[0] for step in range(3)]

    for one, other in zip(run(), run(), strict=True):
        assert np.array_equal(one.vertices_m, other.vertices_m) and np.array_equal(one.root_m, other.root_m)


@pytest.mark.skipif(not CLIP.exists(), reason="the real clip is not here")
def test_a_real_hand_is_followed(estimator: HandEstimator) -> None:
    """Eighty frames around a fist."""
    capture, camera = cv2.VideoCapture(str(CLIP)), Camera.assumed(1280, 720, 60)
    capture.set(cv2.CAP_PROP_POS_FRAMES, 240)
    for index in range(80):
        image = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
        (hand,) = estimator.estimate(frame_of(image, index), camera)
        assert hand.handedness == "right" and hand.degenerate is None
        assert 0.15 < hand.root_m[2] < 1.5
    capture.release()
