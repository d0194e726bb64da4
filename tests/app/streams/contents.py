"""Frames as the streams get them."""

from __future__ import annotations

import time

import numpy as np

from app.streams.content import FrameContent, StreamFacts, StreamMaker
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame, Hand

CAMERA = Camera.assumed(320, 240, 60)


def content(*hands: Hand, index: int = 7) -> FrameContent:
    """A frame with these hands, captured now."""
    frame = Frame(np.full((240, 320, 3), 90, np.uint8), 33_000_000 * index, index)
    facts = StreamFacts("test", "open, CPU", None)
    return StreamMaker(facts).make(frame, CAMERA, hands, time.time_ns())
