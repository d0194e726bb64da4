"""Lengths of a hand from its keypoints, and how they belong to the length that its owner can measure.

Two quantities. The *hand length* is what a person measures with a ruler, from the crease of the wrist to the very tip
of the stretched middle finger. The *chain* is what keypoints have, from the wrist along the joints to the last one of
the middle finger, which lies inside the fingertip. Users, options, settings, recordings and the public interface speak
of the hand length; `chain_of` turns it into the chain where it enters the estimator.
"""

from __future__ import annotations

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.hands.keypoints import COUNT, FINGERS, WRIST

DEFAULT_LENGTH = "wrist-middle-tip"
# Of the open hand (182.5 mm from crease to tip, of which the keypoints' chain is 175.4 mm): the last keypoint is 7 mm
# from the tip of the finger.
CHAIN_PER_LENGTH = 0.9613
KNUCKLE_CHAIN = (WRIST, *FINGERS["middle"])
# Every length is that of a chain of keypoints, so it does not change when the fingers bend.
_CHAINS: dict[str, tuple[int, ...]] = {
    DEFAULT_LENGTH: KNUCKLE_CHAIN,
    "palm": (WRIST, FINGERS["middle"][0]),
    "palm-width": (FINGERS["index"][0], FINGERS["little"][0]),
    **FINGERS,
}
LENGTH_NAMES: tuple[str, ...] = tuple(_CHAINS)


def chain_of(length_m: float) -> float:
    """Length of the keypoints' chain of a hand whose crease and middle finger tip are `length_m` apart."""
    return length_m * CHAIN_PER_LENGTH


def length_of_chain(chain_m: float) -> float:
    """From the wrist's crease to the middle finger's tip, for a hand whose keypoints' chain is `chain_m` long."""
    return chain_m / CHAIN_PER_LENGTH


def scaled_to_length(keypoints_m: Array, length_m: Array) -> Array:
    """Keypoints (N, 21, 3), scaled about their origin so that the chain of each is `length_m` (N,) long."""
    return np.asarray(keypoints_m * (length_m / hand_length_m(keypoints_m))[:, None, None], dtype=np.float64)


def hand_length_m(keypoints_m: Array, which: str = DEFAULT_LENGTH) -> Array:
    """Length of a chain of keypoints.

    Args:
        keypoints_m: (..., 21, 3) metres, any frame.
        which: "wrist-middle-tip" (wrist, then MCP, PIP, DIP and tip of the middle finger), "palm" (wrist to middle
            MCP), "palm-width" (index MCP to little MCP), or a finger's name for the chain from its first joint to its
            tip: "thumb", "index", "middle", "ring", "little".

    Returns:
        (...) metres.

    Raises:
        UsageError: unknown name.
        ShapeError: keypoints of another shape.
    """
    if which not in _CHAINS:
        raise UsageError(f"There is no hand length {which!r}.", hint=f"Use one of: {', '.join(LENGTH_NAMES)}.")
    points = np.asarray(keypoints_m, dtype=np.float64)
    if points.shape[-2:] != (COUNT, 3):
        raise ShapeError(f"keypoints_m must be of shape (..., 21, 3), not {points.shape}.")
    chain = points[..., list(_CHAINS[which]), :]
    length: Array = np.linalg.norm(np.diff(chain, axis=-2), axis=-1).sum(axis=-1)
    return length
