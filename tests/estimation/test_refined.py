from __future__ import annotations

import numpy as np
import pytest
import torch

from handdgp_core.errors import UsageError
from handdgp_core.estimation.estimator import HandEstimator
from handdgp_core.estimation.landmarks import LandmarksPredictor
from handdgp_core.estimation.models import load_predictor
from handdgp_core.estimation.predictor import View
from handdgp_core.estimation.refined import RefinedPredictor
from handdgp_core.evaluation.protocols import evaluate_demo
from handdgp_core.evaluation.summary import summarise
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.open_hand import OpenHand
from handdgp_core.networks.mediapipe_landmarks import MediaPipeLandmarks
from handdgp_core.networks.pose_refiner import PoseRefiner
from handdgp_core.networks.refiner_file import OPEN_WEIGHTS
from handdgp_core.sources.demo import DemoSource
from handdgp_core.types import Frame, HandCrop

CPU = torch.device("cpu")


def demo_frame(number: int) -> Frame:
    with DemoSource() as source:
        for _ in range(number):
            source.read()
        frame = source.read()
    assert isinstance(frame, Frame)
    return frame


def test_with_an_untrained_network_it_is_the_landmarks_model() -> None:
    frame = demo_frame(45)
    assert frame.camera is not None
    crop = HandCrop("right", 1.0, np.array([640.0, 360.0]), 200.0, 0.0)
    view = View(crop, Rectification.fit(frame.camera, crop))
    image = np.asarray(view.rectification.warp(frame.image), np.uint8)[None]
    hand, network = OpenHand.load(), MediaPipeLandmarks.load()
    untrained = PoseRefiner(hand.dof_count, hand.shape_count)
    plain = LandmarksPredictor(network, hand, CPU).predict(image, [view], 0)
    refined = RefinedPredictor(network, hand, untrained, CPU).predict(image, [view], 0)
    for name in ("keypoints_px", "keypoints_m", "vertices_m", "score", "right"):
        np.testing.assert_allclose(getattr(refined, name), getattr(plain, name), atol=1e-4)


def test_keypoints_belong_to_the_mesh() -> None:
    hand = OpenHand.load()
    predictor = RefinedPredictor.load_open(CPU)
    frame = demo_frame(45)
    assert frame.camera is not None
    crop = HandCrop("right", 1.0, np.array([640.0, 360.0]), 200.0, 0.0)
    view = View(crop, predictor.rectify(frame.camera, crop))
    image = np.asarray(view.rectification.warp(frame.image), np.uint8)[None]
    found = predictor.predict(image, [view], 0)
    np.testing.assert_allclose(hand.keypoint_regressor @ found.vertices_m[0], found.keypoints_m[0], atol=1e-9)
    assert ((found.weights > 0) & (found.weights < 1)).all()
    assert {"network", "fit", "refinement"} <= predictor.stage_ms.keys()


def test_pictures_without_a_hand_get_a_low_score() -> None:
    predictor, rng = RefinedPredictor.load_open(CPU), np.random.default_rng(0)
    camera = Camera.assumed(224, 224)
    crop = HandCrop("right", 1.0, np.array([111.5, 111.5]), 100.0, 0.0)
    view = View(crop, predictor.rectify(camera, crop))
    for level in (0, 90, 255):
        flat = np.full((1, 224, 224, 3), level, np.uint8)
        noisy = np.clip(flat + rng.normal(0, 25, flat.shape), 0, 255).astype(np.uint8)
        for image in (flat, noisy):
            assert predictor.predict(image, [view], 0).score[0] < 0.1


def test_names_and_paths_lead_to_the_model() -> None:
    assert load_predictor("open", "cpu").name == "open"
    by_path = load_predictor(str(OPEN_WEIGHTS), "cpu")
    assert isinstance(by_path, RefinedPredictor) and by_path.name == str(OPEN_WEIGHTS)
    with pytest.raises(UsageError, match="open, landmarks"):
        load_predictor("opne", "cpu")
    estimator = HandEstimator.from_weights()
    assert estimator.model_name == "open"
    estimator.close()


@pytest.mark.slow
def test_it_beats_the_landmarks_on_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every 6th frame of the bundled clip, each by itself."""
    results = {}
    for name in ("open", "landmarks"):
        estimator = HandEstimator.from_weights(name, "cpu")
        whole = estimator.estimate

        def sparse(frame: Frame, camera: Camera, whole=whole, estimator=estimator) -> list:  # type: ignore[no-untyped-def, type-arg]
            if frame.index % 6:
                return []
            estimator.reset()
            return whole(frame, camera)

        monkeypatch.setattr(estimator, "estimate", sparse)
        pairs = evaluate_demo(estimator, lambda done, total: None)
        results[name] = summarise(pairs, ())["camera_space_mm"]["mean"]
        estimator.close()
    assert results["open"] < results["landmarks"]
