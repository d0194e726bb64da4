"""File names fit to be shown and stored, and paths fit to be opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from handdgp_core.errors import SourceError

__all__ = ["local_path", "shown_name"]

_SPECIAL = {
    stat.S_IFIFO: "it is a pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a disk",
}


def shown_name(name: str | os.PathLike[str]) -> str:
    """The name as valid text: bytes that are not UTF-8 become \\xNN, so that names stay different from one another."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def local_path(text: str | os.PathLike[str]) -> Path:
    """The path of a file or folder that exists, with `~` replaced.

    Raises:
        SourceError: nothing is there, it may not be looked at, or it is neither file nor folder: reading a pipe or a
            device may never end.
    """
    shown = shown_name(text)
    try:
        path = Path(text).expanduser()
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        raise SourceError(f"Could not open {shown}: it does not exist.", hint="Check the path.") from None
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise SourceError(f"Could not open {_brief(shown)}: {reason}.", hint="Check the path.") from None
    except RuntimeError:
        raise SourceError(f"Could not open {_brief(shown)}: there is no such user.", hint="Check the path.") from None
    except ValueError as error:  # a zero byte
        raise SourceError(f"Could not open {_brief(shown)}: {error}.", hint="Check the path.") from None
    if kind in _SPECIAL:
        raise SourceError(f"Could not open {shown}: {_SPECIAL[kind]}, not a file.", hint="Give a file or a folder.")
    return path


def _brief(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:40]}…{name[-20:]}"
