"""What every data set gives: one labelled hand (or body) in one picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array, Handedness

__all__ = ["LabelledHand", "LabelledHands", "MeshFromParameters", "unknown_keypoints"]

# Vertices (V, 3) in metres from axis-angle pose (3 J,), shape (10,) and translation (3,), in the parameters' own frame.
# Data sets that hold parameters only need one; MANO's and SMPL's come from the user's licensed files.
MeshFromParameters = Callable[[Array, Array, Array], Array]


@dataclass(frozen=True)
class LabelledHand:
    """One labelled hand, before any crop or augmentation. A body travels the same way, with more keypoints.

    Attributes:
        image: (height, width, 3) uint8 RGB, never mirrored.
        matrix: (3, 3) camera matrix, pixels of `image`. No lens distortion.
        keypoints_m: (K, 3) camera frame, metres. The first is the root. NaN rows where unknown.
        vertices_m: (V, 3) camera frame, metres, or None where the data set has no mesh of this hand.
        handedness: the person's true hand. Bodies are "right": they are never mirrored.
        name: where the sample came from, for messages.
        box_px: (4,) left, top, right, bottom of the hand in the image, where the data set has it.
        occlusion: (K,) uint8, what hides each keypoint: 0 nothing, 1 the hand itself or another one, 2 a thing, 3 the
            picture's edge. None where unknown.
        mask_file: an image of the same size that is white on the hand, where the data set has one.
        skin_tone: step of the Monk Skin Tone scale, 1 to 10; 0 where unknown.
    """

    image: NDArray[np.uint8]
    matrix: Array
    keypoints_m: Array
    vertices_m: Array | None = None
    handedness: Handedness = "right"
    name: str = ""
    box_px: Array | None = None
    occlusion: NDArray[np.uint8] | None = None
    skin_tone: int = 0
    mask_file: Path | None = None


class LabelledHands(Protocol):
    """A data set: labelled hands by number, in an order that never changes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> LabelledHand: ...


def unknown_keypoints(count: int = 21) -> Array:
    """(count, 3) NaN: no keypoint is known."""
    return np.full((count, 3), np.nan)
