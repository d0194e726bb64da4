"""How a data set is run through an estimator and scored: which hand is compared with which truth."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from handdgp_core.drawing.examples import Examples, example_of
from handdgp_core.errors import SourceError
from handdgp_core.evaluation.matching import Match, Matches, match_hands
from handdgp_core.evaluation.truth import demo_labels, folder_labels
from handdgp_core.pipeline import EstimatedFrame, estimated_frames
from handdgp_core.sources.annotations import load_annotations
from handdgp_core.sources.demo import DemoSource
from handdgp_core.sources.image_folder import ImageFolderSource
from handdgp_core.types import Frame

if TYPE_CHECKING:
    from handdgp_core.estimation.estimator import HandEstimator

Progress = Callable[[int, int], None]


def evaluate_folder(
    root: Path,
    estimator: HandEstimator,
    progress: Progress,
    cancelled: threading.Event | None = None,
    examples: Examples | None = None,
) -> Matches:
    """A folder of images with `annotations.npz`, every image on its own, hands matched by place and side.

    A hand that is missed counts as missed, never as an error of zero.

    Raises:
        SourceError: no annotations, or none with keypoints.
    """
    truth = load_annotations(root)
    if truth is None or truth.keypoints_m is None:
        raise SourceError(
            f"Could not evaluate on {root}: its annotations.npz has no keypoints_m.",
            hint="Check --root: evaluation needs known hands.",
        )
    labels = folder_labels(truth)

    def labelled(frame: Frame) -> bool:
        return frame.camera is not None and bool(labels.get(frame.name or ""))

    found = Matches()
    with ImageFolderSource(root) as source:
        count = source.frame_count or 0
        for result in estimated_frames(source, estimator, select=labelled, stop=cancelled):
            matched = match_hands(labels[result.frame.name or ""], result.hands, result.camera)
            _record(found, matched, result, count, examples)
            progress(result.frame.index + 1, count)
    return found


def evaluate_demo(
    estimator: HandEstimator,
    progress: Progress,
    cancelled: threading.Event | None = None,
    examples: Examples | None = None,
) -> Matches:
    """The bundled clip against its own truth: only hands that are fully in view count, matched by place and side."""
    found = Matches()
    with DemoSource() as source:
        truth, count = source.truth, source.frame_count or 0
        for result in estimated_frames(source, estimator, stop=cancelled):  # the demo knows its camera
            index = result.frame.index
            rows = truth.rows_of(index)
            matched = match_hands(demo_labels(truth, index), result.hands, result.camera)
            counts = [truth.fully_visible is None or bool(truth.fully_visible[row]) for row in rows]
            _record(found, matched, result, count, examples, counts)
            progress(index + 1, count)
    return found


def _record(
    found: Matches,
    matched: list[Match],
    result: EstimatedFrame,
    frame_count: int,
    examples: Examples | None,
    counts: list[bool] | None = None,
) -> None:
    """Add the matches of a frame, of those labels that count."""
    frame = result.frame
    found.extra += len(result.hands) - sum(match.hand is not None for match in matched)
    for match, kept in zip(matched, counts or [True] * len(matched), strict=True):
        if not kept:
            continue
        found.hands.append(match)
        if match.hand is not None and examples is not None and examples.wants(frame.index, frame_count):
            root_m = match.label.keypoints_m[0]
            examples.add(example_of(frame.image, result.camera, match.hand, root_m, match.label.name))
