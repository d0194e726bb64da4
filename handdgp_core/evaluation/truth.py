"""What is known to be true of the hands in a frame, for sources that know it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from handdgp_core.evaluation.matching import Label
from handdgp_core.sources.annotations import Annotations
from handdgp_core.sources.demo import DemoSource, DemoTruth
from handdgp_core.sources.image_folder import ImageFolderSource
from handdgp_core.sources.protocol import Source
from handdgp_core.types import Frame

__all__ = ["demo_labels", "folder_labels", "truth_labels"]


def truth_labels(source: Source) -> Callable[[Frame], list[Label]]:
    """The labels of a frame of this source: of the demo, and of a folder with `annotations.npz`; else none."""
    if isinstance(source, DemoSource):
        truth = source.truth
        return lambda frame: demo_labels(truth, frame.index)
    if isinstance(source, ImageFolderSource) and source.annotations is not None:
        labels = folder_labels(source.annotations)
        return lambda frame: labels.get(frame.name or "", [])
    return lambda frame: []


def demo_labels(truth: DemoTruth, frame_index: int) -> list[Label]:
    """Every hand of a frame of the demo, also where it is not fully in view."""
    return [
        Label(truth.keypoints_m[row], truth.handedness[row], f"frame {frame_index}")
        for row in truth.rows_of(frame_index)
    ]


def folder_labels(truth: Annotations) -> dict[str, list[Label]]:
    """The hands of every image by its name, those with at least one known keypoint."""
    labels: dict[str, list[Label]] = {}
    for name, rows in truth.rows.items() if truth.keypoints_m is not None else ():
        assert truth.keypoints_m is not None
        sides = [None if truth.handedness is None else truth.handedness[row] for row in rows]
        labels[name] = [
            Label(truth.keypoints_m[row], side, name)
            for row, side in zip(rows, sides, strict=True)
            if np.isfinite(truth.keypoints_m[row]).all(axis=1).any()
        ]
    return labels
