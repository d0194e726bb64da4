"""Samples for figures: frames of a source, every hand by every method, matched by place and side.

A method is a model that is run here, or a file of results that another program wrote.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.drawing.comparison import MethodHand, Sample
from handdgp_core.estimation.estimator import HandEstimator
from handdgp_core.evaluation.matching import Label, match_hands
from handdgp_core.evaluation.truth import truth_labels
from handdgp_core.geometry.camera import Camera
from handdgp_core.pipeline import camera_frames
from handdgp_core.sources.cameras import CameraChooser, CameraFrame
from handdgp_core.sources.protocol import Source
from handdgp_core.types import Frame, Hand

__all__ = ["FigureSample", "Method", "RunModel", "figure_samples", "spread_indices"]


class Method(Protocol):
    """Whose hands are drawn.

    Attributes:
        name: as shown.
        has_weights: whether its keypoints have weights.
    """

    name: str
    has_weights: bool

    def hands(self, frame: CameraFrame) -> list[Hand]:
        """The hands of a frame, which has nothing to do with the frame before."""

    def crop(self, frame: CameraFrame, hand: Hand) -> NDArray[np.uint8] | None:
        """(h, w, 3) uint8 RGB that its network was shown of this hand; None where that is not known."""


class RunModel:
    """A model of this program as a `Method`."""

    has_weights = True

    def __init__(self, name: str, estimator: HandEstimator) -> None:
        self.name = name
        self._estimator = estimator

    def hands(self, frame: CameraFrame) -> list[Hand]:
        self._estimator.reset()
        return self._estimator.estimate(frame, frame.used_camera)

    def crop(self, frame: CameraFrame, hand: Hand) -> NDArray[np.uint8] | None:
        """The crop around the hand's own keypoints, rectified as this model wants it."""
        return self._estimator.rectified(frame, frame.used_camera, hand)


@dataclass(frozen=True)
class FigureSample:
    """A sample with where it is from; `key` names files: "frame000123_right"."""

    key: str
    frame: Frame
    sample: Sample


def spread_indices(count: int, frame_count: int) -> frozenset[int]:
    """`count` indices spread evenly over `frame_count` frames; all of them where there are no more."""
    count = min(count, frame_count)
    return frozenset(int((number + 0.5) * frame_count / count) for number in range(count))


def figure_samples(
    source: Source,
    methods: Sequence[Method],
    cameras: CameraChooser,
    indices: frozenset[int],
    stop: threading.Event | None = None,
) -> Iterator[FigureSample]:
    """Samples of the frames `indices`, one for each hand: of the truth where it is known, else of the first method.

    Every frame is estimated by itself, so that all methods see the same and none knows what came before.

    Raises:
        SourceError: the source fails.
        CameraError: as `pipeline.camera_frames`.
    """
    truth = truth_labels(source)
    for frame in camera_frames(source, cameras, select=lambda frame: frame.index in indices, stop=stop):
        yield from _samples(frame, methods, truth(frame))


def _samples(frame: CameraFrame, methods: Sequence[Method], true: list[Label]) -> Iterator[FigureSample]:
    camera = frame.used_camera
    found = [method.hands(frame) for method in methods]
    labels = true or [Label(_place(hand, camera), hand.handedness) for hand in found[0]]
    matched = [match_hands(labels, hands, camera) for hands in found]
    for number, label in enumerate(labels):
        answers = [
            _answer(method, frame, matches[number].hand) for method, matches in zip(methods, matched, strict=True)
        ]
        if any(answer.hand is not None for answer in answers):
            known = label.keypoints_m if true else None
            key = f"frame{frame.index:06d}_{label.handedness or number}"
            yield FigureSample(key, frame, Sample(frame.image, camera, answers, known))


def _place(hand: Hand, camera: Camera) -> Array:
    """(21, 3) somewhere on the keypoints' lines of sight: matching is by the image."""
    return camera.rays(hand.keypoints_px) if hand.degenerate is not None else hand.keypoints_m


def _answer(method: Method, frame: CameraFrame, hand: Hand | None) -> MethodHand:
    crop = None if hand is None else method.crop(frame, hand)
    return MethodHand(method.name, hand, crop, method.has_weights)
