"""A checkpoint inside `HandEstimator`: what the network says reaches the hands, mirrored for a left one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from handdgp_core.arrays import Array, Handedness
from handdgp_core.detection.landmarker import Detection
from handdgp_core.detection.looks import Look
from handdgp_core.engines.pytorch import PyTorchEngine
from handdgp_core.errors import WeightsError
from handdgp_core.estimation.estimator import HandEstimator
from handdgp_core.estimation.models import load_predictor
from handdgp_core.estimation.network_predictor import NetworkPredictor
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.networks import HandDGP, RectificationConfig, RelativeOutput, save_network
from handdgp_core.types import Frame
from tests.meshes import SMALL_NETWORK, small_template

CAMERA = Camera(320, 240, np.array([[300.0, 0, 159.5], [0, 300, 119.5], [0, 0, 1]]), np.zeros(5))


class CalmNetwork(HandDGP):
    """A random network, held close to the template half a metre away, so that every picture gives a hand."""

    def relative(self, image: Tensor, intrinsics: Tensor | None = None) -> RelativeOutput:
        wild = super().relative(image)
        points = torch.from_numpy(self.template.keypoint_regressor @ self.template.vertices).float()
        vertices = torch.from_numpy(self.template.vertices).float() / self.template.hand_scale_m
        spread = 0.5 + 2.5 * points[:, :2] / (0.5 + points[:, 2:])
        return RelativeOutput(
            spread + 0.02 * torch.tanh(wild.keypoints_uv), vertices + 0.1 * torch.tanh(wild.vertices), wild.weights
        )


class OneHand:
    """Finds the same hand in every picture, off the middle and upright; a left one in its mirror image."""

    def __init__(self, handedness: Handedness) -> None:
        self.handedness = handedness

    def find(self, image: NDArray[np.uint8], look: Look | None = None) -> list[Detection]:
        keypoints = np.array([[120.0, 150.0]] * 21)
        for finger in range(5):
            for joint in range(4):
                keypoints[1 + 4 * finger + joint] += [12 * (finger - 2), -22 - 14 * joint]
        if self.handedness == "left":
            keypoints[:, 0] = image.shape[1] - 1 - keypoints[:, 0]
        return [Detection(keypoints, self.handedness, 0.9)]

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def network() -> HandDGP:
    torch.manual_seed(0)
    return CalmNetwork(SMALL_NETWORK, small_template()).eval()


def picture(seed: int = 0) -> NDArray[np.uint8]:
    """A smooth synthetic picture."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (12, 16, 3))
    return np.ascontiguousarray(np.kron(coarse, np.ones((20, 20, 1))).astype(np.uint8))


def predictor_of(network: HandDGP) -> NetworkPredictor:
    return NetworkPredictor(network, PyTorchEngine(network, "cpu"))


def estimator(network: HandDGP, handedness: Handedness = "right") -> HandEstimator:
    return HandEstimator(predictor_of(network), OneHand(handedness))


def test_a_checkpoint_with_random_weights_gives_hands_of_the_right_shapes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_network(HandDGP(SMALL_NETWORK, small_template()), tmp_path / "random.safetensors")
    predictor = load_predictor(str(tmp_path / "random.safetensors"), "cpu")
    assert predictor.name == str(tmp_path / "random.safetensors")
    seen = predictor.predict(np.zeros((2, 64, 64, 3), np.uint8), [None, None], 0)
    shapes = [(2, 21, 2), (2, 21, 3), (2, 162, 3), (2, 21), (2,), (2,), (2,)]
    assert [part.shape for part in seen] == shapes
    assert all(part.dtype == np.float64 and np.isfinite(part).all() for part in seen[:4])
    hands = HandEstimator(predictor, OneHand("right")).estimate(Frame(picture(), 0, 0), CAMERA)
    for hand in hands:  # random keypoints may be too far off for the tracker to follow
        assert hand.vertices_m.shape == (162, 3) and hand.keypoints_m.shape == (21, 3)
        assert (hand.degenerate is None) == bool(np.isfinite(hand.vertices_m).all())


def test_a_hand_goes_from_picture_to_camera_space(network: HandDGP) -> None:
    (hand,) = estimator(network).estimate(Frame(picture(), 0, 0), CAMERA)
    assert hand.degenerate is None and hand.score == 0.9  # the detector's: the network gives none
    assert hand.vertices_m.shape == (162, 3) and hand.keypoints_m.shape == (21, 3)
    assert hand.keypoints_px.shape == (21, 2) and hand.weights.shape == (21,)
    assert np.isfinite(hand.vertices_m).all() and (hand.vertices_m[:, 2] > 0).all()
    assert np.array_equal(hand.faces, network.template.faces)
    regressed = network.template.keypoint_regressor @ hand.vertices_m
    assert np.allclose(regressed, hand.keypoints_m, atol=1e-6)


def test_the_network_sees_what_its_forward_pass_sees(network: HandDGP) -> None:
    """The estimator's own DGP and the network's agree on the root of one crop."""
    predictor = predictor_of(network)
    crops = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)
    matrix = np.array([[120.0, 0, 31.5], [0, 120, 31.5], [0, 0, 1]])
    seen = predictor.predict(crops, [None, None], 0)
    image = torch.from_numpy(crops).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        whole = network(image, torch.from_numpy(matrix).float().expand(2, 3, 3))
    assert not whole.degenerate.any()
    points = (seen.keypoints_m + whole.root_m.numpy()[:, None]) @ matrix.T
    assert np.allclose(whole.keypoints_m.numpy(), seen.keypoints_m + whole.root_m.numpy()[:, None], atol=1e-6)
    assert np.allclose(whole.vertices_m.numpy(), seen.vertices_m + whole.root_m.numpy()[:, None], atol=1e-6)
    assert np.abs(points[..., :2] / points[..., 2:] - seen.keypoints_px).max() < 10
    assert np.isnan(seen.score).all() and np.isnan(seen.right).all()


def test_a_left_hand_is_the_mirror_image_of_a_right_one(network: HandDGP) -> None:
    (right,) = estimator(network, "right").estimate(Frame(picture(), 0, 0), CAMERA)
    mirrored = np.ascontiguousarray(picture()[:, ::-1])
    (left,) = estimator(network, "left").estimate(Frame(mirrored, 0, 0), CAMERA)
    assert (left.handedness, right.handedness) == ("left", "right")

    def flipped(points: Array) -> Array:
        return points * [-1.0, 1.0, 1.0]

    assert np.allclose(left.root_m, flipped(right.root_m), atol=1e-4)
    assert np.allclose(left.vertices_m, flipped(right.vertices_m), atol=1e-4)
    assert np.allclose(left.keypoints_px[:, 0], 319 - right.keypoints_px[:, 0], atol=0.05)
    assert np.array_equal(left.faces, right.faces[:, ::-1])


def test_rectification_follows_the_config(network: HandDGP) -> None:
    crop = OneHand("right").find(picture())[0]
    view = estimator(network)._tracker.crops(picture(), 0)[0]
    assert len(crop.keypoints_px) == 21
    fitted = predictor_of(network).rectify(CAMERA, view)
    expected = Rectification.fit(CAMERA, view, 64, 1.0)
    assert np.allclose(fitted.homography, expected.homography) and fitted.size == 64
    canonical = RectificationConfig(policy="published", focal_px=400.0)
    config = SMALL_NETWORK.model_copy(update={"rectification": canonical, "positioning": "published"})
    published = predictor_of(CalmNetwork(config, small_template()))
    assert published.method == "published"
    matrix = published.rectify(CAMERA, view).matrix
    assert np.allclose(matrix, [[400, 0, 32], [0, 400, 32], [0, 0, 1]])


def test_the_estimator_takes_the_path_of_a_checkpoint(network: HandDGP, tmp_path: Path) -> None:
    path = tmp_path / "ball.safetensors"
    save_network(network, path)
    made = HandEstimator.from_weights(str(path), "cpu")
    assert made.model_name == str(path) and np.array_equal(made.faces, network.template.faces)
    made.close()
    foreign = tmp_path / "foreign.ckpt"
    foreign.write_bytes(b"no checkpoint of this program")
    with pytest.raises(WeightsError, match="import-weights"):
        HandEstimator.from_weights(str(foreign), "cpu")
    with pytest.raises(WeightsError, match="no such file"):
        HandEstimator.from_weights(str(tmp_path / "missing.safetensors"), "cpu")


def test_a_body_is_no_hand() -> None:
    body = small_template(29)
    with pytest.raises(WeightsError, match="29"):
        predictor_of(HandDGP(SMALL_NETWORK, body))


def test_a_hand_that_is_mostly_outside_of_a_fixed_focal_length_says_so(network: HandDGP) -> None:
    (whole,) = estimator(network).estimate(Frame(picture(), 0, 0), CAMERA)
    assert whole.in_view == 1.0
    long = RectificationConfig(policy="published", focal_px=4000.0)
    config = SMALL_NETWORK.model_copy(update={"rectification": long})
    near = estimator(CalmNetwork(config, small_template()))
    near._tracker.update = lambda observations: {seen.track_id for seen in observations}
    (cut,) = near.estimate(Frame(picture(), 0, 0), CAMERA)
    assert cut.in_view < 0.5
