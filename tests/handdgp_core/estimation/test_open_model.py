"""The default model as it is shipped."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from handdgp_core.engines.pytorch import PyTorchEngine
from handdgp_core.errors import UsageError
from handdgp_core.estimation.estimator import HandEstimator
from handdgp_core.estimation.guided_predictor import GuidedPredictor
from handdgp_core.estimation.hand_length import ADULT_CHAIN_M, ADULT_LENGTH_STD
from handdgp_core.estimation.models import OPEN_WEIGHTS, limit_threads, load_predictor
from handdgp_core.estimation.network_predictor import NetworkPredictor
from handdgp_core.estimation.predictor import View
from handdgp_core.evaluation.protocols import evaluate_demo
from handdgp_core.evaluation.summary import summarise
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.hands.measure import hand_length_m
from handdgp_core.networks import load_network
from handdgp_core.networks.checkpoints.weights import read_metadata
from handdgp_core.networks.guided_handdgp import GuidedHandDGP
from handdgp_core.types import Frame
from tests.handdgp_core.estimation.hands_for_tests import demo_frame


def test_the_shipped_weights_are_a_handdgp_network_and_say_where_they_come_from() -> None:
    assert OPEN_WEIGHTS.stat().st_size < 20e6
    network = load_network(OPEN_WEIGHTS)
    assert isinstance(network, GuidedHandDGP) and network.template.name == "open"
    assert 778 <= network.template.vertex_count <= 1609
    assert network.config.positioning == "refined" and network.config.rectification.policy == "fit"
    assert read_metadata(OPEN_WEIGHTS)["stage"] == "all"


def test_names_and_paths_lead_to_the_model() -> None:
    assert load_predictor("open", "cpu").name == "open"
    by_path = load_predictor(str(OPEN_WEIGHTS), "cpu")
    assert isinstance(by_path, NetworkPredictor) and by_path.name == str(OPEN_WEIGHTS)
    with pytest.raises(UsageError, match="open, landmarks"):
        load_predictor("opne", "cpu")
    estimator = HandEstimator.from_weights()
    assert estimator.model_name == "open"
    estimator.close()


def test_keypoints_belong_to_the_mesh_and_pictures_with_a_hand_get_a_high_score() -> None:
    predictor = load_predictor("open", "cpu")
    frame = demo_frame(45)
    assert frame.camera is not None
    crop = HandCrop("right", 1.0, np.array([640.0, 360.0]), 200.0, 0.0)
    view = View(crop, predictor.rectify(frame.camera, crop))
    found = predictor.predict(np.asarray(view.rectification.warp(frame.image), np.uint8)[None], [view], 0)
    regressor = load_network(OPEN_WEIGHTS).template.keypoint_regressor
    np.testing.assert_allclose(regressor @ found.vertices_m[0], found.keypoints_m[0], atol=1e-5)
    assert ((found.weights > 0) & (found.weights < 1)).all()
    assert found.score[0] > 0.9


def test_pictures_without_a_hand_get_a_low_score() -> None:
    predictor, rng = load_predictor("open", "cpu"), np.random.default_rng(0)
    camera = Camera.assumed(224, 224)
    crop = HandCrop("right", 1.0, np.array([111.5, 111.5]), 100.0, 0.0)
    view = View(crop, predictor.rectify(camera, crop))
    for level in (0, 90, 255):
        flat = np.full((1, 224, 224, 3), level, np.uint8)
        noisy = np.clip(flat + rng.normal(0, 25, flat.shape), 0, 255).astype(np.uint8)
        for image in (flat, noisy):
            assert predictor.predict(image, [view], 0).score[0] < 0.1


@pytest.mark.parametrize("model", ["open", "landmarks"])
def test_hands_are_as_long_as_they_are_said_to_be(model: str) -> None:
    """Held exactly where the length is given; an adult's within a few percent where it is not, whatever the pose."""
    predictor = load_predictor(model, "cpu")
    crop = HandCrop("right", 1.0, np.array([640.0, 360.0]), 200.0, 0.0)
    for number in (45, 75, 105):
        frame = demo_frame(number)
        assert frame.camera is not None
        view = View(crop, predictor.rectify(frame.camera, crop))
        image = np.asarray(view.rectification.warp(frame.image), np.uint8)[None]
        (length,) = hand_length_m(predictor.predict(image, [view], number).keypoints_m)
        assert length == pytest.approx(ADULT_CHAIN_M, rel=ADULT_LENGTH_STD)
        (length,) = hand_length_m(predictor.predict(image, [view], number, 0.160).keypoints_m)
        assert length == pytest.approx(0.160, rel=0.005)


def test_a_network_with_another_mesh_than_the_open_hands_is_not_fitted() -> None:
    network = load_network(OPEN_WEIGHTS)
    assert isinstance(network, GuidedHandDGP)
    other_hand = SimpleNamespace(vertices=np.zeros((778, 3)))
    predictor = GuidedPredictor(network, PyTorchEngine(network, "cpu"), other_hand)
    crop = HandCrop("right", 1.0, np.array([640.0, 360.0]), 200.0, 0.0)
    frame = demo_frame(45)
    assert frame.camera is not None
    view = View(crop, predictor.rectify(frame.camera, crop))
    image = np.asarray(view.rectification.warp(frame.image), np.uint8)[None]
    raw, _ = predictor.read(image, [view])
    for one, other_part in zip(predictor.predict(image, [view], 0), raw, strict=True):
        np.testing.assert_array_equal(one, other_part)


@pytest.mark.slow
def test_it_beats_the_landmarks_on_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every 6th frame of the bundled clip, each by itself."""
    results = {}
    for name in ("open", "landmarks"):
        estimator = HandEstimator.from_weights(name, "cpu")
        whole = estimator.estimate

        def sparse(frame: Frame, camera: Camera, whole=whole, estimator=estimator) -> list:
            if frame.index % 6:
                return []
            estimator.reset()
            return whole(frame, camera)

        monkeypatch.setattr(estimator, "estimate", sparse)
        pairs = evaluate_demo(estimator, lambda done, total: None).pairs()
        results[name] = summarise(pairs, ())["camera_space_mm"]["mean"]
        estimator.close()
    assert results["open"] < results["landmarks"]


@pytest.mark.parametrize("model", ["open", "landmarks", str(OPEN_WEIGHTS), "none.safetensors"])
def test_programs_give_small_models_one_thread_and_loading_gives_none(model: str) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        if model != "none.safetensors":
            load_predictor(model, "cpu")
        assert torch.get_num_threads() == 3
        limit_threads(model)
        assert torch.get_num_threads() == (3 if model == "none.safetensors" else 1)
    finally:
        torch.set_num_threads(before)


def test_two_independent_measurements_are_joined_by_their_variances() -> None:
    from handdgp_core.estimation.guided_predictor import _joint_std, _share

    draws = np.random.default_rng(0).normal(0, [2.0, 3.0], (200_000, 2))
    share = _share(of_std=3.0, beside_std=2.0)
    joined = draws[:, 0] + share * (draws[:, 1] - draws[:, 0])
    assert joined.std() == pytest.approx(_joint_std(2.0, 3.0), rel=0.01)
    assert all((draws[:, 0] + other * (draws[:, 1] - draws[:, 0])).std() > joined.std() for other in (0.1, 0.6))
