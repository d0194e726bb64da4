"""Measured hands by person, in one small JSON file."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from calib.profiles import default_folder
from handdgp_core.errors import CalibrationError
from handdgp_core.files import write_json
from handdgp_core.plain_files import read_json

__all__ = ["PeopleStore", "PersonHand"]

_VERSION = 1
_RANGE_MM = (50.0, 300.0)


@dataclass(frozen=True)
class PersonHand:
    """One person's hand.

    Attributes:
        name: of the person.
        length_mm: wrist to middle finger tip along the joints.
        percent: two standard deviations, in percent.
        method: "board", "sheet" or "ruler".
        created_s: seconds since 1970.
    """

    name: str
    length_mm: float
    percent: float
    method: str
    created_s: float


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
            entries = read_json(self.path)["people"]
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
        return sorted(found, key=lambda person: person.name.casefold())

    def save(self, name: str, length_mm: float, percent: float, method: str) -> PersonHand:
        """Keep a person's hand; an older entry of the same name is replaced.

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
        person = PersonHand(name, length_mm, percent, method, time.time())
        others = [other for other in self.people() if other.name != name]
        self._write([*others, person])
        return person

    def _write(self, people: list[PersonHand]) -> None:
        write_json(self.path, {"version": _VERSION, "people": [asdict(person) for person in people]})


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
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return person if _RANGE_MM[0] <= person.length_mm <= _RANGE_MM[1] else None
