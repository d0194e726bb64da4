"""Samples that a report shows, kept on the way through a data set."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Hand

__all__ = ["Example", "Examples", "example_of"]


@dataclass(frozen=True)
class Example:
    """One picture with what was predicted and what is true; OpenCV camera frame, metres.

    Attributes:
        image: (height, width, 3) uint8 RGB.
        camera: of the image, lens included.
        faces: (F, 3) of the predicted mesh, outward normals.
        vertices_m: (V, 3) predicted.
        root_m: (3,) predicted.
        true_root_m: (3,), NaN where unknown.
        keypoints_px: (K, 2) that went into the solve.
        weights: (K,).
        true_vertices_m: (V, 3) of the same mesh, or None.
        name: of the sample.
    """

    image: NDArray[np.uint8]
    camera: Camera
    faces: NDArray[np.int32]
    vertices_m: Array
    root_m: Array
    true_root_m: Array
    keypoints_px: Array
    weights: Array
    true_vertices_m: Array | None = None
    name: str = ""


@dataclass
class Examples:
    """Keeps samples spread evenly over a data set.

    Attributes:
        count: how many.
        kept: those found so far.
    """

    count: int = 0
    kept: list[Example] = field(default_factory=list)

    def wants(self, index: int, total: int) -> bool:
        """Whether to keep sample `index` of `total`. A degenerate one is passed over: the next may take its place."""
        due = self.count * (index + 1) / max(1, total)
        return len(self.kept) < self.count and len(self.kept) < np.ceil(due)

    def add(self, example: Example) -> None:
        """Keep it, unless it has no root."""
        if np.isfinite(example.root_m).all():
            self.kept.append(example)


def example_of(image: NDArray[np.uint8], camera: Camera, hand: Hand, true_root_m: Array, name: str) -> Example:
    """From a hand that the estimator found."""
    return Example(
        image, camera, hand.faces, hand.vertices_m, hand.root_m, true_root_m, hand.keypoints_px, hand.weights, name=name
    )
