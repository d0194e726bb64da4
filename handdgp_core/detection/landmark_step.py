"""One step of the landmark network on a frame: crops -> rectified batch -> network -> image pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from handdgp_core.detection.track import Observation
from handdgp_core.errors import UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.geometry.rectification import Rectification
from handdgp_core.networks.mediapipe_landmarks import INPUT_SIZE, LandmarkOutput
from handdgp_core.types import Array, HandCrop

__all__ = ["LandmarkView", "image_batch", "look", "rectify"]

LandmarkNetwork = Callable[[torch.Tensor], LandmarkOutput]


@dataclass(frozen=True)
class LandmarkView:
    """What the landmark network saw of one hand.

    Attributes:
        crop: where it looked.
        rectification: how it looked; its virtual camera is mirrored for a left hand.
        keypoints_px: (21, 2) pixels of the frame's image, lens included. NaN where the camera cannot see.
        virtual_px: (21, 2) pixels of the virtual image.
        virtual_z: (21,) depth relative to the wrist, in virtual pixels (weak perspective).
        world_m: (21, 3) metres in the virtual camera's axes, origin near the hand's centre.
        presence: 0 to 1.
        right: 0 to 1, the true hand (mirroring undone).
    """

    crop: HandCrop
    rectification: Rectification
    keypoints_px: Array
    virtual_px: Array
    virtual_z: Array
    world_m: Array
    presence: float
    right: float

    def observation(self) -> Observation:
        """What the tracker wants to know."""
        return Observation(self.crop.track_id, self.keypoints_px, self.presence, self.right)


def look(
    network: LandmarkNetwork, image: NDArray[np.uint8], camera: Camera, crops: Sequence[HandCrop]
) -> list[LandmarkView]:
    """Run the landmark network on all crops of a frame in one batch.

    A crop that lies outside what the lens can show has no view.

    Args:
        network: `MediaPipeLandmarks`, or anything else that maps (B, 3, 224, 224) RGB in [0, 1] to its output.
        image: (height, width, 3) uint8 RGB.
        camera: of this image.
        crops: where the hands are.
    """
    shown = rectify(camera, crops)
    if not shown:
        return []
    with torch.inference_mode():
        output = network(image_batch(image, [rectification for _, rectification in shown]))
    fields = [field.double().cpu().numpy() for field in output]
    return [_view(crop, way, *(field[row] for field in fields)) for row, (crop, way) in enumerate(shown)]


def rectify(camera: Camera, crops: Sequence[HandCrop]) -> list[tuple[HandCrop, Rectification]]:
    """The virtual camera of every crop that the lens can show."""
    shown = []
    for crop in crops:
        try:
            shown.append((crop, Rectification.fit(camera, crop, INPUT_SIZE)))
        except UsageError:  # a hand that left the field of view on the way; the tracker misses its view and searches
            continue
    return shown


def image_batch(image: NDArray[np.uint8], rectifications: Sequence[Rectification]) -> torch.Tensor:
    """(B, 3, S, S) float32 RGB in [0, 1], channels last in memory: the image as each virtual camera sees it."""
    stacked = np.stack([rectification.warp(image) for rectification in rectifications])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).to(torch.float32).div_(255)


def _view(
    crop: HandCrop,
    rectification: Rectification,
    virtual_px: Array,
    virtual_z: Array,
    world_m: Array,
    presence: Array,
    right: Array,
) -> LandmarkView:
    return LandmarkView(
        crop=crop,
        rectification=rectification,
        keypoints_px=rectification.image_from_crop(virtual_px),
        virtual_px=virtual_px,
        virtual_z=virtual_z,
        world_m=world_m,
        presence=float(presence),
        right=float(1 - right if rectification.mirrors else right),
    )
