"""Lengths of a hand from its keypoints: how long the user's own hand is, compared with the model's."""

from __future__ import annotations

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.hands.keypoints import COUNT, FINGERS, WRIST

DEFAULT_LENGTH = "wrist-middle-tip"
KNUCKLE_CHAIN = (WRIST, *FINGERS["middle"])
# Every length is that of a chain of keypoints, so it does not change when the fingers bend.
_CHAINS: dict[str, tuple[int, ...]] = {
    DEFAULT_LENGTH: KNUCKLE_CHAIN,
    "palm": (WRIST, FINGERS["middle"][0]),
    "palm-width": (FINGERS["index"][0], FINGERS["little"][0]),
    **FINGERS,
}
LENGTH_NAMES: tuple[str, ...] = tuple(_CHAINS)


def scaled_to_length(keypoints_m: Array, length_m: Array) -> Array:
    """Keypoints (N, 21, 3), scaled about their origin so that the default length of each is `length_m` (N,)."""
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
