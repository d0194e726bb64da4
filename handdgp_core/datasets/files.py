"""Finds a data set's files, and names those that are missing or cut short."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from handdgp_core.errors import SourceError

__all__ = ["DatasetError", "DatasetFolder", "checked_index"]


class DatasetError(SourceError):
    """A data set that is not there, not whole, or not of the expected form.

    Args:
        problem, hint: as in `HandDGPError`.
        message: instead of these, a text whose last line is that of such an error. torch's DataLoader passes errors of
            its processes on like this.
    """

    def __init__(self, problem: str = "", *, hint: str = "", message: str = "") -> None:
        if message:
            line = message.strip().splitlines()[-1]
            problem, hint = re.sub(r"^[\w.]+Error: ", "", line), ""
        super().__init__(problem, hint=hint)


class DatasetFolder:
    """The root of a data set, by name.

    Args:
        root: the folder.
        title: name of the data set in messages.
        origin: where to get it, for messages.
        marks: files or folders that a root of this data set has; they tell a wrong folder from a half-downloaded one.

    Raises:
        DatasetError: no such folder, or none of the marks in it.
    """

    def __init__(self, root: str | Path, title: str, origin: str, marks: Iterable[str]) -> None:
        self.root = Path(root)
        self.title = title
        self.hint = f"Get {title} from {origin} and give the folder it unpacks to."
        marks = tuple(marks)
        if not self.root.is_dir():
            reason = "is a file, not a folder" if self.root.exists() else "does not exist: there is no such folder"
            raise DatasetError(f"Could not open {title}: {self.root} {reason}.", hint=self.hint)
        if not any((self.root / mark).exists() for mark in marks):
            raise DatasetError(
                f"{self.root} is not the folder of {title}: it lacks {', '.join(marks)} ({_contents(self.root)}).",
                hint=self.hint,
            )

    def file(self, name: str) -> Path:
        """A file that must be there and not be empty."""
        path = self.root / name
        if not path.is_file():
            raise self.incomplete(name, "it is missing")
        if path.stat().st_size == 0:
            raise self.incomplete(name, "it is 0 bytes long")
        return path

    def folder(self, name: str) -> Path:
        """A folder that must be there."""
        path = self.root / name
        if not path.is_dir():
            raise self.incomplete(f"{name}/", "it is missing")
        return path

    def check_all_present(self, folder: str, names: Iterable[str]) -> None:
        """Every one of these file names stands in the folder."""
        present = {entry.name for entry in os.scandir(self.folder(folder))}
        missing = [name for name in names if name not in present]
        if missing:
            raise self.incomplete(f"{folder}/{missing[0]}", _missing(len(missing)))

    def incomplete(self, name: str, reason: str) -> DatasetError:
        """The error that names one file of this data set."""
        return DatasetError(
            f"Could not read {name} in {self.root}: {reason}.",
            hint=f"The download of {self.title} seems incomplete. {self.hint}",
        )

    def damaged(self, name: str, reason: str) -> DatasetError:
        """The error for a file whose content is not what it should be."""
        return DatasetError(
            f"Could not read {name} of {self.title} in {self.root}: {reason.removesuffix('.')}.",
            hint=f"The download may have been cut short: copy or download {Path(name).name} again.",
        )


def checked_index(index: int, count: int) -> int:
    """The index if it lies within the data set; negative ones count from the end.

    Raises:
        IndexError: outside, so that iteration ends.
    """
    if not -count <= index < count:
        raise IndexError(f"{index} of {count}")
    return int(index) % count


def _missing(count: int) -> str:
    return "it is missing" if count == 1 else f"it and {count - 1} more {'file' if count == 2 else 'files'} are missing"


def _contents(folder: Path) -> str:
    names: list[Any] = sorted(entry.name for entry in os.scandir(folder))
    if not names:
        return "it is empty"
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"it holds {', '.join(names[:4])}{more}"
