"""HandEstimator with a network whose answers are known: rays, mirror, mute, scale, flags."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from handdgp_core.arrays import Array, Handedness
from handdgp_core.detection.crops import crop_from_keypoints
from handdgp_core.detection.landmarker import Detection
from handdgp_core.detection.looks import Look
from handdgp_core.errors import CameraError, ShapeError, UsageError
from handdgp_core.estimation.distance_error import DistanceError
from handdgp_core.estimation.estimator import HandEstimator
from handdgp_core.estimation.predictor import PositioningMethod, Prediction, View
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.measure import hand_length_m, length_of_chain
from handdgp_core.types import Frame

CAMERA = Camera(640, 480, np.array([[600.0, 0, 320], [0, 610, 230], [0, 0, 1]]), np.array([0.05, -0.1, 0.001, 0, 0]))


def true_keypoints(handedness: Handedness) -> Array:
    """(21, 3) an upright, slightly tilted hand off the optical axis, in the camera's frame."""
    rng = np.random.default_rng(4)
    hand = np.zeros((21, 3))
    for finger in range(5):
        for joint in range(4):
            spread = (finger - 2) * (0.02 + 0.004 * joint)
            hand[1 + 4 * finger + joint] = [-spread, -0.06 - 0.03 * joint, 0.01 * joint]
    hand += rng.normal(0.0, 0.003, hand.shape)
    if handedness == "left":
        hand[:, 0] *= -1
    return hand + [0.08, 0.05, 0.45]


class KnownNetwork:
    """A predictor that sees exactly the true hand, in whatever virtual camera it is asked."""

    name = engine = "known"
    method: PositioningMethod = "refined"
    distance_error = DistanceError(depth_m=0.009, share=0.03, edge_on=0.1, size=0.05)
    assumed_length_m: float | None = None
    faces = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)

    def __init__(self, handedness: Handedness = "right", noise_px: float = 0.0) -> None:
        self.handedness, self.noise_px = handedness, noise_px
        self.stage_ms = {"network": 1.0}
        self.resets = 0
        self.score = 0.95

    def rectify(self, camera: Camera, crop: HandCrop) -> Rectification:
        return Rectification.fit(camera, crop)

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        assert images.shape == (len(views), 224, 224, 3) and images.dtype == np.uint8
        points = np.stack([view.rectification.points_to_virtual(true_keypoints(self.handedness)) for view in views])
        pixels = np.einsum("bij,bkj->bki", np.stack([view.rectification.matrix for view in views]), points)
        pixels = pixels[..., :2] / pixels[..., 2:]
        pixels[:, 3] += self.noise_px
        relative = points - points[:, :1]
        ones = np.ones(len(views))
        return Prediction(
            pixels, relative, relative[:, :4], np.ones((len(views), 21)), self.score * ones, ones, ones * np.nan
        )

    def use_best_engine(self) -> None: ...

    def close(self) -> None: ...

    def reset(self) -> None:
        self.resets += 1


class KnownFinder:
    """Finds the true hand wherever it is searched for."""

    def __init__(self, handedness: Handedness = "right") -> None:
        self.handedness, self.closed = handedness, False

    def find(self, image: NDArray[np.uint8], look: Look | None = None) -> list[Detection]:
        return [Detection(CAMERA.project(true_keypoints(self.handedness)), self.handedness, 0.9)]

    def close(self) -> None:
        self.closed = True


def estimator_of(handedness: Handedness = "right", noise_px: float = 0.0, **options: object) -> HandEstimator:
    return HandEstimator(KnownNetwork(handedness, noise_px), KnownFinder(handedness), **options)


def frame(index: int = 0) -> Frame:
    return Frame(np.zeros((480, 640, 3), np.uint8), index * 33_000_000, index)


@pytest.mark.parametrize("handedness", ["right", "left"])
@pytest.mark.parametrize("method", ["refined", "published"])
def test_a_known_hand_comes_back_in_metres(handedness: Handedness, method: PositioningMethod) -> None:
    (hand,) = estimator_of(handedness, method=method).estimate(frame(), CAMERA)
    truth = true_keypoints(handedness)
    assert hand.degenerate is None and hand.handedness == handedness
    assert np.allclose(hand.keypoints_m, truth, atol=1e-6)
    assert np.allclose(hand.root_m, truth[0], atol=1e-6)
    assert np.allclose(hand.keypoints_px, CAMERA.project(truth), atol=1e-3)
    assert np.allclose(hand.vertices_m, truth[:4], atol=1e-6)
    assert (np.linalg.eigvalsh(hand.root_covariance_m2) > 0).all()


def test_a_hand_where_the_lens_has_no_answer_is_counted() -> None:
    estimator = estimator_of()
    folded = Camera(640, 480, CAMERA.matrix * [[0.05, 1, 1], [1, 0.05, 1], [1, 1, 1]], (-0.3, 0.0, 0.0, 0.0))
    assert estimator.estimate(frame(), folded) == [] and estimator.beyond_lens == 1
    assert len(estimator.estimate(frame(1), CAMERA)) == 1 and estimator.beyond_lens == 0


def test_faces_of_a_left_hand_are_turned_so_that_normals_stay_outward() -> None:
    (right,) = estimator_of("right").estimate(frame(), CAMERA)
    (left,) = estimator_of("left").estimate(frame(), CAMERA)
    assert np.array_equal(left.faces, right.faces[:, ::-1])


def test_a_muted_keypoint_has_no_say_and_the_unmuted_root_is_told() -> None:
    truth = true_keypoints("right")
    estimator = estimator_of(noise_px=40.0)
    (disturbed,) = estimator.estimate(frame(), CAMERA)
    assert np.linalg.norm(disturbed.root_m - truth[0]) > 1e-3
    assert disturbed.root_unmuted_m is None
    estimator.muted = frozenset({3})
    estimator.reset()  # the same crop again
    (muted,) = estimator.estimate(frame(1), CAMERA)
    assert muted.weights[3] == 0.0
    assert np.allclose(muted.root_m, truth[0], atol=1e-6)
    assert muted.root_unmuted_m is not None and np.allclose(muted.root_unmuted_m, disturbed.root_m, atol=1e-6)


def test_with_all_but_two_keypoints_muted_the_hand_is_flagged_and_has_no_numbers() -> None:
    estimator = estimator_of()
    estimator.muted = frozenset(range(19))
    (hand,) = estimator.estimate(frame(), CAMERA)
    assert hand.degenerate
    assert np.isnan(hand.root_m).all() and np.isnan(hand.vertices_m).all() and np.isnan(hand.keypoints_m).all()


def test_a_hand_length_scales_the_hand_and_its_depth() -> None:
    truth = true_keypoints("right")
    length = float(hand_length_m(truth))
    estimator = estimator_of(hand_length_m=length_of_chain(1.1 * length))
    (hand,) = estimator.estimate(frame(), CAMERA)
    assert hand.hand_scale == pytest.approx(1.1) and 0.03 < hand.distance_std < 0.05
    assert float(hand_length_m(hand.keypoints_m)) == pytest.approx(1.1 * length)
    assert np.allclose(hand.root_m, 1.1 * truth[0], atol=1e-5)


def test_how_uncertain_the_hand_length_is_goes_into_the_distance() -> None:
    estimator = estimator_of(hand_length_m=0.18)
    (sure,) = estimator.estimate(frame(), CAMERA)
    estimator.hand_length_std = 0.06
    (by_a_bone,) = estimator.estimate(frame(1), CAMERA)
    assert by_a_bone.distance_std == pytest.approx(np.hypot(sure.distance_std, 0.06), abs=1e-3)
    estimator.hand_length_m = None
    (unknown,) = estimator.estimate(frame(2), CAMERA)
    assert unknown.distance_std == pytest.approx(estimator_of().estimate(frame(), CAMERA)[0].distance_std, abs=1e-3)


def test_a_given_length_is_told_as_a_factor_on_the_length_that_a_fitting_model_assumes() -> None:
    network = KnownNetwork()
    network.assumed_length_m = float(hand_length_m(true_keypoints("right")))
    (assumed,) = HandEstimator(network, KnownFinder()).estimate(frame(), CAMERA)
    assert assumed.hand_scale == 1.0
    estimator = HandEstimator(network, KnownFinder(), hand_length_m=length_of_chain(network.assumed_length_m))
    network.assumed_length_m /= 1.2  # the network of the test gives the true hand whatever it is told
    (given,) = estimator.estimate(frame(), CAMERA)
    assert given.hand_scale == pytest.approx(1.2)
    assert np.allclose(given.root_m, assumed.root_m)


@pytest.mark.parametrize("length_m", [0.0, -0.18, 18.0, float("nan")])
def test_an_impossible_hand_length_is_refused(length_m: float) -> None:
    with pytest.raises(UsageError, match="50 to 300 mm"):
        estimator_of(hand_length_m=length_m)
    estimator = estimator_of()
    with pytest.raises(UsageError, match="hand length"):
        estimator.hand_length_m = length_m
    assert estimator.hand_length_m is None


def test_what_the_network_does_not_believe_is_not_shown() -> None:
    estimator = estimator_of()
    estimator._predictor.score = 0.05
    assert estimator.estimate(frame(), CAMERA) == []


def test_stages_are_timed_and_a_reset_reaches_the_network() -> None:
    estimator = estimator_of()
    estimator.estimate(frame(), CAMERA)
    assert set(estimator.stage_ms) == {"detection", "rectification", "network", "positioning"}
    estimator.reset()
    assert estimator._predictor.resets == 1
    estimator.close()
    assert estimator._finder.closed


def test_the_number_of_hands_can_change_between_frames() -> None:
    estimator = estimator_of()
    estimator.estimate(frame(), CAMERA)
    estimator.max_hands = 1
    assert estimator.max_hands == 1
    assert len(estimator.estimate(frame(1), CAMERA)) == 1


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((480, 640), np.uint8),
        np.zeros((480, 640, 4), np.uint8),
        np.zeros((480, 640, 3)),
        np.zeros((0, 9, 3), np.uint8),
    ],
    ids=["grey", "alpha", "float", "empty"],
)
def test_what_is_no_rgb_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="RGB"):
        estimator_of().estimate(Frame(image, 0, 0), CAMERA)


def test_a_camera_of_another_size_is_scaled_and_of_another_shape_refused() -> None:
    double = Frame(np.zeros((960, 1280, 3), np.uint8), 0, 0)

    class Finder(KnownFinder):
        def find(self, image: NDArray[np.uint8], look: Look | None = None) -> list[Detection]:
            found = super().find(image)[0]
            return [Detection((found.keypoints_px + 0.5) * 2 - 0.5, found.handedness, found.score)]

    estimator = HandEstimator(KnownNetwork(), Finder())
    (hand,) = estimator.estimate(double, CAMERA)
    assert np.allclose(hand.root_m, true_keypoints("right")[0], atol=1e-6)
    with pytest.raises(CameraError):
        estimator.estimate(Frame(np.zeros((480, 480, 3), np.uint8), 0, 0), CAMERA)


class OffAxisNetwork(KnownNetwork):
    """Sees a hand at the picture's edge, its 21 keypoints displaced by a given error in the network's image."""

    def __init__(self, handedness: Handedness) -> None:
        super().__init__(handedness)
        self.points_m = true_keypoints(handedness) + [0.1, 0.0, 0.0]
        self.error_px = np.zeros((21, 2))
        self.focal_px = 0.0

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        (view,) = views
        points = view.rectification.points_to_virtual(self.points_m)
        matrix = view.rectification.matrix
        self.focal_px = float(matrix[0, 0])
        pixels = (points[:, :2] / points[:, 2:] * self.focal_px + matrix[:2, 2] + self.error_px)[None]
        relative = (points - points[0])[None]
        return Prediction(
            pixels, relative, relative[:, :4], np.ones((1, 21)), np.array([0.95]), np.ones(1), np.full(1, np.nan)
        )


class OffAxisFinder(KnownFinder):
    """Finds that hand."""

    def find(self, image: NDArray[np.uint8], look: Look | None = None) -> list[Detection]:
        points_m = true_keypoints(self.handedness) + [0.1, 0.0, 0.0]
        return [Detection(CAMERA.project(points_m), self.handedness, 0.9)]


def propagated_covariance_m2(estimator: HandEstimator, network: OffAxisNetwork, step_px: float = 0.01) -> Array:
    """(3, 3) of the root in the camera's frame for keypoints known to one pixel: each moved by itself, both ways."""
    columns = []
    for keypoint, axis in np.ndindex(21, 2):
        roots = []
        for sign in (1.0, -1.0):
            network.error_px = np.zeros((21, 2))
            network.error_px[keypoint, axis] = sign * step_px
            estimator.reset()  # the same crop each time
            (hand,) = estimator.estimate(frame(), CAMERA)
            roots.append(hand.root_m)
        columns.append((roots[0] - roots[1]) / (2 * step_px))
    jacobian = np.stack(columns, axis=1)
    return np.asarray(jacobian @ jacobian.T)


@pytest.mark.parametrize("handedness", ["right", "left"])
@pytest.mark.parametrize("method", ["refined", "published"])
def test_the_covariance_of_the_root_lies_in_the_cameras_frame(
    handedness: Handedness, method: PositioningMethod
) -> None:
    network = OffAxisNetwork(handedness)
    estimator = HandEstimator(network, OffAxisFinder(handedness), method=method)
    (hand,) = estimator.estimate(frame(), CAMERA)
    wanted = propagated_covariance_m2(estimator, network)
    variances, directions = np.linalg.eigh(wanted)
    assert variances[2] > 20 * variances[1], "the test needs a covariance that is far from isotropic"
    tilt_deg = np.degrees(np.arccos(abs(directions[2, 2])))
    assert tilt_deg > 8, "the test needs a hand off the axis"
    np.testing.assert_allclose(hand.root_covariance_m2, wanted, atol=0.01 * variances[2])
    along = directions[:, 2]
    assert along @ hand.root_covariance_m2 @ along == pytest.approx(variances[2], rel=0.01)


class PickyNetwork(KnownNetwork):
    """Knows where the hand is in any crop, and is sure of it in crops around the true keypoints alone."""

    def __init__(self, sure: float) -> None:
        super().__init__()
        self.sure = sure
        self.crops: list[list[HandCrop]] = []
        self.tight_px = crop_from_keypoints(CAMERA.project(true_keypoints("right")), "right", 1.0).half_size_px

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        self.crops.append([view.crop for view in views])
        off = [abs(view.crop.half_size_px / self.tight_px - 1) for view in views]
        score = np.where(np.array(off) < 0.01, self.sure, 0.8)
        return super().predict(images, views, stamp_ns)._replace(score=score)


class RoughFinder(KnownFinder):
    """Finds the hand, but half as large again."""

    def find(self, image: NDArray[np.uint8], look: Look | None = None) -> list[Detection]:
        pixels = CAMERA.project(true_keypoints("right"))
        return [Detection(pixels + 0.5 * (pixels - pixels.mean(axis=0)), "right", 0.9)]


@pytest.mark.parametrize("sure", [0.9, 0.7])
def test_a_new_hand_is_looked_at_again_and_the_surer_look_counts(sure: float) -> None:
    network = PickyNetwork(sure)
    estimator = HandEstimator(network, RoughFinder(), max_hands=1)
    (hand,) = estimator.estimate(frame(0), CAMERA)
    first, second = network.crops
    assert hand.score == max(sure, 0.8)
    assert second[0].half_size_px == pytest.approx(network.tight_px, rel=1e-3)
    assert first[0].half_size_px == pytest.approx(1.5 * second[0].half_size_px, rel=1e-3)
    assert second[0].track_id == first[0].track_id == hand.track_id
    assert np.allclose(hand.keypoints_m, true_keypoints("right"), atol=1e-6)
    estimator.estimate(frame(1), CAMERA)
    assert len(network.crops) == 3, "a hand that is followed is looked at once"
    estimator.reset()
    estimator.estimate(frame(2), CAMERA)
    assert len(network.crops) == 5


class FittedNetwork(KnownNetwork):
    """Fits a hand to what it saw: well where the crop is looked at as the true side, or badly everywhere."""

    clear = True

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        right = np.array([view.crop.handedness == self.handedness for view in views])
        misfit = np.where(right & self.clear, 80.0, 900.0 + right)
        return super().predict(images, views, stamp_ns)._replace(misfit=misfit, right=np.where(right, 0.99, 0.01))


@pytest.mark.parametrize(("found", "true"), [("left", "right"), ("right", "left"), ("right", "right")])
def test_a_new_hand_has_the_side_that_fits(found: Handedness, true: Handedness) -> None:
    estimator = HandEstimator(FittedNetwork(true), KnownFinder(found), max_hands=1)
    hands = [hand for index in range(3) for hand in estimator.estimate(frame(index), CAMERA)]
    assert [(hand.handedness, hand.track_id) for hand in hands] == [(true, 0)] * 3


class DeceivedNetwork(KnownNetwork):
    """Fits a left hand best of all to the rough crop of a right one, and badly to the crop around its keypoints."""

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        seen = super().predict(images, views, stamp_ns)
        tight_px = crop_from_keypoints(CAMERA.project(true_keypoints("right")), "right", 1.0).half_size_px
        left = {True: 60.0, False: 400.0}
        misfit = [
            100.0 if view.crop.handedness == "right" else left[view.crop.half_size_px > 1.2 * tight_px]
            for view in views
        ]
        return seen._replace(misfit=np.array(misfit))


def test_a_side_must_fit_in_both_crops_of_a_new_hand() -> None:
    (hand,) = HandEstimator(DeceivedNetwork("right"), RoughFinder(), max_hands=1).estimate(frame(0), CAMERA)
    assert hand.handedness == "right"


def test_views_that_no_hand_fits_do_not_turn_a_hand_into_the_other_one() -> None:
    network = FittedNetwork("right")
    estimator = HandEstimator(network, KnownFinder("right"), max_hands=1)
    estimator.estimate(frame(0), CAMERA)
    estimator.estimate(frame(1), CAMERA)
    network.clear, network.handedness = False, "left"
    sides = [hand.handedness for index in range(2, 22) for hand in estimator.estimate(frame(index), CAMERA)]
    assert sides == ["right"] * 20


class OpinionatedNetwork(KnownNetwork):
    """Says how much what it saw, mirrored or not, looks like a right hand."""

    looks_right = 1.0

    def predict(
        self, images: NDArray[np.uint8], views: Sequence[View], stamp_ns: int, length_m: float | None = None
    ) -> Prediction:
        return super().predict(images, views, stamp_ns)._replace(right=np.full(len(views), self.looks_right))


@pytest.mark.parametrize("handedness", ["right", "left"])
@pytest.mark.parametrize("looks_right", [1.0, 0.0])
def test_what_the_network_says_of_the_side_is_turned_round_for_the_mirrored_view_of_a_left_hand(
    handedness: Handedness, looks_right: float
) -> None:
    network = OpinionatedNetwork(handedness)
    network.looks_right = looks_right
    estimator = HandEstimator(network, KnownFinder(handedness))
    sides = [hand.handedness for index in range(12) for hand in estimator.estimate(frame(index), CAMERA)]
    if looks_right == 1.0:
        assert set(sides) == {handedness}, "it saw a right hand, as it should"
    else:
        assert set(sides) == {"right", "left"}, "it saw a left hand, so the other side is tried"


def test_two_hands_are_looked_for_unless_told_otherwise() -> None:
    assert estimator_of().max_hands == 2
