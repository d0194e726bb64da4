"""The user's own hand length, put to use before DGP (supplementary material of HandDGP, section 3)."""

from __future__ import annotations

import math

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.errors import UsageError
from handdgp_core.hands.measure import hand_length_m, length_of_chain

# Smallest infant's and largest known adult hand, with room: outside it the number is a slip of unit or keyboard.
MIN_LENGTH_M, MAX_LENGTH_M = 0.05, 0.30
# Where no length is given, a hand is taken to be an adult's: mean length of the keypoints' chain, and relative standard
# deviation. One camera hardly sees size: hands of 150 and 170 mm are predicted alike, and the
# length predicted for one and the same hand varies by 10 % with its pose, so frames tell little more than this.
ADULT_CHAIN_M, ADULT_LENGTH_STD = 0.181, 0.05
ADULT_HAND_M = length_of_chain(ADULT_CHAIN_M)
# Taken, not measured: two people who measure one hand with a ruler differ so much (where a crease ends is a matter of
# taste), one standard deviation.
RULER_STD = 0.015
HOW_TO_MEASURE = (
    "Palm up, fingers stretched: from the crease of the wrist nearest the palm to the very tip of the middle finger."
)


def check_hand_length(length_m: float | None) -> float | None:
    """`length_m`, from the wrist crease to the middle finger's tip, if a hand can be that long.

    Raises:
        UsageError: not finite, or outside 50 to 300 mm.
    """
    if length_m is None or (math.isfinite(length_m) and MIN_LENGTH_M <= length_m <= MAX_LENGTH_M):
        return length_m
    raise UsageError(
        f"A hand length of {length_m * 1e3:g} mm is not possible: {MIN_LENGTH_M * 1e3:.0f} to "
        f"{MAX_LENGTH_M * 1e3:.0f} mm are.",
        hint=f"In millimetres. {HOW_TO_MEASURE}",
    )


def scale_to_chain(keypoints_m: Array, chain_m: float | None) -> Array:
    """Factor s = l_ref / l_pred on root-relative hands, so that their chain has the given length.

    Args:
        keypoints_m: (B, 21, 3) root-relative.
        chain_m: of the keypoints from the wrist to the middle finger's tip (`chain_of`), or None for no change.

    Returns:
        (B,) factors, 1 where no length is given. A collapsed prediction gives infinity, which DGP then flags.
    """
    if chain_m is None:
        return np.ones(len(keypoints_m))
    predicted = np.asarray(hand_length_m(keypoints_m))
    with np.errstate(divide="ignore"):
        return chain_m / predicted
