"""Hands for tests of the estimator and of the steps after it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from handdgp_core.sources.demo import DemoSource
from handdgp_core.types import Frame, Hand

FACES = np.array([[0, 1, 2]], dtype=np.int32)


def make_hand(root_m: tuple[float, float, float] = (0.0, 0.0, 0.4), **changes: object) -> Hand:
    """A hand of three vertices whose keypoints lie on a line beside the root."""
    root = np.array(root_m)
    offsets = np.linspace(0.0, 0.1, 21)[:, None] * np.array([1.0, -1.0, 0.2])
    hand = Hand(
        handedness="right",
        score=0.9,
        vertices_m=root + np.array([[0.0, 0, 0], [0.05, 0, 0], [0, 0.05, 0]]),
        keypoints_m=root + offsets,
        keypoints_px=np.zeros((21, 2)),
        weights=np.ones(21),
        root_m=root,
        root_covariance_m2=np.eye(3) * 1e-6,
        hand_scale=1.0,
        faces=FACES,
        track_id=1,
    )
    return replace(hand, **changes)


def demo_frame(number: int) -> Frame:
    """A frame of the bundled clip."""
    with DemoSource() as source:
        for _ in range(number):
            source.read()
        frame = source.read()
    assert isinstance(frame, Frame)
    return frame
