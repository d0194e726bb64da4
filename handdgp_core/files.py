"""The output folder: checked before the work begins; files that are whole or not there; errors with a hint."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from handdgp_core.errors import OutputError
from handdgp_core.locks import hold

if TYPE_CHECKING:
    from torch import Tensor

MIB = 1024**2
PRIVATE_MODE = 0o600
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_MORE_SPACE = "Free some space, or choose a folder on another disk."
_IN_THE_WAY = (errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with `~` replaced; as it is where there is no such user, so that it is told as missing."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def prepare_output(path: str | os.PathLike[str], needed_bytes: int = 16 * MIB) -> Path:
    """Makes the folder (and those above it) and proves that files can be written there.

    Args:
        path: the folder; one that is there already is used as it is.
        needed_bytes: free space to ask for.

    Returns:
        The absolute path.

    Raises:
        OutputError: a file is in the way, the place is read-only or forbidden, or the disk is too full.
    """
    try:
        folder = Path(path).expanduser().absolute()
    except RuntimeError:
        raise OutputError(f"Could not write {path}: there is no such user.", hint="Choose another folder.") from None
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:  # permission bits do not tell: root, read-only disks
            probe.write(b"0")
    check_room(folder, needed_bytes)
    return folder


@contextmanager
def locked_output(folder: Path) -> Iterator[Path]:
    """Keeps other runs out of an output folder that exists; a run that is killed leaves no lock behind.

    Where a network disk knows no locks on folders there is none.

    Raises:
        OutputError: another run writes there.
    """
    with output_errors(folder):
        try:
            handle = _lock(folder)
        except (BlockingIOError, FileExistsError) as error:
            problem = f"Could not write to {folder}: another run is writing there."
            raise OutputError(problem, hint="Wait for its end, or choose another folder.") from error
    try:
        yield folder
    finally:
        os.close(handle)


def _lock(folder: Path) -> int:
    """A handle whose closing, also by the end of the process, frees the folder. Raises OSError."""
    if sys.platform == "win32":  # a file that goes with its handle
        return os.open(folder / ".handdgp.lock", os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_TEMPORARY)
    handle = os.open(folder, os.O_RDONLY)
    if not hold(handle):
        os.close(handle)
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return handle


def check_room(folder: Path, needed_bytes: int) -> None:
    """Raises OutputError where the disk of `folder` has less than `needed_bytes` left."""
    with output_errors(folder):
        free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise OutputError(
            f"Could not use {folder}: {_amount(needed_bytes)} of free space needed, {_amount(free)} available.",
            hint=_MORE_SPACE,
        )


def _amount(count: int) -> str:
    return f"{count / MIB:.1f} MiB" if count >= MIB else f"{count / 1024:.0f} KiB"


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turns what the operating system says about writing `path` into an OutputError."""
    try:
        yield
    except OSError as error:
        raise as_output_error(path, error) from error


def as_output_error(path: Path, error: OSError) -> OutputError:
    """The OutputError that explains to the user an `error` met while writing `path`."""
    failed = f"Could not write {path}"
    if error.errno in _FULL:
        return OutputError(f"{failed} to a full disk.", hint=_MORE_SPACE)
    if error.errno == errno.EROFS:
        return OutputError(f"{failed} to a read-only file system.", hint="Choose a folder on another disk.")
    if error.errno in _FORBIDDEN:
        hint = "Choose a folder of your own, or change its permissions."
        return OutputError(f"{failed}: permission denied.", hint=hint)
    if error.errno in _IN_THE_WAY:
        blocker = next((place for place in (path, *path.parents) if place.exists() and not place.is_dir()), path)
        hint = "Move that file away, or choose another folder."
        return OutputError(f"{failed}: there is a file at {blocker}.", hint=hint)
    reason = error.strerror or str(error) or type(error).__name__
    return OutputError(f"{failed}: {reason}.", hint="Check the disk, or choose another folder.")


def part_of(path: Path) -> Path:
    """The temporary name beside `path` under which it grows: `clip.mp4` as `clip.part.mp4`."""
    return path.with_name(f"{path.stem}.part{path.suffix}")


@contextmanager
def whole_file(path: Path, make_folder: bool = False) -> Iterator[Path]:
    """Gives a temporary name to write under; on leaving, the file appears under `path` whole, or not at all.

    The name is hidden, keeps the suffix and is used once, so that two programs may write the same file at a time.

    Args:
        path: the file.
        make_folder: whether to make its folder where it is missing.

    Raises:
        OutputError: the operating system could not write it.
    """
    part = part_of(path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}"))
    try:
        with output_errors(path):
            if make_folder:
                path.parent.mkdir(parents=True, exist_ok=True)
            yield part
        name_part(part, path)
    finally:
        remove(part)


def name_part(part: Path, path: Path) -> None:
    """Gives a file that has grown under a temporary name its own. Raises OutputError."""
    with output_errors(path):
        os.replace(part, path)


def name_new(part: Path, path: Path) -> Path:
    """Gives a file that has grown under a temporary name its own, and overwrites nothing.

    Returns:
        `path`, or where there is a file by now the next name that is free: `clip-2.mp4` for `clip.mp4`.

    Raises:
        OutputError: the operating system could not do it.
    """
    place, number = path, 1
    with output_errors(path):
        while True:
            try:
                os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_MODE))  # the name is ours now
                break
            except FileExistsError:
                number += 1
                place = path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            os.replace(part, place)
        except OSError:
            remove(place)
            raise
    return place


def private_opener(path: str, flags: int) -> int:
    """For `open`: a new file that nobody but its owner may read."""
    return os.open(path, flags, PRIVATE_MODE)


def remove(path: Path) -> None:
    """Removes a temporary file if it is there."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; its folder is made where it is missing. Raises OutputError."""
    with whole_file(path, make_folder=True) as part:
        part.write_bytes(content)


def write_text(path: Path, content: str, private: bool = False) -> None:
    """Write a file of UTF-8 text as `write_bytes` does; `private` for the owner alone to read. Raises OutputError."""
    with whole_file(path, make_folder=True) as part:
        part.touch(0o600 if private else 0o666)
        part.write_text(content, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a file of JSON as `write_bytes` does. Raises OutputError."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a .safetensors file as `write_bytes` does.

    Args:
        path: the file.
        tensors: on the CPU, each contiguous.
        metadata: text to keep with them.

    Raises:
        OutputError: the place cannot be written.
    """
    from safetensors import SafetensorError  # here, for whoever writes no tensors need not wait for torch
    from safetensors.torch import save_file

    with whole_file(path, make_folder=True) as part:
        part.touch()
        mode = part.stat().st_mode  # as the umask wants it; safetensors makes files that the owner alone can read
        try:
            save_file(dict(tensors), part, dict(metadata or {}))
        except SafetensorError as error:
            raise OSError(str(error)) from error
        part.chmod(mode)
