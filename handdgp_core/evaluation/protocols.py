"""How a data set is run through an estimator and scored: which hand is compared with which truth."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from handdgp_core.drawing.examples import Examples, example_of
from handdgp_core.errors import SourceError
from handdgp_core.evaluation.summary import Pairs
from handdgp_core.pipeline import estimated_frames
from handdgp_core.sources.annotations import Annotations, load_annotations
from handdgp_core.sources.demo import DemoSource
from handdgp_core.sources.image_folder import ImageFolderSource
from handdgp_core.types import Frame, Hand

if TYPE_CHECKING:
    from handdgp_core.estimation.estimator import HandEstimator

Progress = Callable[[int, int], None]


def evaluate_folder(
    root: Path,
    estimator: HandEstimator,
    progress: Progress,
    cancelled: threading.Event | None = None,
    examples: Examples | None = None,
) -> Pairs:
    """A folder of pictures with `annotations.npz`, every picture on its own.

    Where a picture has one labelled hand, the most certain hand found is compared with it. A hand
    that is missed counts as missed, never as an error of zero.

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
    pairs = Pairs()

    def labelled(frame: Frame) -> bool:
        return frame.camera is not None and bool(truth.rows.get(frame.name or ""))

    with ImageFolderSource(root) as source:
        count = source.frame_count or 0
        for result in estimated_frames(source, estimator, wanted=labelled, stop=cancelled):
            frame, rows = result.frame, truth.rows[result.frame.name or ""]
            for row in rows:
                hand = _add(pairs, truth, row, result.hands, alone=len(rows) == 1)
                if hand is not None and examples is not None and examples.wants(frame.index, count):
                    true_root, matrix = truth.keypoints_m[row, 0], result.camera.matrix
                    examples.add(example_of(frame.image, matrix, hand, true_root, frame.name or ""))
            progress(frame.index + 1, count)
    return pairs


def _add(pairs: Pairs, truth: Annotations, row: int, hands: list[Hand], alone: bool) -> Hand | None:
    """Of several labelled hands in one picture, each is compared with the most certain hand of its own side."""
    assert truth.keypoints_m is not None
    side = None if truth.handedness is None else truth.handedness[row]
    hand = _most_certain(hands if alone or side is None else [hand for hand in hands if hand.handedness == side])
    right_side = None if side is None or hand is None else hand.handedness == side
    pairs.add(truth.keypoints_m[row], None if hand is None else hand.keypoints_m, right_side)
    return hand


def evaluate_demo(
    estimator: HandEstimator,
    progress: Progress,
    cancelled: threading.Event | None = None,
    examples: Examples | None = None,
) -> Pairs:
    """The bundled clip against its own truth: only hands that are fully in view, matched by side."""
    pairs = Pairs()
    with DemoSource() as source:
        truth = source.truth
        for result in estimated_frames(source, estimator, stop=cancelled):  # the demo knows its camera
            frame, hands = result.frame, result.hands
            for row in truth.rows_of(frame.index):
                if truth.fully_visible is not None and not truth.fully_visible[row]:
                    continue
                side = truth.handedness[row]
                same = _most_certain([hand for hand in hands if hand.handedness == side])
                pairs.add(truth.keypoints_m[row], None if same is None else same.keypoints_m, same is not None)
                if same is not None and examples is not None and examples.wants(frame.index, source.frame_count or 0):
                    true_root, name = truth.keypoints_m[row, 0], f"frame {frame.index}"
                    examples.add(example_of(frame.image, result.camera.matrix, same, true_root, name))
            progress(frame.index + 1, source.frame_count or 0)
    return pairs


def _most_certain(hands: list[Hand]) -> Hand | None:
    return max(hands, key=lambda hand: hand.score, default=None)
