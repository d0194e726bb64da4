"""From crops through the network back to image pixels, and the whole chain on painted and real hands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from handdgp_core.detection.crops import crop_from_keypoints
from handdgp_core.detection.landmark_step import image_batch, look, rectify
from handdgp_core.detection.landmarker import MediaPipeHandFinder
from handdgp_core.detection.tracker import HandTracker, TrackerOptions
from handdgp_core.networks.mediapipe_landmarks import LandmarkOutput, MediaPipeLandmarks
from handdgp_core.types import Array, Camera, HandCrop, Handedness

CAMERA = Camera.assumed(640, 480, 60)
Painter = Callable[..., tuple[np.ndarray, np.ndarray]]
CLIP = Path(__file__).parents[3] / "shared" / "data" / "real_hand_1280x720.mp4"


@pytest.fixture(scope="module")
def network() -> MediaPipeLandmarks:
    return MediaPipeLandmarks.load()


def crop_at(x: float, y: float, handedness: Handedness = "right", track_id: int = 0) -> HandCrop:
    return HandCrop(handedness, 0.9, np.array([x, y]), 60.0, 0.3, track_id)


class CornerNetwork:
    """Says that every keypoint is where it is told, and remembers the batch."""

    def __init__(self, virtual_px: Array) -> None:
        self.virtual_px = virtual_px

    def __call__(self, images: torch.Tensor) -> LandmarkOutput:
        self.images = images
        count = len(images)
        return LandmarkOutput(
            keypoints_px=torch.tensor(self.virtual_px, dtype=torch.float32).expand(count, 21, 2),
            keypoints_z=torch.zeros(count, 21),
            world_m=torch.zeros(count, 21, 3),
            presence=torch.arange(count) / 10,
            right=torch.full((count,), 0.9),
        )


def test_keypoints_come_back_in_image_pixels_for_each_hand_of_the_batch() -> None:
    center = CornerNetwork(np.full(2, 111.5))
    crops = [crop_at(200, 300), crop_at(450, 150, "left", 4)]
    views = look(center, np.zeros((480, 640, 3), np.uint8), CAMERA, crops)
    for view, crop in zip(views, crops, strict=True):
        np.testing.assert_allclose(view.keypoints_px, np.tile(crop.center_px, (21, 1)), atol=1e-6)
        assert view.observation().track_id == crop.track_id
    assert [view.presence for view in views] == pytest.approx([0.0, 0.1])
    # The left hand was mirrored to look like a right one: what looks right is left.
    assert [view.right for view in views] == pytest.approx([0.9, 0.1])


def test_a_left_hand_is_shown_mirrored() -> None:
    toward_right = CornerNetwork(np.array([150.0, 111.5]))
    upright = [HandCrop(side, 1.0, np.array([320.0, 240.0]), 80.0, 0.0) for side in ("right", "left")]
    right, left = look(toward_right, np.zeros((480, 640, 3), np.uint8), CAMERA, upright)
    assert right.keypoints_px[0, 0] > 330
    assert left.keypoints_px[0, 0] < 310


def test_the_batch_is_rgb_between_0_and_1() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    image[..., 0] = 255
    shown = rectify(CAMERA, [crop_at(320, 240)])
    batch = image_batch(image, [way for _, way in shown])
    assert batch.shape == (1, 3, 224, 224)
    torch.testing.assert_close(batch.mean(dim=(0, 2, 3)), torch.tensor([1.0, 0.0, 0.0]))


def test_no_crops_no_network() -> None:
    assert look(CornerNetwork(np.zeros(2)), np.zeros((480, 640, 3), np.uint8), CAMERA, []) == []


def test_a_crop_that_no_camera_can_show_has_no_view() -> None:
    far = HandCrop("right", 1.0, np.array([1e6, 0.0]), 1e9, 0.0, 1)
    views = look(CornerNetwork(np.zeros(2)), np.zeros((480, 640, 3), np.uint8), CAMERA, [far, crop_at(320, 240)])
    assert [view.crop.track_id for view in views] == [0]


@pytest.mark.parametrize("handedness", ["left", "right"])
@pytest.mark.parametrize("roll_rad", [-1.4, 0.0, 0.8])
def test_the_network_sees_a_painted_hand(
    painted_hand: Painter, network: MediaPipeLandmarks, handedness: Handedness, roll_rad: float
) -> None:
    image, truth_px = painted_hand(CAMERA, handedness, (0.02, 0.03, 0.45), roll_rad)
    (view,) = look(network, image, CAMERA, [crop_from_keypoints(truth_px, handedness, 1.0)])
    assert np.linalg.norm(view.keypoints_px - truth_px, axis=1).mean() < 6
    assert view.presence > 0.9
    assert (view.right > 0.5) == (handedness == "right")


def follow(network: MediaPipeLandmarks, finder: MediaPipeHandFinder, frames: list[np.ndarray], camera: Camera) -> list:
    """[(number, handedness, keypoints)] of the hands believed in, frame by frame."""
    tracker = HandTracker(finder, TrackerOptions(max_hands=2))
    seen = []
    for index, image in enumerate(frames):
        views = look(network, image, camera, tracker.crops(image, index * 33_333_333))
        believed = tracker.update(view.observation() for view in views)
        seen.append(
            [
                (view.crop.track_id, view.crop.handedness, view.keypoints_px)
                for view in views
                if view.crop.track_id in believed
            ]
        )
    assert tracker.cost.runs <= len(frames) / 5
    return seen


def test_a_moving_painted_hand_is_followed(painted_hand: Painter, network: MediaPipeLandmarks) -> None:
    painted = [painted_hand(CAMERA, "left", (0.004 * step - 0.06, 0.09, 0.45), 0.03 * step) for step in range(20)]
    with MediaPipeHandFinder() as finder:
        seen = follow(network, finder, [image for image, _ in painted], CAMERA)
    for hands, (_, truth_px) in zip(seen, painted, strict=True):
        ((number, handedness, keypoints_px),) = hands
        assert (number, handedness) == (0, "left")
        assert np.linalg.norm(keypoints_px - truth_px, axis=1).mean() < 8


@pytest.mark.skipif(not CLIP.exists(), reason="the real clip is not here")
def test_a_real_hand_is_followed(network: MediaPipeLandmarks) -> None:
    """Eighty frames around the fist that makes a tight crop collapse."""
    capture = cv2.VideoCapture(str(CLIP))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 240)
    frames = [cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB) for _ in range(80)]
    capture.release()
    with MediaPipeHandFinder() as finder:
        seen = follow(network, finder, frames, Camera.assumed(1280, 720, 60))
    assert [[hand[:2] for hand in hands] for hands in seen] == [[(0, "right")]] * 80
    spread = np.array([np.ptp(hands[0][2], axis=0).max() for hands in seen])
    assert spread.min() > 100  # the fist is 110 px wide and more
