"""What a batch is made of: folders, patterns and lists become videos, recordings and folders of images."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from handdgp_core.errors import UsageError
from handdgp_core.files import expanded
from handdgp_core.sources.file_kinds import head_of, image_format

__all__ = ["BatchInput", "found_inputs"]

_VIDEOS = {".avi", ".m4v", ".mcap", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}  # and recordings
_LIST = ".txt"
_PATTERN = "*?["


@dataclass(frozen=True)
class BatchInput:
    """One of them.

    Attributes:
        name: its folder in the output; the same whenever the same path is given.
        path: absolute.
        size_bytes, changed_ns: of the file, by which a changed one is noticed.
    """

    name: str
    path: Path
    size_bytes: int
    changed_ns: int


def found_inputs(given: Iterable[str]) -> list[BatchInput]:
    """The inputs in the order given, each once.

    Args:
        given: videos, recordings and images; folders, which count as one input where they hold images themselves, and
            as all that is in them and below otherwise; patterns such as "takes/*.mp4"; text files with one of these a
            line, relative to their own folder.

    Raises:
        UsageError: something is not there, or nothing is left.
    """
    paths = dict.fromkeys(path.absolute() for entry in given for path in _expand(entry, Path()))
    if not paths:
        raise UsageError("The batch has no inputs.", hint="Give videos, recordings or folders that hold some.")
    return [_described(path) for path in paths]


def _expand(entry: str, folder: Path) -> Iterator[Path]:
    path = folder / expanded(entry)
    if path.is_dir():
        found = list(_in_folder(path))
        if not found:
            raise UsageError(f"The folder {path} holds no videos, recordings or images.")
        yield from found
    elif path.suffix.lower() == _LIST and path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        for line in (line.strip() for line in lines):
            if line and not line.startswith("#"):
                yield from _expand(line, path.parent)
    elif path.exists():
        yield path
    elif any(sign in entry for sign in _PATTERN):
        matches = sorted(glob.glob(str(path), recursive=True))
        if not matches:
            raise UsageError(f"Nothing matches {entry}.", hint="Put patterns in quotes, and check the folder.")
        for match in matches:
            yield from _expand(match, Path())
    else:
        raise UsageError(f"Could not find {path}.", hint="Check the name.")


def _in_folder(folder: Path) -> Iterator[Path]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if any(entry.is_file() and image_format(head_of(entry), entry.suffix) is not None for entry in entries):
        yield folder
        return
    for entry in entries:
        if entry.is_dir():
            yield from _in_folder(entry)
        elif entry.suffix.lower() in _VIDEOS:
            yield entry


def _described(path: Path) -> BatchInput:
    facts = path.stat()
    mark = hashlib.sha256(str(path).encode()).hexdigest()[:6]  # two takes may have one name in two folders
    size = 0 if path.is_dir() else facts.st_size
    return BatchInput(f"{path.stem}-{mark}", path, size, facts.st_mtime_ns)
