"""Names of session files, finished and unfinished."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from handdgp_core.privacy import without_secrets

__all__ = ["SUFFIX", "find_unfinished", "is_session_name", "new_session_path", "part_path", "reserve_path"]

SUFFIX = ".mcap"
_PART, _RESERVE = ".part", ".reserve"


def part_path(path: Path) -> Path:
    """Where a session grows until it is finished: `take.mcap.part`."""
    return path.with_name(path.name + _PART)


def finished_path(part: Path) -> Path:
    """The reverse of `part_path`; for any other name the same with "-repaired" before its ending."""
    if part.name.endswith(_PART):
        return part.with_name(part.name[: -len(_PART)])
    return part.with_name(f"{part.stem}-repaired{part.suffix or SUFFIX}")


def reserve_path(path: Path) -> Path:
    """The file that keeps room on the disk for an orderly end."""
    return path.with_name(path.name + _RESERVE)


def is_session_name(path: Path) -> bool:
    """True for `take.mcap` and `take.mcap.part`."""
    return path.name.lower().endswith((SUFFIX, SUFFIX + _PART))


def find_unfinished(folder: Path) -> list[Path]:
    """Recordings in this folder that were never finished, oldest first; empty where the folder cannot be read."""
    try:
        return sorted(folder.glob(f"*{SUFFIX}{_PART}"), key=lambda path: path.stat().st_mtime)
    except OSError:
        return []


def new_session_path(folder: Path, source_name: str, now: datetime | None = None) -> Path:
    """A name that tells what and when, and is not taken yet by a finished or unfinished session."""
    source = re.sub(r"[^\w.-]+", "_", Path(without_secrets(source_name)).stem).strip("._")[:40] or "session"
    stem = f"{source}-{now or datetime.now():%Y%m%d-%H%M%S}"
    path, number = folder / f"{stem}{SUFFIX}", 1
    while path.exists() or part_path(path).exists():
        number += 1
        path = folder / f"{stem}-{number}{SUFFIX}"
    return path
