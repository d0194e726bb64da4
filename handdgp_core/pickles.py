"""A reader of pickles that runs nothing: the opcodes of Python's format over plain values and stand-ins.

A pickle is a program for a small stack machine: it may name any function, call it, and set attributes of what comes
back. Python's own machine gives it real types, recurses as deep as it likes and allocates what it claims to need.
This one knows only text, bytes, numbers, lists, tuples and dictionaries. A name in the file becomes a `Name`, made by
the caller's `find`; calling one makes a `StandIn`; what a stand-in means is decided afterwards, by `plain`.

The file alone decides how much is allocated: each value comes out of its bytes, and there are limits on the number of
steps, the depth, and the size of what `plain` makes.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "Expansion",
    "Name",
    "PickleError",
    "RefusedError",
    "StandIn",
    "check_size",
    "load",
    "load_at",
    "ordered",
    "read_limited",
]

_MOST_STEPS = 1_000_000
_MOST_VALUES = 1_000_000  # of the expanded content: a part that is named twice counts twice
_MOST_DEPTH = 100
_MOST_ODD_KEYS = 20_000  # keys that are no text, whose hashes a file could choose to collide
_LONGEST_NUMBER = 64  # bytes
_LARGEST_BYTES = 2 << 30
_BUDGET_BASE = 256 << 20  # sparse matrices come out dense
_BUDGET_FACTOR = 8


class PickleError(ValueError):
    """A pickle that is damaged or larger than it may be."""


class RefusedError(PickleError):
    """The file names a type or function that is not on the list; the text is that name."""


class StandIn:
    """An object of the file: what it was made from, and the states that were set on it, in order."""

    __slots__ = ("arguments", "states")

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.states: list[Any] = []

    def resolve(self, expansion: Expansion, depth: int) -> Any:
        """The plain value that this stands for; its parts by `expansion.plain(part, depth)`. Raises PickleError."""
        raise NotImplementedError

    def extend(self, values: Iterable[Any]) -> None:
        """Entries that the file adds, as to a list or dictionary. Raises PickleError."""
        raise PickleError("it adds entries to an object that has none")


class Name:
    """A name in the file: `make` is what a call of it gives. It has no attributes that a file could reach."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make

    def resolve(self) -> Any:
        """The plain value of the name itself, where it is not called. Raises PickleError."""
        raise PickleError("it holds a type where a value is expected")


class Expansion:
    """Turns what `load` gave into plain values, and counts what that makes.

    Args:
        file_bytes: size of the file; what is made may take 8 times that and 256 MiB, 2 GiB at most.
    """

    def __init__(self, file_bytes: int) -> None:
        self._bytes_left = min(_BUDGET_FACTOR * file_bytes + _BUDGET_BASE, _LARGEST_BYTES)
        self._values_left = _MOST_VALUES

    def charge(self, count: int) -> None:
        """Take so many bytes before they are made. Raises PickleError where too few are left."""
        if count < 0 or count > self._bytes_left:
            raise PickleError("its content is far larger than the file")
        self._bytes_left -= count

    def plain(self, value: Any, depth: int = 0) -> Any:
        """Containers with every stand-in turned into what it means; parts that are named twice are made twice."""
        self._values_left -= 1
        if self._values_left < 0:
            raise PickleError(f"it holds more than {_MOST_VALUES} values")
        if depth > _MOST_DEPTH:
            raise PickleError(f"it is nested more than {_MOST_DEPTH} deep, or holds itself")
        if isinstance(value, StandIn):
            value = value.resolve(self, depth + 1)
        elif isinstance(value, dict):
            return {self.plain(key, depth + 1): self.plain(entry, depth + 1) for key, entry in value.items()}
        elif isinstance(value, (list, tuple)):
            return type(value)([self.plain(entry, depth + 1) for entry in value])
        elif isinstance(value, Name):
            value = value.resolve()
        if isinstance(value, (str, bytes)):
            self.charge(len(value))
        elif isinstance(value, np.ndarray):
            self.charge(value.nbytes)
        return value


def read_limited(file: Path) -> bytes:
    """The bytes of a regular file of at most 2 GiB. Raises OSError, PickleError."""
    check_size(file)
    return file.read_bytes()


def check_size(file: Path) -> None:
    """Raises PickleError unless this is a regular file of at most 2 GiB; OSError where there is none."""
    status = file.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    if not stat.S_ISREG(status.st_mode):
        raise PickleError("it is no regular file")
    if status.st_size > _LARGEST_BYTES:
        raise PickleError(f"it is larger than {_LARGEST_BYTES >> 30} GiB")


def ordered(items: Any = ()) -> dict[Any, Any]:
    """What an ordered dictionary stands for; Python 2 gives its items as lists of two. Raises PickleError."""
    if not isinstance(items, (list, tuple)):
        raise PickleError("it holds a dictionary without items")
    made = {}
    for item in items:
        if not isinstance(item, (list, tuple)) or len(item) != 2 or not isinstance(item[0], str):
            raise PickleError("it holds a dictionary without items")
        made[item[0]] = item[1]
    return made


def load(content: bytes, find: Callable[[str, str], Name], persistent: Callable[[Any], Any] | None = None) -> Any:
    """The value of a pickle, in stand-ins. `load_at` says the rest."""
    return load_at(content, 0, find, persistent)[0]


def load_at(
    content: bytes, start: int, find: Callable[[str, str], Name], persistent: Callable[[Any], Any] | None = None
) -> tuple[Any, int]:
    """The value of the pickle that begins at `start`, and where it ends.

    Args:
        content: the file.
        start: offset of the first opcode.
        find: gives what stands for a module's name; raises RefusedError.
        persistent: gives what stands for an object that is kept outside of the pickle; None refuses such.

    Raises:
        PickleError: damaged, too large, or not of the plain kind. RefusedError: a name that is not on the list.
    """
    machine = _Machine(content, start, find, persistent)
    try:
        return machine.run(), machine.place
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error, MemoryError) as error:
        if isinstance(error, PickleError):
            raise
        raise PickleError(f"it is damaged ({type(error).__name__}: {str(error)[:100]})") from error


_KEYS = (str, bytes, int, float, type(None), StandIn)


class _Mark:
    """Where the entries of a container begin on the stack."""


_MARK = _Mark()


class _Machine:
    def __init__(
        self,
        content: bytes,
        start: int,
        find: Callable[[str, str], Name],
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        self.place = start
        self._content, self._find, self._persistent = content, find, persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._odd_keys = 0
        self._steps = 0

    def run(self) -> Any:
        content = self._content
        while True:
            self._spend(1)
            code = content[self.place]
            self.place += 1
            if code == _STOP:
                return self._last()
            step = _STEPS.get(code)
            if step is None:
                raise PickleError(f"it is damaged, or no pickle of plain values (opcode {bytes([code])!r})")
            step(self)

    def _last(self) -> Any:
        value = self._pop()
        if self._stack:
            raise PickleError("it is damaged (values that belong to nothing)")
        return value

    # Reading

    def _spend(self, count: int) -> None:
        self._steps += count
        if self._steps > _MOST_STEPS:
            raise PickleError(f"it takes more than {_MOST_STEPS} steps")

    def take(self, count: int) -> bytes:
        end = self.place + count
        if not 0 <= count <= len(self._content) - self.place:
            raise PickleError("it is cut off")
        part, self.place = self._content[self.place : end], end
        return part

    def number(self, layout: str) -> int:
        return int(struct.unpack(layout, self.take(struct.calcsize(layout)))[0])

    def line(self) -> bytes:
        end = self._content.find(b"\n", self.place)
        if end < 0:
            raise PickleError("it is cut off")
        part, self.place = self._content[self.place : end], end + 1
        return part

    # Stack

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise PickleError("it is damaged (a mark instead of a value)")
        return value

    def entries(self) -> list[Any]:
        """What was pushed since the last mark."""
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                found = self._stack[place + 1 :]
                del self._stack[place:]
                self._spend(len(found))
                return found
        raise PickleError("it is damaged (no mark)")

    def pop(self, count: int) -> list[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def top(self) -> Any:
        value = self._stack[-1]
        if value is _MARK:
            raise PickleError("it is damaged (a mark instead of a value)")
        return value

    def drop(self) -> None:
        self._stack.pop()

    # Values

    def append(self, values: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, (list, StandIn)):
            raise PickleError("it is damaged (entries of something that is no list)")
        target.extend(values)

    def set_items(self, flat: list[Any]) -> None:
        target = self.top()
        if len(flat) % 2 or not isinstance(target, (dict, StandIn)):
            raise PickleError("it is damaged (items of something that is no dictionary)")
        keys = flat[::2]
        for key in keys:
            self._check_key(key)
        if isinstance(target, dict):
            target.update(zip(keys, flat[1::2], strict=True))
        else:
            target.extend(flat)

    def _check_key(self, key: Any) -> None:
        if isinstance(key, str):
            return
        self._odd_keys += 1
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) > 16 or not all(isinstance(part, _KEYS) for part in parts):
            raise PickleError("it holds a key that is neither text nor a number")
        if self._odd_keys > _MOST_ODD_KEYS:
            raise PickleError(f"it has more than {_MOST_ODD_KEYS} keys that are no text")

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > 500:
            raise PickleError("it is damaged (a name that is no text)")
        self.push(self._find(module, name))

    def call(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, Name):
            raise RefusedError("a call of something that is no function")
        if not isinstance(arguments, tuple):
            raise PickleError("it is damaged (a call without arguments)")
        self._spend(sum(len(part) for part in arguments if isinstance(part, list)))
        self.push(function.make(*arguments))

    def build(self) -> None:
        state = self._pop()
        target = self.top()
        if isinstance(target, StandIn):
            target.states.append(state)
        elif not isinstance(target, dict):  # those of an ordered dictionary are not kept
            raise PickleError("it sets attributes of something that has none")

    def put(self, number: int) -> None:
        if not 0 <= number < _MOST_STEPS:
            raise PickleError("it is damaged (a memo of absurd size)")
        self._memo[number] = self.top()

    def get(self, number: int) -> None:
        self.push(self._memo[number])

    def put_next(self) -> None:
        self.put(len(self._memo))

    def outside(self, name: Any) -> None:
        if self._persistent is None:
            raise RefusedError("an object outside of the file")
        self.push(self._persistent(name))


def _long(machine: _Machine, length: int) -> None:
    if not 0 <= length <= _LONGEST_NUMBER:
        raise PickleError("it holds a whole number of absurd length")
    machine.push(int.from_bytes(machine.take(length), "little", signed=True))


def _decimal(machine: _Machine, booleans: bool = False) -> None:
    text = machine.line()
    if booleans and text in (b"00", b"01"):
        machine.push(text == b"01")
        return
    if len(text) > 2 * _LONGEST_NUMBER:
        raise PickleError("it holds a whole number of absurd length")
    machine.push(int(text.removesuffix(b"L")))


def _quoted(machine: _Machine) -> None:
    """Text of Python 2: bytes between quotes."""
    text = machine.line()
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b'"', b"'"):
        raise PickleError("it is damaged (text without quotes)")
    machine.push(codecs.escape_decode(text[1:-1])[0].decode("latin1"))


def _text(machine: _Machine, length: int) -> None:
    machine.push(machine.take(length).decode("utf-8", "surrogatepass"))


def _old_text(machine: _Machine, length: int) -> None:
    machine.push(machine.take(length).decode("latin1"))


def _instance(machine: _Machine) -> None:
    module, name = machine.line().decode(), machine.line().decode()
    arguments = tuple(machine.entries())
    machine.name(module, name)
    machine.call(machine.pop(1)[0], arguments)


def _object(machine: _Machine) -> None:
    function, *arguments = machine.entries()
    machine.call(function, tuple(arguments))


def _new_with_names(machine: _Machine) -> None:
    function, arguments, names = machine.pop(3)
    if names:
        raise PickleError("it holds an object with named arguments")
    machine.call(function, arguments)


def _dictionary(machine: _Machine, flat: list[Any]) -> None:
    machine.push({})
    machine.set_items(flat)


_STOP = ord(".")
_STEPS: dict[int, Callable[[_Machine], object]] = {
    ord(code): step
    for code, step in {
        "\x80": lambda m: m.take(1),
        "\x95": lambda m: m.take(8),  # a frame: its opcodes follow
        "(": lambda m: m.push(_MARK),
        "0": lambda m: m.drop(),
        "1": lambda m: m.entries(),
        "2": lambda m: m.push(m.top()),
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "I": lambda m: _decimal(m, booleans=True),
        "L": _decimal,
        "J": lambda m: m.push(m.number("<i")),
        "K": lambda m: m.push(m.number("<B")),
        "M": lambda m: m.push(m.number("<H")),
        "\x8a": lambda m: _long(m, m.number("<B")),
        "\x8b": lambda m: _long(m, m.number("<i")),
        "F": lambda m: m.push(float(m.line())),
        "G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
        "S": _quoted,
        "T": lambda m: _old_text(m, m.number("<i")),
        "U": lambda m: _old_text(m, m.number("<B")),
        "V": lambda m: m.push(m.line().decode("raw-unicode-escape")),
        "X": lambda m: _text(m, m.number("<I")),
        "\x8c": lambda m: _text(m, m.number("<B")),
        "\x8d": lambda m: _text(m, m.number("<Q")),
        "B": lambda m: m.push(m.take(m.number("<I"))),
        "C": lambda m: m.push(m.take(m.number("<B"))),
        "\x8e": lambda m: m.push(m.take(m.number("<Q"))),
        "\x96": lambda m: m.push(m.take(m.number("<Q"))),
        "]": lambda m: m.push([]),
        "l": lambda m: m.push(m.entries()),
        "a": lambda m: m.append(m.pop(1)),
        "e": lambda m: m.append(m.entries()),
        ")": lambda m: m.push(()),
        "t": lambda m: m.push(tuple(m.entries())),
        "\x85": lambda m: m.push(tuple(m.pop(1))),
        "\x86": lambda m: m.push(tuple(m.pop(2))),
        "\x87": lambda m: m.push(tuple(m.pop(3))),
        "}": lambda m: m.push({}),
        "d": lambda m: _dictionary(m, m.entries()),
        "s": lambda m: m.set_items(m.pop(2)),
        "u": lambda m: m.set_items(m.entries()),
        "p": lambda m: m.put(int(m.line()[:20])),
        "q": lambda m: m.put(m.number("<B")),
        "r": lambda m: m.put(m.number("<I")),
        "\x94": lambda m: m.put_next(),
        "g": lambda m: m.get(int(m.line()[:20])),
        "h": lambda m: m.get(m.number("<B")),
        "j": lambda m: m.get(m.number("<I")),
        "c": lambda m: m.name(m.line().decode(), m.line().decode()),
        "\x93": lambda m: m.name(*m.pop(2)),
        "R": lambda m: m.call(*m.pop(2)),
        "\x81": lambda m: m.call(*m.pop(2)),
        "\x92": _new_with_names,
        "i": _instance,
        "o": _object,
        "b": lambda m: m.build(),
        "P": lambda m: m.outside(m.line().decode()),
        "Q": lambda m: m.outside(m.pop(1)[0]),
    }.items()
}
