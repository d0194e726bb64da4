"""A hand's length from one bone that its owner measured with a ruler (supplementary material of HandDGP, section 3).

The paper scales a hand by l_ref / l_pred of a named bone. A model's bones are short or long by up to a seventh where
the length of its hand is right, so l_pred is here the bone of the mean adult, whose hand is `ADULT_HAND_M` long:
whoever has a bone 10 % longer is taken to have a hand 10 % longer. Every model then takes that length like a measured
one.
"""

from __future__ import annotations

import math

from handdgp_core.errors import UsageError
from handdgp_core.estimation.hand_length import ADULT_HAND_M, MAX_LENGTH_M, MIN_LENGTH_M
from handdgp_core.estimation.hand_size import Measurement
from handdgp_core.hands.keypoints import FINGERS, WRIST

__all__ = [
    "BONE_NAMES",
    "bone_joints",
    "bone_mean_m",
    "bone_range_m",
    "hand_length_from_bone",
    "parse_bone",
]

_SPAN = {"proximal": (0, 1), "middle": (1, 2), "distal": (2, 3)}
# Means of 66 adults by radiograph, and the flesh before the last bone, mm: Buryanov and Kotiuk, "Proportions of Hand
# Segments", Int. J. Morphol. 28 (3), 2010. Radiographs show bones from joint to joint, as does a ruler beside a finger.
_PHALANGES_MM = {
    "thumb": {"proximal": 31.6, "distal": 21.7 + 5.7},
    "index": {"proximal": 39.8, "middle": 22.4, "distal": 15.8 + 3.8},
    "middle": {"proximal": 44.6, "middle": 26.3, "distal": 17.4 + 4.0},
    "ring": {"proximal": 41.4, "middle": 25.7, "distal": 17.3 + 4.0},
    "little": {"proximal": 32.7, "middle": 18.1, "distal": 16.0 + 3.7},
}
_FINGERS_MM = {finger: sum(parts.values()) for finger, parts in _PHALANGES_MM.items() if finger != "thumb"}
_MEAN_MM = {
    "palm": 1e3 * ADULT_HAND_M - _FINGERS_MM["middle"],
    **_FINGERS_MM,
    **{f"{finger}_{part}": mm for finger, parts in _PHALANGES_MM.items() for part, mm in parts.items()},
}
_JOINTS = {
    "palm": (WRIST, FINGERS["middle"][0]),
    **{finger: FINGERS[finger] for finger in _FINGERS_MM},
    **{
        f"{finger}_{part}": tuple(
            FINGERS[finger][end + (finger == "thumb" and part == "proximal")] for end in _SPAN[part]
        )
        for finger, parts in _PHALANGES_MM.items()
        for part in parts
    },
}
BONE_NAMES: tuple[str, ...] = tuple(_MEAN_MM)
# Taken, not measured: how far people of one hand length differ in one bone, and in a finger or a palm as a whole. The
# radiographs' own spread is 7 to 15 % by bone, that of adults' hand lengths 5 to 7 %.
_BONE_STD, _WHOLE_STD = 0.06, 0.04
_FINGERS_STD = 0.03  # part of both: long fingers are long in all their bones
_RULER_STD_M = 0.001  # where a joint is


def parse_bone(text: str) -> tuple[str, float]:
    """Name and metres of "index_proximal=42"; spaces and hyphens are as good as the underscore.

    Raises:
        UsageError: another form, or an unknown bone.
    """
    name, equals, value = text.partition("=")
    try:
        length_mm = float(value)
    except ValueError:
        length_mm = math.nan
    if not equals or math.isnan(length_mm):
        raise UsageError(f"“{text}” is no bone with a length.", hint="Write it like this: index_proximal=42.")
    return _known(name), length_mm / 1e3


def hand_length_from_bone(name: str, bone_m: float) -> Measurement:
    """What a bone says of the length of the hand that has it; `fused` makes a length of it.

    Args:
        name: one of `BONE_NAMES`. A finger is measured from the joint of its first bone to its very tip, a bone from
            joint to joint at the side of the finger, the palm from the wrist crease to the middle finger's first joint.
        bone_m: metres.

    Raises:
        UsageError: an unknown bone, or a length that it cannot have.
    """
    name = _known(name)
    length_m = ADULT_HAND_M * bone_m / bone_mean_m(name)
    if not MIN_LENGTH_M <= length_m <= MAX_LENGTH_M:
        low, high = bone_range_m(name)
        raise UsageError(
            f"{name} cannot be {1e3 * bone_m:g} mm long: {1e3 * low:.0f} to {1e3 * high:.0f} mm are possible.",
            hint=f"Measure it in millimetres; an adult's is about {_MEAN_MM[name]:.0f} mm.",
        )
    proportion = _BONE_STD if "_" in name else _WHOLE_STD
    std = math.hypot(proportion, math.sqrt(2) * _RULER_STD_M / bone_m)
    shared = 0.0 if name == "palm" else _FINGERS_STD
    return Measurement(length_m, std, "palm" if name == "palm" else "finger", shared, whole=False)


def bone_mean_m(name: str) -> float:
    """The mean adult's bone. UsageError: an unknown bone."""
    return 1e-3 * _MEAN_MM[_known(name)]


def bone_range_m(name: str) -> tuple[float, float]:
    """Shortest and longest that a bone can be: those of the smallest and of the largest hand."""
    mean_m = bone_mean_m(name)
    return mean_m * MIN_LENGTH_M / ADULT_HAND_M, mean_m * MAX_LENGTH_M / ADULT_HAND_M


def bone_joints(name: str) -> tuple[int, ...]:
    """The keypoints along a bone, for a drawing. UsageError: an unknown bone."""
    return _JOINTS[_known(name)]


def _known(name: str) -> str:
    plain = "_".join(name.lower().replace("-", " ").replace("_", " ").split())
    if plain not in _MEAN_MM:
        raise UsageError(f"There is no bone “{name.strip()}” to measure.", hint=f"Use one of {', '.join(BONE_NAMES)}.")
    return plain
