"""Finds hands anywhere in an image with MediaPipe's hand landmarker (Tasks API, one image at a time).

It is slow (a palm detector on the whole image, then a landmark network on each hand), so the tracker asks it only when
a hand is new, lost or doubtful.
"""

from __future__ import annotations

import atexit
import os
import re
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array, Handedness
from handdgp_core.detection.looks import Look
from handdgp_core.errors import AssetError, ShapeError, UsageError
from handdgp_core.networks.backbones.landmark_asset import ASSET, HINT

if TYPE_CHECKING:
    from mediapipe.tasks.python.vision import HandLandmarker

__all__ = ["Detection", "HandFinder", "MediaPipeHandFinder"]

# Larger images are reduced first: the palm detector works on 192 x 192 whatever it is given, and 8K then takes 20 ms
# instead of 68 with the same hands found.
LONGEST_SIDE_PX = 1920
# Well below MediaPipe's 0.5: the landmark network looks at every palm and says whether there is a hand at all.
PALM_CONFIDENCE = 0.2
CHATTER = re.compile(rb"^(INFO: Created TensorFlow Lite|WARNING: All log messages before absl|[IW]\d{4} \d\d:)")


@dataclass(frozen=True)
class Detection:
    """One hand found in an image.

    Attributes:
        keypoints_px: (21, 2) image pixels.
        handedness: the user's true hand.
        score: how sure the landmarker is of the handedness, 0.5 to 1 (its answer for "is it a hand" is not given out).
    """

    keypoints_px: Array
    handedness: Handedness
    score: float


class HandFinder(Protocol):
    """Anything that finds hands in a whole image."""

    def find(self, image: NDArray[np.uint8], look: Look | None = None) -> list[Detection]:
        """Hands in `image` (height, width, 3) uint8 RGB, or in one look at it; in pixels of `image` either way."""
        ...

    def close(self) -> None:
        """Give threads and memory back. May be called twice."""
        ...


class MediaPipeHandFinder:
    """MediaPipe's hand landmarker. Not thread-safe; close it after use, or use it in a `with` block.

    MediaPipe's label "Right" (handedness score above 0.5) means the person's right hand in an unmirrored image.

    Args:
        max_hands: how many hands to look for in an image.
        path: hand_landmarker.task.
        palm_confidence: from which score on, 0 to 1, a palm counts as found.
        hand_confidence: from which presence, 0 to 1, the hand at that palm counts as one.

    Raises:
        AssetError: the file is missing or damaged.
        UsageError: a confidence outside 0 to 1, or `max_hands` below 1.
    """

    def __init__(
        self,
        max_hands: int = 2,
        path: Path | str = ASSET,
        palm_confidence: float = PALM_CONFIDENCE,
        hand_confidence: float = 0.5,
    ) -> None:
        if max_hands < 1:
            raise UsageError(f"max_hands must be 1 or more, not {max_hands}.")
        for name, value in (("palm_confidence", palm_confidence), ("hand_confidence", hand_confidence)):
            if not 0 <= value <= 1:
                raise UsageError(f"{name} must be from 0 to 1, not {value}.", hint="Choose about 0.5.")
        self._landmarker: HandLandmarker | None = _start(Path(path), max_hands, palm_confidence, hand_confidence)
        _open_finders.add(self)

    def __enter__(self) -> MediaPipeHandFinder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give MediaPipe's threads and memory back. May be called twice."""
        landmarker, self._landmarker = self._landmarker, None
        if landmarker is not None:
            landmarker.close()

    def find(self, image: NDArray[np.uint8], look: Look | None = None) -> list[Detection]:
        """Hands in `image`, (height, width, 3) uint8 RGB of any size, never mirrored; with `look`, in what it shows.

        Raises:
            ShapeError: `image` is something else.
            UsageError: the finder is closed.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise ShapeError(f"Expected an RGB image (height, width, 3) of uint8, not {image.shape} {image.dtype}.")
        if self._landmarker is None:
            raise UsageError("This hand finder is closed.", hint="Make a new one.")
        if look is None:
            return _detect(self._landmarker, image)
        return [
            replace(found, keypoints_px=look.to_image(found.keypoints_px))
            for found in _detect(self._landmarker, look.of(image))
        ]


_open_finders: weakref.WeakSet[MediaPipeHandFinder] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """At exit, for MediaPipe's own destructor fails once the interpreter takes its modules down.

    Must run after MediaPipe's own exit handler, so it is registered here, before MediaPipe is imported.
    """
    for finder in list(_open_finders):
        finder.close()


def _start(path: Path, max_hands: int, palm_confidence: float, hand_confidence: float) -> HandLandmarker:
    """Load everything, and let MediaPipe say all its start-up messages while nobody listens."""
    black = np.zeros((64, 64, 3), np.uint8)
    with _without_chatter():
        # The last message comes with the first hand in a process, and without thresholds anything is one.
        credulous = _create(path, 1, 0.0, 0.0)
        _detect(credulous, black)
        credulous.close()
        landmarker = _create(path, max_hands, palm_confidence, hand_confidence)
        _detect(landmarker, black)
    return landmarker


def _create(path: Path, max_hands: int, palm_confidence: float, hand_confidence: float) -> HandLandmarker:
    # Imported here: it takes half a second, and tests with a scripted finder need none of it.
    from mediapipe.tasks.python import BaseOptions
    from mediapipe.tasks.python.vision import HandLandmarker, HandLandmarkerOptions

    try:
        content = path.read_bytes()  # as bytes, so that any path works, non-ASCII ones included
        options = HandLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=content),
            num_hands=max_hands,
            min_hand_detection_confidence=palm_confidence,
            min_hand_presence_confidence=hand_confidence,
        )
        return HandLandmarker.create_from_options(options)
    except FileNotFoundError as error:
        raise AssetError(f"Could not read MediaPipe's hand landmarker {path}: no such file.", hint=HINT) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise AssetError(
            f"Could not read MediaPipe's hand landmarker {path}: a damaged file ({error}).", hint=HINT
        ) from error


def _detect(landmarker: HandLandmarker, image: NDArray[np.uint8]) -> list[Detection]:
    from mediapipe import Image, ImageFormat

    height, width = image.shape[:2]
    result = landmarker.detect(Image(image_format=ImageFormat.SRGB, data=_reduced(image)))
    detections = []
    for landmarks, categories in zip(result.hand_landmarks, result.handedness, strict=True):
        fractions = np.array([(point.x, point.y) for point in landmarks], float)
        detections.append(
            Detection(
                keypoints_px=fractions * (width, height) - 0.5,
                handedness="right" if categories[0].category_name == "Right" else "left",
                score=float(categories[0].score),
            )
        )
    return detections


def _reduced(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    factor = LONGEST_SIDE_PX / max(height, width)
    if factor >= 1:
        return np.ascontiguousarray(image)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Hold back what native code writes to standard error, then pass on all but MediaPipe's known start-up messages.

    The file descriptor is the whole process's: a child started meanwhile would inherit the substitute.
    """
    try:
        original = os.dup(2)
    except OSError:  # a windowed program without a console
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            held.seek(0)
            for line in held:
                if not CHATTER.match(line):
                    os.write(2, line)
