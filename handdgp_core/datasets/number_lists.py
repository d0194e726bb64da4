"""JSON files that are one long list of equal number arrays, read without building Python lists.

FreiHAND's vertices are 76 million numbers in one JSON file: as Python objects they fill the memory of most machines.
Here they are parsed in pieces, once, into a NumPy file in the user's cache, which every loader process maps.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from handdgp_core.files import whole_file

__all__ = ["cached_array", "default_cache", "read_number_list"]

_PIECE_BYTES = 1 << 22
_LAYOUT = b"[] \t\r\n"
_ALLOWED = b"0123456789+-.eE," + _LAYOUT


def default_cache() -> Path:
    """Where converted data set files go."""
    return Path(platformdirs.user_cache_dir("handdgp-live")) / "datasets"


def cached_array(path: Path, item_shape: tuple[int, ...], cache: Path) -> Path:
    """The .npy file with the content of a JSON number list, made where it is not there yet.

    Args:
        path: the JSON file. A file of another size or date is converted again.
        item_shape: of every item of the list.
        cache: folder for the result, made where due.

    Returns:
        Path of a float32 array (N, *item_shape).

    Raises:
        ValueError: what is wrong with the JSON file, in words.
    """
    facts = path.stat()
    key = hashlib.sha256(f"{path.resolve()}|{facts.st_size}|{facts.st_mtime_ns}|{item_shape}".encode()).hexdigest()[:16]
    target = cache / f"{path.stem}-{key}.npy"
    if not target.exists():
        array = read_number_list(path, item_shape)
        with whole_file(target, make_folder=True) as part, part.open("wb") as file:
            np.save(file, array)
    return target


def read_number_list(path: Path, item_shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(N, *item_shape) float32 of a JSON file [[...], [...], ...]; item shape () for a plain list of numbers.

    Raises:
        ValueError: the file ends early, holds anything but numbers, or not a whole number of items.
    """
    pieces = [np.zeros(0, np.float32), *_pieces(path)]
    numbers = np.concatenate(pieces)
    size = int(np.prod(item_shape, dtype=np.int64))
    if numbers.size % size:
        raise ValueError(f"its {numbers.size} numbers are no multiple of {size} ({item_shape} per item)")
    if not np.isfinite(numbers).all():
        raise ValueError("it holds numbers that are not finite")
    return numbers.reshape(-1, *item_shape)


def _pieces(path: Path) -> Iterator[NDArray[np.float32]]:
    """The numbers, some at a time; whether brackets close is checked on the way."""
    depth, rest, last = 0, b"", b""
    with path.open("rb") as file:
        while chunk := file.read(_PIECE_BYTES):
            if chunk.translate(None, _ALLOWED):
                raise ValueError("it holds something else than lists of numbers")
            depth += chunk.count(b"[") - chunk.count(b"]")
            last = chunk.rstrip()[-1:] or last
            text = rest + chunk.translate(None, _LAYOUT)
            head, comma, rest = text.rpartition(b",")
            if comma:
                yield _numbers(head)
    if depth != 0 or last != b"]":
        raise ValueError("it ends in the middle of its list")
    if rest:
        yield _numbers(rest)


def _numbers(text: bytes) -> NDArray[np.float32]:
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("error", DeprecationWarning)  # what older NumPy does instead of raising
        try:
            return np.fromstring(text.decode("ascii"), dtype=np.float64, sep=",").astype(np.float32)
        except (DeprecationWarning, ValueError) as error:
            raise ValueError("it holds something that is no number") from error
