"""Labelled data sets through a network that knows the answer, and through the whole program."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

from handdgp_core.augmentation import AppearanceSettings, ViewPairs, render_views
from handdgp_core.augmentation.geometry import draw_geometry
from handdgp_core.datasets.sample import LabelledHand
from handdgp_core.detection.landmarker import Detection
from handdgp_core.detection.looks import Look
from handdgp_core.drawing.examples import Examples
from handdgp_core.estimation.estimator import HandEstimator
from handdgp_core.evaluation.labelled import evaluate_estimator, evaluate_network, view_settings
from handdgp_core.evaluation.summary import summarise
from handdgp_core.geometry.positioning import Method, position
from handdgp_core.hands.measure import hand_length_m, length_of_chain
from handdgp_core.networks import HandDGP, RectificationConfig, RelativeOutput
from tests.meshes import SMALL_NETWORK, small_template

MATRIX = np.array([[300.0, 0, 159.5], [0, 300, 119.5], [0, 0, 1]])


def labelled(number: int, same_mesh: bool = False) -> LabelledHand:
    """A ball off the middle of the picture; every other one is a left hand, one in three has another mesh."""
    template, rng = small_template(), np.random.default_rng(number)
    root = np.array([0.05 * (-1) ** number, 0.03, 0.4 + 0.05 * number])
    mirror = [-1.0, 1.0, 1.0] if number % 2 else [1.0, 1.0, 1.0]
    vertices = (template.vertices + rng.normal(0, 0.002, template.vertices.shape)) * mirror + root
    keypoints = template.keypoint_regressor @ vertices
    image = rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)
    mesh = vertices if same_mesh or number % 3 < 2 else vertices[:50]
    return LabelledHand(image, MATRIX, keypoints, mesh, "left" if number % 2 else "right", f"ball {number}")


class Oracle(HandDGP):
    """Answers with the labels of the views that it is going to be shown, each moved by `error` (hand-scale units)."""

    def __init__(self, hands: Sequence[LabelledHand], batch_size: int, error: float = 0.0) -> None:
        super().__init__(SMALL_NETWORK, small_template())
        count = self.template.vertex_count
        whole = [labelled(int(hand.name.split()[1]), same_mesh=True) for hand in hands]
        views = ViewPairs(
            whole, count, view_settings(self), AppearanceSettings.none(), view_count=1,
            hand_scale_m=self.template.hand_scale_m,
        )  # fmt: skip
        self._answers = []
        for first in range(0, len(whole), batch_size):
            batch = default_collate([views[index] for index in range(first, min(first + batch_size, len(whole)))])
            view = render_views(batch, SMALL_NETWORK.image_size)["view1"]
            weights = torch.ones(view["keypoints_uv"].shape[:2])
            self._answers.append(RelativeOutput(view["keypoints_uv"], view["vertices"] * (1 + error), weights))

    def relative(self, image: Tensor, intrinsics: Tensor | None = None) -> RelativeOutput:
        return self._answers.pop(0)


def test_a_network_that_is_right_has_no_error_in_the_cameras_own_frame() -> None:
    hands = [labelled(number) for number in range(5)]
    steps: list[int] = []
    examples = Examples(2)
    found = evaluate_network(Oracle(hands, 2), hands, lambda done, _: steps.append(done), None, examples, 2)
    assert set(found) == {"published", "refined"} and steps == [2, 4, 5]
    for pairs in found.values():
        figures = summarise(pairs, excluded=())
        assert figures["hands"] == figures["found"] == 5
        assert figures["camera_space_mm"]["mean"] < 0.05 and figures["root_mm"]["mean"] < 0.05
        assert figures["vertices_camera_space_mm"]["count"] == 4  # the mesh of another topology is left out
        assert figures["vertices_camera_space_mm"]["mean"] < 0.05
        assert figures["f_score"]["raw"]["5 mm"] == pytest.approx(1.0)
    assert len(examples.kept) == 2
    for example, number in zip(examples.kept, (0, 2), strict=True):
        assert example.name == f"ball {number}"
        seen = example.vertices_m @ MATRIX.T
        centre = (seen[:, :2] / seen[:, 2:]).mean(axis=0)
        assert np.abs(example.keypoints_px.mean(axis=0) - centre).max() < 12


def test_a_hand_seen_too_large_is_placed_too_far_by_as_much() -> None:
    hands = [labelled(number) for number in range(2)]
    pairs = evaluate_network(Oracle(hands, 2, error=0.1), hands, lambda *_: None, batch_size=2)["refined"]
    depths = np.array([hand.keypoints_m[:, 2].mean() for hand in hands])
    bias = summarise(pairs, excluded=())["depth_bias_mm"]["mean"]
    assert bias == pytest.approx(100 * depths.mean(), rel=0.02)


@pytest.mark.parametrize("method", ["published", "refined"])
def test_a_solve_can_be_asked_for_whatever_the_config_says(method: Method) -> None:
    torch.manual_seed(0)
    template = small_template()
    vertices = torch.tensor(template.vertices, dtype=torch.float32).repeat(3, 1, 1)
    points = torch.tensor(template.keypoint_regressor, dtype=torch.float32) @ vertices * template.hand_scale_m
    plane = points[..., :2] / (points[..., 2:] + 0.5)
    size = SMALL_NETWORK.image_size
    uv = 0.5 + 200 * (plane + 0.01 * torch.randn(plane.shape)) / size
    relative = RelativeOutput(uv, vertices, torch.rand(3, 21))
    intrinsics = torch.tensor([[200.0, 0, size / 2], [0, 200, size / 2], [0, 0, 1]]).repeat(3, 1, 1)
    network = HandDGP(SMALL_NETWORK, template)
    placed = network.position(relative, intrinsics, method).root_m
    normalised = (uv * size - 0.5 - size / 2) / 200
    wanted = position(points, normalised, relative.weights, method).root_m
    np.testing.assert_allclose(placed, wanted, atol=1e-4)
    assert torch.equal(network.position(relative, intrinsics).root_m, placed) == (method == network.config.positioning)


def test_cancelling_keeps_what_is_done() -> None:
    hands = [labelled(number) for number in range(4)]
    cancelled = threading.Event()
    found = evaluate_network(Oracle(hands, 2), hands, lambda *_: cancelled.set(), cancelled, batch_size=2)
    assert len(found["refined"].true_m) == 2


class NoHands:
    """Finds nothing, ever."""

    def find(self, image: NDArray[np.uint8], look: Look | None = None) -> list[Detection]:
        return []

    def close(self) -> None:
        pass


def test_hands_that_the_program_does_not_find_count_as_missed() -> None:
    hands = [labelled(number) for number in range(3)]
    estimator = HandEstimator.from_weights("landmarks", "cpu")
    estimator = HandEstimator(estimator._predictor, NoHands())
    pairs = evaluate_estimator(estimator, hands, lambda *_: None)
    figures = summarise(pairs)
    assert (figures["hands"], figures["found"], figures["camera_space_mm"]["count"]) == (3, 0, 0)


@pytest.mark.parametrize("method", ["published", "refined"])
def test_figures_show_the_solve_that_the_network_is_meant_for(method: Method) -> None:
    hands = [labelled(number) for number in range(2)]
    oracle, examples = Oracle(hands, 2), Examples(2)
    noise = torch.Generator().manual_seed(0)
    (answer,) = oracle._answers
    uv = answer.keypoints_uv + 0.02 * torch.randn(answer.keypoints_uv.shape, generator=noise)
    oracle._answers = [answer._replace(keypoints_uv=uv)]
    oracle.config = SMALL_NETWORK.model_copy(update={"positioning": method})
    found = evaluate_network(oracle, hands, lambda *_: None, None, examples, 2)
    centres = {name: np.array([joints.mean(axis=0) for joints in pairs.predicted_m]) for name, pairs in found.items()}
    assert np.abs(centres["published"] - centres["refined"]).max() > 1e-3
    drawn = np.array([oracle.template.keypoint_regressor @ e.vertices_m for e in examples.kept]).mean(axis=1)
    np.testing.assert_allclose(drawn, centres[method], atol=1e-6)


def test_a_given_length_takes_the_place_of_the_predicted_one() -> None:
    hands = [labelled(0)]
    length_m = length_of_chain(float(hand_length_m(hands[0].keypoints_m)))
    oracle = Oracle(hands, 1, error=0.1)
    pairs = evaluate_network(oracle, hands, lambda *_: None, batch_size=1, hand_length_m=length_m)["refined"]
    assert summarise(pairs, excluded=())["camera_space_mm"]["mean"] < 0.1


def test_mobrecons_protocol_shows_130_pixels_about_the_middle() -> None:
    hand = replace(labelled(0), image=np.zeros((224, 224, 3), np.uint8))
    matrix = np.array([[480.0, 0, 112], [0, 480, 112], [0, 0, 1]])
    hand = replace(hand, matrix=matrix, handedness="right")
    config = SMALL_NETWORK.model_copy(update={"rectification": RectificationConfig(policy="published")})
    network = HandDGP(config, small_template())
    middle = 111.5 + 65.0 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    for protocol, is_middle in (("mobrecon", True), ("keypoints", False)):
        geometry = draw_geometry(hand, view_settings(network, protocol), np.random.default_rng(0), 1)
        assert np.allclose(geometry.square_px, middle) == is_middle
    # The other policy looks at the same 130 px through its virtual camera.
    settings = view_settings(HandDGP(SMALL_NETWORK, small_template()), "mobrecon")
    fitted = draw_geometry(hand, settings, np.random.default_rng(0), 1)
    edge = fitted.view_from_image(0) @ np.array([111.5, 111.5 + 65, 1])
    assert edge[1] / edge[2] == pytest.approx(SMALL_NETWORK.image_size - 0.5, abs=0.6)
