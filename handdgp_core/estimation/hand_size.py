"""What is known of one person's hand length: measurements that add up to one length with one standard deviation.

Both hands of a person share it. It is a Gaussian in the logarithm of the length. Measurements of one kind share an
error that repeating does not remove (where one person sees the crease, where a network puts a wrist), so a second
board tells less than a first ruler. What a bare view says of size is not among them, for the
measured reason in docs/calibration.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from handdgp_core.errors import UsageError
from handdgp_core.estimation.hand_length import ADULT_HAND_M, RULER_STD

__all__ = ["PRIOR_STD", "MeasuredLength", "Measurement", "fused", "ruler", "seen"]

# Adults: hand lengths of men (193 mm) and of women (172 mm) have a standard deviation of 5 % each, and the step between
# them adds to it (those of the open hand, docs/model-card.md). The mean is that of an unmeasured hand, `ADULT_HAND_M`.
PRIOR_STD = 0.076
# Taken, not measured: of a ruler's error, the part that the same person makes again.
_SAME_CREASE_STD = 0.011
# Of a hand on a board or a sheet: where the network puts the keypoints of this hand, and how thick it is.
_SAME_HAND_STD = 0.02


class MeasuredLength(NamedTuple):
    """A hand's length, wrist crease to middle finger tip, and its relative standard deviation; None where unknown."""

    length_m: float | None
    std: float = 0.0


class Measurement(NamedTuple):
    """One measurement of a person's hand.

    Attributes:
        length_m: of the hand, wrist crease to middle finger tip, that it speaks for.
        std: relative standard deviation.
        kind: measurements of the same kind share an error.
        shared_std: that part of `std`.
        whole: whether the hand itself was measured; a bone only tells what hand goes with it.
    """

    length_m: float
    std: float
    kind: str
    shared_std: float
    whole: bool


def ruler(length_m: float) -> Measurement:
    """The whole hand by a ruler."""
    return Measurement(length_m, RULER_STD, "ruler", _SAME_CREASE_STD, whole=True)


def seen(length_m: float, std: float) -> Measurement:
    """The whole hand on a board or a sheet of paper."""
    return Measurement(length_m, std, "seen", min(std, _SAME_HAND_STD), whole=True)


def fused(measurements: Sequence[Measurement]) -> MeasuredLength:
    """The length that they give together: generalised least squares in log length.

    The population's prior has a say only as long as no whole hand was measured: it would pull a child's measured hand
    away from its own length, and what is typed must stay what it is. Measurements that contradict each other widen the
    standard deviation (Birge ratio).

    Args:
        measurements: of one person; none gives an unknown length.

    Raises:
        UsageError: a measurement that is not positive and finite.
    """
    if not measurements:
        return MeasuredLength(None)
    for measured in measurements:
        if not (measured.length_m > 0 and measured.std > 0 and math.isfinite(measured.length_m * measured.std)):
            raise UsageError(f"A hand of {1e3 * measured.length_m:g} mm ± {200 * measured.std:g} % is no measurement.")
    logs = np.log([measured.length_m for measured in measurements])
    covariance = np.array([[_shared_variance(one, other) for other in measurements] for one in measurements])
    np.fill_diagonal(covariance, [measured.std**2 for measured in measurements])
    weights = np.linalg.solve(covariance, np.ones(len(logs)))
    precision = float(weights.sum())
    mean = float(weights @ logs) / precision
    residuals = logs - mean
    ratio = float(residuals @ np.linalg.solve(covariance, residuals)) / max(len(logs) - 1, 1)
    precision /= max(ratio, 1.0)
    if not any(measured.whole for measured in measurements):
        prior = PRIOR_STD**-2
        mean = (precision * mean + prior * math.log(ADULT_HAND_M)) / (precision + prior)
        precision += prior
    return MeasuredLength(math.exp(mean), precision**-0.5)


def _shared_variance(one: Measurement, other: Measurement) -> float:
    return one.shared_std * other.shared_std if one.kind == other.kind else 0.0
