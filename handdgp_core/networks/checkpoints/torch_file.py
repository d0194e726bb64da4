"""The container of `torch.save`: a pickle, and the bytes of its tensors beside it, in a zip file or behind each other.

Each tensor is a view of a storage that the file holds in full: nothing is made that the file does not contain.
"""

from __future__ import annotations

import math
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from handdgp_core.pickles import (
    Expansion,
    Name,
    PickleError,
    RefusedError,
    StandIn,
    check_size,
    load,
    load_at,
    ordered,
    read_limited,
)
from handdgp_core.plain_files import is_archive

__all__ = ["Skipped", "read_torch"]

_LEGACY_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
_LEGACY_VERSION = 1001
_MOST_DIMENSIONS = 16
_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# Who names these wants to run something; whatever else is unknown is skipped, and does not run either.
_RUNS = {
    "os",
    "posix",
    "nt",
    "sys",
    "subprocess",
    "importlib",
    "runpy",
    "shutil",
    "socket",
    "pty",
    "commands",
}
_RUNS_BUILTIN = {"eval", "exec", "execfile", "compile", "open", "file", "input", "breakpoint", "__import__"}


class Skipped(StandIn):
    """Stands for an object of a type that is not read, such as a training program's settings."""

    __slots__ = ()

    def resolve(self, expansion: Expansion, depth: int) -> Skipped:
        return self

    def extend(self, values: object) -> None:
        pass


def read_torch(file: Path) -> Any:
    """What `torch.save` wrote: numbers, text, containers, tensors on the CPU; `Skipped` for anything else.

    Raises:
        OSError: the file cannot be read. PickleError: it is damaged, or of another kind. RefusedError: it names what
        runs something.
    """
    check_size(file)
    size = file.stat().st_size
    reader = _Reader(size)
    tree = _read_zip(file, reader) if is_archive(file) else _read_legacy(read_limited(file), reader)
    return Expansion(size).plain(tree)


class _Reader:
    """The storages that one file's pickle names, by key; their bytes come afterwards."""

    def __init__(self, file_bytes: int) -> None:
        self.storages: dict[str, _Storage] = {}
        self.file_bytes = self._bytes_left = file_bytes
        self._names: dict[str, dict[str, Callable[..., Any]]] = {
            "collections": {"OrderedDict": ordered},
            "torch._utils": {"_rebuild_tensor_v2": _View, "_rebuild_parameter": _parameter},
        }

    def find(self, module: str, name: str) -> Name:
        if module == "torch" and name in _STORAGES:
            return _StorageType(_STORAGES[name])
        if module.split(".")[0] in _RUNS or (module in ("builtins", "__builtin__") and name in _RUNS_BUILTIN):
            raise RefusedError(f"{module}.{name}"[:200])
        return _TorchName(self._names.get(module, {}).get(name, Skipped))

    def outside(self, place: Any) -> StandIn | Name:
        """What a persistent id means: ("storage", type, key, device, count, and the view in old files), or a type."""
        if isinstance(place, tuple) and len(place) == 4 and place[0] == "module":
            return _TorchName(Skipped)
        if not isinstance(place, tuple) or len(place) not in (5, 6) or place[0] != "storage":
            raise PickleError("it holds an object outside of the file that is no storage")
        kind, key, count = place[1], place[2], place[4]
        if not isinstance(kind, _StorageType):
            return Skipped()
        if len(place) == 6 and place[5] is not None:
            raise PickleError("it holds a view of a storage, as files of very old versions do")
        if not isinstance(key, str) or len(key) > 100 or type(count) is not int or count < 0:
            raise PickleError("it holds a storage without a name or a size")
        known = self.storages.get(key)
        if known is None:
            known = self.storages[key] = _Storage(kind.dtype, count)
        elif (known.dtype, known.count) != (kind.dtype, count):
            raise PickleError(f"it holds two storages {key}")
        return known

    def fill(self, key: str, content: bytes) -> None:
        """Give a storage its bytes, which may not be more than the file has in all."""
        storage = self.storages[key]
        if len(content) != storage.byte_count:
            raise PickleError(f"its storage {key} has {len(content)} bytes instead of {storage.byte_count}")
        self._bytes_left -= len(content)
        if self._bytes_left < 0:
            raise PickleError("its storages overlap")
        storage.fill(content)


class _TorchName(Name):
    """A type or function; one that is kept as a value is skipped."""

    __slots__ = ()

    def resolve(self) -> Skipped:
        return Skipped()


class _StorageType(_TorchName):
    """A name that stands for the numbers of a storage."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__(Skipped)
        self.dtype = dtype


class _Storage(StandIn):
    """The numbers of one or more tensors, in a row."""

    __slots__ = ("count", "dtype", "numbers")

    def __init__(self, dtype: torch.dtype, count: int) -> None:
        super().__init__()
        self.dtype, self.count = dtype, count
        self.numbers: Tensor | None = None

    @property
    def byte_count(self) -> int:
        return self.count * self.dtype.itemsize

    def fill(self, content: bytes) -> None:
        if self.dtype == torch.bool and content.translate(None, b"\0\1"):
            raise PickleError("it holds truth values that are neither 0 nor 1")
        self.numbers = torch.empty(0, dtype=self.dtype)
        if content:
            self.numbers = torch.frombuffer(bytearray(content), dtype=self.dtype)

    def resolve(self, expansion: Expansion, depth: int) -> Skipped:
        return Skipped()  # a storage that is no tensor's


class _View(StandIn):
    """A tensor: storage, offset, size, stride; whether it is trained and its hooks do not matter."""

    __slots__ = ()

    def resolve(self, expansion: Expansion, depth: int) -> Any:
        storage, offset, size, stride = self.arguments[:4]
        if isinstance(storage, Skipped):
            return storage
        if not isinstance(storage, _Storage) or storage.numbers is None:
            raise PickleError("it holds a tensor without numbers")
        if not _whole((offset,)) or not _whole(size) or not _whole(stride) or len(size) != len(stride):
            raise PickleError("it holds a tensor of no possible shape")
        count = math.prod(size)
        last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        if count > storage.count or (count and last >= storage.count) or offset > storage.count:
            raise PickleError(f"it holds a tensor of shape {size} beyond the end of its storage")
        expansion.charge(count * storage.dtype.itemsize)
        return (
            torch.as_strided(storage.numbers, size, stride, offset) if count else torch.empty(size, dtype=storage.dtype)
        )


def _whole(values: Any) -> bool:
    """Whether these are a few numbers that sizes can be."""
    return (
        isinstance(values, tuple)
        and len(values) <= _MOST_DIMENSIONS
        and all(type(value) is int and 0 <= value < 1 << 40 for value in values)
    )


def _parameter(data: Any = None, *_others: object) -> Any:
    return data if isinstance(data, StandIn) else Skipped()


def _read_zip(file: Path, reader: _Reader) -> Any:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
                raise PickleError("its entries are compressed, as PyTorch never writes them")
            head = next((name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1), None)
            if head is None or sum(entry.file_size for entry in entries.values()) > reader.file_bytes:
                raise PickleError("it is no archive of PyTorch")
            folder = head.removesuffix("data.pkl")
            if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
                raise PickleError("its numbers are big-endian")
            tree = load(archive.read(head), reader.find, reader.outside)
            for key in reader.storages:
                reader.fill(key, archive.read(f"{folder}data/{key}"))
            return tree
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, KeyError) as error:
        raise PickleError(f"it is damaged ({str(error)[:100]})") from error


def _read_legacy(content: bytes, reader: _Reader) -> Any:
    """Four pickles (a magic number, the version, the system, the content), the keys, then each storage."""
    if not content.startswith(_LEGACY_MAGIC):
        raise PickleError("it is no file of PyTorch")
    place = len(_LEGACY_MAGIC)
    version, place = load_at(content, place, reader.find)
    system, place = load_at(content, place, reader.find)
    if version != _LEGACY_VERSION or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise PickleError("it is of an unknown version")
    tree, place = load_at(content, place, reader.find, reader.outside)
    keys, place = load_at(content, place, reader.find)
    if not isinstance(keys, list) or len(keys) != len(set(map(str, keys))) or set(keys) != reader.storages.keys():
        raise PickleError("its list of storages does not fit its tensors")
    for key in keys:
        storage = reader.storages[key]
        count = int.from_bytes(content[place : place + 8], "little")
        end = place + 8 + storage.byte_count
        if count != storage.count or end > len(content):
            raise PickleError("it is cut off")
        reader.fill(key, content[place + 8 : end])
        place = end
    return tree
