"""How a data set is run through an estimator and scored: which hand is compared with which truth."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from handdgp_core.errors import SourceError
from handdgp_core.estimation.estimator import HandEstimator
from handdgp_core.evaluation.summary import Pairs
from handdgp_core.sources.annotations import load_annotations
from handdgp_core.sources.demo import DemoSource, load_truth
from handdgp_core.sources.image_folder import ImageFolderSource
from handdgp_core.sources.protocol import frames
from handdgp_core.types import Hand

Progress = Callable[[int, int], None]


def evaluate_folder(
    root: Path, estimator: HandEstimator, progress: Progress, cancelled: threading.Event | None = None
) -> Pairs:
    """A folder of pictures with `annotations.npz`: one labelled hand a picture, every picture on its own.

    The most certain hand counts. A hand that is missed counts as missed, never as an error of zero.

    Raises:
        SourceError: no annotations, or none with keypoints.
    """
    truth = load_annotations(root)
    if truth is None or truth.keypoints_m is None:
        raise SourceError(
            "an annotations.npz with image, intrinsics and keypoints_m",
            f"none with keypoints in {root}",
            "check --root",
        )
    rows = {name: index for index, name in enumerate(truth.image)}
    pairs = Pairs()
    with ImageFolderSource(root) as source:
        for frame in frames(source, cancelled):
            row = rows.get(frame.name or "")
            if row is None or frame.camera is None:
                continue
            estimator.reset()
            hand = _most_certain(estimator.estimate(frame, frame.camera))
            side = None if truth.handedness is None or hand is None else hand.handedness == truth.handedness[row]
            pairs.add(truth.keypoints_m[row], None if hand is None else hand.keypoints_m, side)
            progress(frame.index + 1, len(rows))
    return pairs


def evaluate_demo(estimator: HandEstimator, progress: Progress, cancelled: threading.Event | None = None) -> Pairs:
    """The bundled clip against its own truth: only hands that are fully in view, matched by side."""
    truth, pairs = load_truth(), Pairs()
    with DemoSource(loop=False) as source:
        for frame in frames(source, cancelled):
            assert frame.camera is not None  # the demo knows its camera
            hands = estimator.estimate(frame, frame.camera)
            for row in np.flatnonzero((truth.frame_index == frame.index) & truth.fully_visible):
                side = str(truth.handedness[row])
                same = _most_certain([hand for hand in hands if hand.handedness == side])
                pairs.add(truth.keypoints_m[row], None if same is None else same.keypoints_m, same is not None)
            progress(frame.index + 1, source.frame_count or 0)
    return pairs


def _most_certain(hands: list[Hand]) -> Hand | None:
    return max(hands, key=lambda hand: hand.score, default=None)
