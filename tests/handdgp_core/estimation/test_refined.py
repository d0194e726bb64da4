from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from handdgp_core.estimation.models import load_predictor
from handdgp_core.estimation.predictor import View
from handdgp_core.estimation.refined_landmarks import RefinedPredictor, teacher_fit, teacher_fitter
from handdgp_core.geometry.hand_crop import HandCrop
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.hands.open_hand.open_hand import HandPose, OpenHand
from handdgp_core.networks.backbones.mediapipe_landmarks import MediaPipeLandmarks
from handdgp_core.networks.checkpoints.refiner_file import save_refiner
from handdgp_core.networks.pose_refiner import PoseRefiner
from tests.handdgp_core.estimation.hands_for_tests import demo_frame

CPU = torch.device("cpu")


def test_with_an_untrained_network_it_is_the_teachers_fit() -> None:
    frame = demo_frame(45)
    assert frame.camera is not None
    crop = HandCrop("right", 1.0, np.array([640.0, 360.0]), 200.0, 0.0)
    view = View(crop, Rectification.fit(frame.camera, crop))
    image = np.asarray(view.rectification.warp(frame.image), np.uint8)[None]
    hand, network = OpenHand.load(), MediaPipeLandmarks.load()
    predictor = RefinedPredictor(network, hand, PoseRefiner(hand.dof_count, hand.shape_count), CPU)
    found = predictor.predict(image, [view], 0)
    landmarks = predictor.landmarks(image)
    _, pose = teacher_fit(landmarks, view.rectification.matrix[None], teacher_fitter(hand))
    fitted = hand.forward(HandPose(pose.rotation, pose.dof_rad, pose.shape, np.exp(pose.log_scale)))
    np.testing.assert_allclose(found.vertices_m, fitted[0], atol=1e-4)
    np.testing.assert_allclose(found.keypoints_m, fitted[1], atol=1e-4)
    np.testing.assert_allclose(found.keypoints_px, landmarks.pixels, atol=1e-4)
    np.testing.assert_array_equal(found.score, landmarks.presence)


def test_it_is_found_by_its_file(tmp_path: Path) -> None:
    hand = OpenHand.load()
    path = tmp_path / "refiner.safetensors"
    save_refiner(PoseRefiner(hand.dof_count, hand.shape_count), path)
    predictor = load_predictor(str(path), "cpu")
    assert isinstance(predictor, RefinedPredictor) and predictor.name == str(path)
    frame = demo_frame(45)
    assert frame.camera is not None
    crop = HandCrop("right", 1.0, np.array([640.0, 360.0]), 200.0, 0.0)
    view = View(crop, predictor.rectify(frame.camera, crop))
    image = np.asarray(view.rectification.warp(frame.image), np.uint8)[None]
    found = predictor.predict(image, [view], 0)
    np.testing.assert_allclose(hand.keypoint_regressor @ found.vertices_m[0], found.keypoints_m[0], atol=1e-9)
    assert {"network", "fit", "refinement"} <= predictor.stage_ms.keys()
