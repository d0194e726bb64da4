"""Measured hands by person, in one small JSON file."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from calib.profiles import default_folder
from handdgp_core.errors import CalibrationError
from handdgp_core.files import write_json
from handdgp_core.plain_files import read_json

__all__ = ["KeptBone", "KeptMeasurement", "PeopleStore", "PersonHand"]

_VERSION = 2
# Version 1 kept lengths by board, sheet or bone as those of the keypoints' chain, this much shorter than the hand.
_CHAIN_PER_LENGTH = 0.9613
_RANGE_MM = (50.0, 300.0)


@dataclass(frozen=True)
class KeptMeasurement:
    """One measurement, as it was made.

    Attributes:
        what: "board" or "sheet": the hand lay on it; "hand": by a ruler; else a bone by name, by a ruler.
        mm: of the hand from wrist crease to middle finger tip, or of the bone.
        percent: two standard deviations of "board" and "sheet", in percent; what else is known by what was measured.
        created_s: seconds since 1970.
    """

    what: str
    mm: float
    percent: float
    created_s: float


@dataclass(frozen=True)
class KeptBone:
    """One bone as bare views show it: shown to its owner, and used for no number.

    Attributes:
        name: of the bone.
        ratio: to that of the mean adult's hand of the same length.
        percent: two standard deviations, in percent.
    """

    name: str
    ratio: float
    percent: float


@dataclass(frozen=True)
class PersonHand:
    """One person's hand.

    Attributes:
        name: of the person.
        length_mm: wrist crease to middle finger tip.
        percent: two standard deviations, in percent.
        method: what was measured, e.g. "board" or "board, hand".
        created_s: seconds since 1970.
        measurements: that length and percent come from, oldest first.
        bones: by bare views, if they were looked at.
    """

    name: str
    length_mm: float
    percent: float
    method: str
    created_s: float
    measurements: tuple[KeptMeasurement, ...] = ()
    bones: tuple[KeptBone, ...] = ()


class PeopleStore:
    """Reads and writes the file.

    Args:
        path: None for `people.json` beside the camera profiles.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_folder() / "people.json"

    def people(self) -> list[PersonHand]:
        """All of them, by name. Invalid entries are skipped; without a file there are none.

        Raises:
            CalibrationError: the file is damaged.
        """
        try:
            content = read_json(self.path)
            entries, version = content["people"], content.get("version", 1)
            if not isinstance(entries, list):
                raise ValueError("its people are no list")
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CalibrationError(
                f"Could not read the measured hands in {self.path}: the file is damaged ({error}).",
                hint="Move it away; hands must then be measured again.",
            ) from None
        found = [person for entry in entries if (person := _person(entry)) is not None]
        if version == 1:
            found = [_of_version_1(person) for person in found]
        return sorted(found, key=lambda person: person.name.casefold())

    def person(self, name: str) -> PersonHand | None:
        """The person of this name. CalibrationError: the file is damaged."""
        name = " ".join(name.split())
        return next((person for person in self.people() if person.name == name), None)

    def forget(self, name: str) -> None:
        """Drop a person and all that was measured.

        Raises:
            CalibrationError: the file is damaged.
            OutputError: the place cannot be written.
        """
        self._write([other for other in self.people() if other.name != " ".join(name.split())])

    def save(
        self, name: str, length_mm: float, percent: float, measurements: tuple[KeptMeasurement, ...]
    ) -> PersonHand:
        """Keep a person's hand; an older entry of the same name is replaced.

        Args:
            name: of the person.
            length_mm, percent: what the measurements give together.
            measurements: all that are to be kept.

        Raises:
            CalibrationError: no name, a length that no hand has, or a damaged file (which is left alone).
            OutputError: the place cannot be written.
        """
        name = " ".join(name.split())
        if not name:
            raise CalibrationError("A measured hand needs a name.", hint="Type the name of its owner.")
        if not _RANGE_MM[0] <= length_mm <= _RANGE_MM[1]:
            raise CalibrationError(
                f"{length_mm:.0f} mm is no length of a hand: those are {_RANGE_MM[0]:.0f} to {_RANGE_MM[1]:.0f} mm.",
                hint="Measure from the wrist crease to the tip of the middle finger.",
            )
        method = ", ".join(dict.fromkeys(kept.what for kept in measurements))
        people = self.people()
        bones = next((other.bones for other in people if other.name == name), ())
        person = PersonHand(name, length_mm, percent, method, time.time(), measurements, bones)
        self._write([*(other for other in people if other.name != name), person])
        return person

    def save_bones(self, name: str, bones: tuple[KeptBone, ...]) -> PersonHand:
        """Keep the bones of a person whose hand was measured, in place of earlier ones.

        Raises:
            CalibrationError: nobody of this name, or a damaged file (which is left alone).
            OutputError: the place cannot be written.
        """
        name, people = " ".join(name.split()), self.people()
        known = next((person for person in people if person.name == name), None)
        if known is None:
            raise CalibrationError(
                f"Could not save the bones: no hand of “{name}” was measured.",
                hint="Measure it first, with a ruler, on a sheet of paper or on the board.",
            )
        person = replace(known, bones=bones)
        self._write([*(other for other in people if other.name != name), person])
        return person

    def _write(self, people: list[PersonHand]) -> None:
        write_json(self.path, {"version": _VERSION, "people": [asdict(person) for person in people]})


def _measurement(entry: dict[str, object]) -> KeptMeasurement:
    mm, percent, created_s = (float(str(entry[name])) for name in ("mm", "percent", "created_s"))
    return KeptMeasurement(str(entry["what"]), mm, percent, created_s)


def _bone(entry: dict[str, object]) -> KeptBone:
    return KeptBone(str(entry["name"]), float(str(entry["ratio"])), float(str(entry["percent"])))


def _of_version_1(person: PersonHand) -> PersonHand:
    """A ruler that was laid along the whole hand, which stated ± 3 %, gave what is kept now; all else the chain."""
    whole = person.method == "ruler" and person.percent < 3.01
    length_mm = person.length_mm if whole else person.length_mm / _CHAIN_PER_LENGTH
    if person.method == "ruler" and not whole:  # of some bone, which was not kept
        return replace(person, length_mm=length_mm)
    what = "hand" if whole else person.method
    return replace(
        person,
        length_mm=length_mm,
        method=what,
        measurements=(KeptMeasurement(what, length_mm, person.percent, person.created_s),),
    )


def _person(entry: object) -> PersonHand | None:
    if not isinstance(entry, dict):
        return None
    try:
        person = PersonHand(
            str(entry["name"]),
            float(entry["length_mm"]),
            float(entry["percent"]),
            str(entry["method"]),
            float(entry["created_s"]),
            tuple(_measurement(kept) for kept in entry.get("measurements", ())),
            tuple(_bone(kept) for kept in entry.get("bones", ())),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return person if _RANGE_MM[0] <= person.length_mm <= _RANGE_MM[1] else None
