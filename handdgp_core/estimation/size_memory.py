"""How large a hand is believed to be: mostly as large as an adult's, and the same from frame to frame.

One camera hardly sees size: hands of 150 and 170 mm are predicted alike, and the length predicted for one and the same
hand varies by 10 % with its pose. That is not noise which a mean over frames takes out, so however many frames there
are, the prior keeps most of its weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handdgp_core.arrays import Array

__all__ = ["FORGET_AFTER_NS", "SizeMemory", "plausible_log_length"]

FORGET_AFTER_NS = 500_000_000
_FRAMES = 90

# Along the knuckles from the wrist to the middle finger's tip. Length and share were chosen on six people, by the mean
# over people of the camera-space error.
ADULT_LENGTH_M = 0.181
PREDICTION_SHARE = 0.25


def plausible_log_length(log_lengths: Array) -> Array:
    """Predicted log hand lengths (B,), of lengths in metres, drawn towards the mean adult's."""
    adult = np.log(ADULT_LENGTH_M)
    return np.asarray(adult + PREDICTION_SHARE * (log_lengths - adult), dtype=np.float64)


class SizeMemory:
    """Remembers hands by their track for half a second after they were seen last."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, int, int]] = {}  # track: mean log size, frames, stamp

    def steady(self, track_ids: Sequence[int], log_sizes: Array, stamp_ns: int) -> Array:
        """Mean log sizes (B,) of hands over their last 90 frames, this one (B,) included.

        Args:
            track_ids: of the hands; a negative one has no past.
            log_sizes: natural logarithms of any measure of size.
            stamp_ns: of the frame. Hands not seen for half a second, or in the future, are forgotten.
        """
        recent = {
            track: past
            for track, past in self._known.items()
            if track >= 0 and 0 <= stamp_ns - past[2] <= FORGET_AFTER_NS
        }
        means = np.asarray(log_sizes, dtype=np.float64).copy()
        self._known = {}
        for index, track in enumerate(track_ids):
            mean, frames, _ = recent.get(track, (0.0, 0, 0))
            share = 1.0 / (1 + min(frames, _FRAMES))
            means[index] = share * means[index] + (1 - share) * mean
            self._known[track] = float(means[index]), frames + 1, stamp_ns
        return means

    def reset(self) -> None:
        """Forget all hands."""
        self._known.clear()
