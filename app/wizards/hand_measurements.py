"""What a person's kept measurements say together. No Qt."""

from __future__ import annotations

import time
from collections.abc import Iterable

from calib.people import KeptMeasurement, PersonHand
from handdgp_core.errors import UsageError
from handdgp_core.estimation.bone_length import hand_length_from_bone
from handdgp_core.estimation.hand_size import MeasuredLength, Measurement, fused, ruler, seen

__all__ = ["SEEN", "WHOLE_HAND", "kept_now", "listed", "measurement_of", "together", "with_measurement"]

WHOLE_HAND = "hand"  # by a ruler
SEEN = ("board", "sheet")
_MOST_KEPT = 30


def kept_now(what: str, mm: float, percent: float) -> KeptMeasurement:
    """A measurement that was just made: see `KeptMeasurement`."""
    return KeptMeasurement(what, mm, percent, time.time())


def measurement_of(kept: KeptMeasurement) -> Measurement:
    """As evidence. UsageError: a bone that is unknown or cannot be so long."""
    if kept.what in SEEN:
        return seen(kept.mm / 1e3, kept.percent / 200)
    return ruler(kept.mm / 1e3) if kept.what == WHOLE_HAND else hand_length_from_bone(kept.what, kept.mm / 1e3)


def with_measurement(person: PersonHand | None, new: KeptMeasurement) -> tuple[KeptMeasurement, ...]:
    """A person's measurements and a new one. A ruler's replaces an earlier one of the same part; boards add up."""
    before = () if person is None else person.measurements
    others = [kept for kept in before if new.what in SEEN or kept.what != new.what]
    return (*others, new)[-_MOST_KEPT:]


def together(measurements: Iterable[KeptMeasurement]) -> MeasuredLength:
    """The length that they give together; what this version does not know, e.g. another bone, is left out."""
    known = []
    for kept in measurements:
        try:
            known.append(measurement_of(kept))
        except UsageError:
            continue
    return fused(known)


def listed(person: PersonHand) -> str:
    """ "board 184 mm, index 82 mm", newest last."""
    return ", ".join(
        f"{kept.what.replace('_', ' ')} {kept.mm:.0f} mm{'' if kept.what in SEEN else ' by ruler'}"
        for kept in person.measurements
    )
