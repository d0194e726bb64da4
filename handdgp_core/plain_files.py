"""The door for JSON, YAML and NumPy files that may be anything: limits before anything is made, one kind of error.

Every function raises OSError where there is no such file, and ValueError, in words, for whatever is wrong in it.
Loaders turn both into an error of their own that names the file.
"""

from __future__ import annotations

import json
import math
import os
import stat
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from handdgp_core.files import MIB

__all__ = ["SafeLoader", "is_archive", "map_npy", "parse_json", "parse_yaml", "read_json", "read_npz", "read_text"]

_MOST_DEPTH = 50
_MOST_YAML = 256 << 10
_MOST_ENTRIES = 1000
_LARGEST_WHOLE = 1 << 64
_KINDS = "biufSU"  # of arrays: truth values, whole and real numbers, text


def read_text(path: Path, most_bytes: int = 16 * MIB) -> str:
    """A regular file of UTF-8 text."""
    _check_file(path, most_bytes)
    return path.read_text(encoding="utf-8")


def read_json(path: Path, most_bytes: int = 16 * MIB) -> Any:
    """A file of JSON whose numbers are finite and of ordinary size."""
    return parse_json(read_text(path, most_bytes))


def parse_json(text: str, any_number: bool = False) -> Any:
    """JSON of at most 50 levels, its text without halves of characters.

    Args:
        text: the JSON.
        any_number: let NaN and numbers of any size pass, for a caller that checks each value.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {_MOST_DEPTH} deep") from error
    _check_values(content, any_number)
    return content


# LibYAML's where PyYAML was built with it: ten times as fast. Both make plain values alone.
SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(text: str, loader: Any = SafeLoader) -> Any:
    """YAML of at most 50 levels and 256 KiB, without aliases, with which a few bytes can stand for gigabytes.

    Args:
        text: the YAML.
        loader: `SafeLoader` or a class of it.
    """
    if len(text) > _MOST_YAML:
        raise ValueError(f"it is longer than {_MOST_YAML >> 10} KiB")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it has aliases (*name)")
            if depth > _MOST_DEPTH:
                raise ValueError(f"it is nested more than {_MOST_DEPTH} deep")
        return yaml.load(text, Loader=loader)
    except (yaml.YAMLError, TypeError, OverflowError, AttributeError) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error


def read_npz(path: Path, most_bytes: int = 1024 * MIB) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file, in memory: numbers and text, nothing else.

    Args:
        path: the file.
        most_bytes: what the arrays may take in all.
    """
    _check_file(path, most_bytes)
    if not is_archive(path):
        raise ValueError("it is no archive of arrays")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > _MOST_ENTRIES or sum(entry.file_size for entry in entries) > most_bytes:
                raise ValueError(f"its arrays are larger than {most_bytes // MIB} MiB")
            return {entry.filename.removesuffix(".npy"): _array(archive, entry) for entry in entries}
    except ValueError:
        raise
    except Exception as error:  # damaged bytes surface as zipfile, zlib, struct, memory and other errors
        raise ValueError(f"{type(error).__name__}: {error}"[:300]) from error


def is_archive(path: Path) -> bool:
    """Whether it is a zip file, perhaps a damaged one, of which reading it tells more. Raises OSError."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # as it states several disks
        return True


def map_npy(path: Path) -> NDArray[Any]:
    """The one array of an .npy file, mapped and not read."""
    _check_file(path, 1 << 62)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        raise
    except Exception as error:  # a damaged head surfaces as whatever its text raises
        raise ValueError(f"{type(error).__name__}: {error}"[:300]) from error


def _check_file(path: Path, most_bytes: int) -> None:
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    if status.st_size > most_bytes:
        raise ValueError(f"it is larger than {most_bytes // MIB} MiB")


def _check_values(content: Any, any_number: bool) -> None:
    levels = [content]
    for _ in range(_MOST_DEPTH):
        inner: list[Any] = []
        for value in levels:
            if isinstance(value, dict):
                inner.extend(value)
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
            elif isinstance(value, str):
                _check_text(value)
            elif isinstance(value, (int, float)) and not (any_number or _is_ordinary(value)):
                raise ValueError("it holds a number that is not finite, or of absurd size")
        if not inner:
            return
        levels = inner
    raise ValueError(f"it is nested more than {_MOST_DEPTH} deep")


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("it holds half of a character") from error


def _is_ordinary(number: float) -> bool:
    return math.isfinite(number) if isinstance(number, float) else abs(number) <= _LARGEST_WHOLE


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(entry) as file:
        dtype, shape, fortran = _head(file)
        content = file.read()
    if math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"{entry.filename} has {len(content)} bytes, which do not make an array of shape {shape}")
    array: NDArray[Any] = np.frombuffer(bytearray(content), dtype) if content else np.empty(0, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _head(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"it holds an array of the unknown version {version}")
    shape, fortran, dtype = readers[version](file)
    if dtype.kind not in _KINDS or not all(length >= 0 for length in shape):
        raise ValueError(f"it holds an array of {dtype}, which are neither numbers nor text")
    return dtype, shape, fortran
