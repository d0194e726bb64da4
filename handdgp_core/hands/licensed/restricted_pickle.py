"""Reads old model files (MANO, SMPL, MobRecon's template) that are Python pickles, without running what lies in them.

`handdgp_core.pickles` reads the file; here is what its names may be: NumPy's arrays and numbers, SciPy's sparse
matrices and the arrays of the retired package chumpy, which old files are full of. No type of those packages is given
to the file: an array is made afterwards, out of bytes whose number must fit its shape and its type, which is a plain
number. Sparse matrices come out dense. Anything else is refused by name. Arrays may share bytes: they are read-only.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array, csr_array

from handdgp_core.errors import AssetError
from handdgp_core.pickles import Expansion, Name, PickleError, RefusedError, StandIn, load, ordered, read_limited

__all__ = ["numbers", "read_pickle", "unreadable", "whole_numbers"]

_TYPES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
_ORDERS = ("<", ">", "|", "=")
_MOST_DIMENSIONS = 8


def read_pickle(file: Path, what: str, hint: str) -> Any:
    """Numbers, text, lists, tuples, dictionaries and arrays out of a pickle; nothing of the file runs.

    Args:
        file: a pickle of Python 2 or 3.
        what: what the file should be, for messages.
        hint: what to do where it is not.

    Raises:
        AssetError: a file that is missing, damaged, too large, or names something that is not on the list.
    """
    try:
        content = read_limited(file)
        return Expansion(len(content)).plain(load(content, _find))
    except FileNotFoundError as error:
        raise unreadable(file, what, "the file does not exist", hint) from error
    except RefusedError as error:
        reason = f"it names {error}, and such a file could run any command, so it is not read"
        raise unreadable(file, what, reason, hint) from error
    except PickleError as error:
        raise unreadable(file, what, str(error), hint) from error
    except OSError as error:
        raise unreadable(file, what, error.strerror or str(error), hint) from error
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError) as error:  # parts that do not fit
        raise unreadable(file, what, f"{type(error).__name__}: {str(error)[:200]}", hint) from error


def unreadable(file: Path, what: str, reason: str, hint: str) -> AssetError:
    """The error for a model file that is not what it should be."""
    return AssetError(f"Could not read {what} from {file}: {reason}.", hint=hint)


def numbers(value: Any) -> NDArray[np.float64]:
    """Numbers of a pickle as float64. Raises ValueError, TypeError."""
    return np.asarray(value, dtype=np.float64)


def whole_numbers(value: Any) -> NDArray[np.int32]:
    """Whole numbers of a pickle, none changed by becoming int32. Raises ValueError, TypeError."""
    given = value if isinstance(value, np.ndarray) else numbers(value)
    with np.errstate(invalid="ignore"):
        whole = given.astype(np.int32)
    if not np.array_equal(whole, given):
        raise ValueError("not whole numbers of 32 bits")
    return whole


class _DType(StandIn):
    """A type of numbers: its code is the first argument, its byte order in its state."""

    __slots__ = ()

    def resolve(self, expansion: Expansion, depth: int) -> np.dtype[Any]:
        code = self.arguments[0] if self.arguments else None
        if isinstance(code, bytes):
            code = code.decode("latin1")
        order = "="
        for state in self.states:
            if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
                raise PickleError("it holds an array of something else than plain numbers")
            order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if not isinstance(code, str) or code not in _TYPES or order not in _ORDERS:
            shown = code[:20] if isinstance(code, str) else type(code).__name__
            raise PickleError(f"it holds an array of the type {shown}, which is no plain number")
        return np.dtype(code) if order == "|" else np.dtype(order + code)


def _dtype(value: Any, expansion: Expansion, depth: int) -> np.dtype[Any]:
    if not isinstance(value, _DType):
        raise PickleError("it holds an array without a type")
    return value.resolve(expansion, depth)


def _raw(value: Any, expansion: Expansion) -> bytes:
    if isinstance(value, str):  # as Python 2 kept bytes
        expansion.charge(len(value))
        return value.encode("latin1")
    if not isinstance(value, bytes):
        raise PickleError("it holds an array that is not made of bytes")
    return value


def _shaped(raw: bytes, dtype: np.dtype[Any], shape: Any, order: Any) -> NDArray[Any]:
    """An array over these bytes, none missing and none left."""
    lengths = shape if isinstance(shape, tuple) else (shape,)
    if len(lengths) > _MOST_DIMENSIONS or not all(type(length) is int and length >= 0 for length in lengths):
        raise PickleError("it holds an array of no possible shape")
    if math.prod(lengths) * dtype.itemsize != len(raw):
        raise PickleError(f"it holds an array of shape {str(lengths)[:100]} made of {len(raw)} bytes")
    return np.frombuffer(raw, dtype).reshape(lengths, order="F" if order in (True, 1, "F") else "C")


class _Array(StandIn):
    """What NumPy's `_reconstruct` begins: shape, type, order and bytes are the last state."""

    __slots__ = ()

    def resolve(self, expansion: Expansion, depth: int) -> NDArray[Any]:
        state = self.states[-1] if self.states else None
        if not isinstance(state, tuple) or len(state) != 5:
            raise PickleError("it holds an array without content")
        _, shape, dtype, order, raw = state
        return _shaped(_raw(raw, expansion), _dtype(dtype, expansion, depth), shape, order)


class _Buffer(StandIn):
    """What protocol 5 has for an array: bytes, type, shape, order."""

    __slots__ = ()

    def resolve(self, expansion: Expansion, depth: int) -> NDArray[Any]:
        raw, dtype, shape, order = self.arguments[:4]
        return _shaped(_raw(raw, expansion), _dtype(dtype, expansion, depth), shape, order)


class _Scalar(StandIn):
    """One number: its type and its bytes."""

    __slots__ = ()

    def resolve(self, expansion: Expansion, depth: int) -> Any:
        dtype, raw = self.arguments
        return _shaped(_raw(raw, expansion), _dtype(dtype, expansion, depth), (), "C")[()]


class _Attributed(StandIn):
    """An object whose state is a dictionary of attributes."""

    __slots__ = ()

    def attribute(self, *names: str) -> Any:
        for state in reversed(self.states):
            for part in state if isinstance(state, tuple) else (state,):
                for name in names:
                    if isinstance(part, dict) and name in part:
                        return part[name]
        raise PickleError(f"it holds an object without {names[0]}")

    def array(self, expansion: Expansion, depth: int, *names: str) -> NDArray[Any]:
        value = expansion.plain(self.attribute(*names), depth)
        if isinstance(value, (bool, int, float)):
            value = np.asarray(value)
        if not isinstance(value, (np.ndarray, np.generic)):
            raise PickleError(f"it holds an object whose {names[0]} is no array")
        return np.asarray(value)


class _Ch(_Attributed):
    """An array of chumpy."""

    __slots__ = ()

    def resolve(self, expansion: Expansion, depth: int) -> NDArray[Any]:
        return self.array(expansion, depth, "x")


class _Select(_Attributed):
    """Some entries of another array of chumpy."""

    __slots__ = ()

    def resolve(self, expansion: Expansion, depth: int) -> NDArray[Any]:
        source = self.array(expansion, depth, "a").ravel()
        places = self.array(expansion, depth, "idxs")
        expansion.charge(places.size * source.itemsize)
        if places.dtype.kind not in "iu" or (places.size and not 0 <= places.min() <= places.max() < source.size):
            raise PickleError("it holds a selection beyond its array")
        picked: NDArray[Any] = source[places]
        try:
            shape = expansion.plain(self.attribute("preferred_shape"), depth)
        except PickleError:
            return picked
        return picked.reshape(shape)


class _Sparse(_Attributed):
    """A matrix of SciPy, which comes out dense."""

    __slots__ = ()

    def resolve(self, expansion: Expansion, depth: int) -> NDArray[Any]:
        shape = expansion.plain(self.attribute("_shape", "shape"), depth)
        if (
            not isinstance(shape, tuple)
            or len(shape) != 2
            or not all(type(side) is int and side >= 0 for side in shape)
        ):
            raise PickleError("it holds a sparse matrix of no possible shape")
        data = self.array(expansion, depth, "data")
        try:
            expansion.charge(math.prod(shape) * data.itemsize)
        except PickleError as error:
            raise PickleError(f"it holds a sparse matrix of shape {str(shape)[:100]}, which is too large") from error
        return np.asarray(self._matrix(data, shape, expansion, depth).toarray())

    def _matrix(self, data: NDArray[Any], shape: tuple[int, ...], expansion: Expansion, depth: int) -> Any:
        raise NotImplementedError

    def _places(self, expansion: Expansion, depth: int, *names: str) -> NDArray[np.int64]:
        places = self.array(expansion, depth, *names)
        if places.dtype.kind not in "iu" or places.ndim != 1:
            raise PickleError(f"it holds a sparse matrix whose {names[0]} are no places")
        return places.astype(np.int64)


class _Coo(_Sparse):
    __slots__ = ()

    def _matrix(self, data: NDArray[Any], shape: tuple[int, ...], expansion: Expansion, depth: int) -> Any:
        try:
            coordinates = self.attribute("coords")
        except PickleError:
            row, column = (self._places(expansion, depth, name) for name in ("row", "col"))
        else:
            row, column = (np.asarray(part).astype(np.int64) for part in expansion.plain(coordinates, depth))
        return coo_array((data, (row, column)), shape=shape)  # checks the places


class _Compressed(_Sparse):
    __slots__ = ()
    make: Callable[..., Any]

    def _matrix(self, data: NDArray[Any], shape: tuple[int, ...], expansion: Expansion, depth: int) -> Any:
        parts = data, *(self._places(expansion, depth, name) for name in ("indices", "indptr"))
        matrix = type(self).make(parts, shape=shape)
        matrix.check_format(full_check=True)
        return matrix


class _Csc(_Compressed):
    __slots__ = ()
    make = csc_array


class _Csr(_Compressed):
    __slots__ = ()
    make = csr_array


_OBJECTS: dict[str, type[StandIn]] = {"csc": _Csc, "csr": _Csr, "coo": _Coo, "Ch": _Ch, "Select": _Select}
_CHUMPY = {("chumpy.ch", "Ch"), ("chumpy", "Ch"), ("chumpy.reordering", "Select")}


def _new_object(kind: Any, *_arguments: object) -> StandIn:
    """In place of `copy_reg._reconstructor` and `__newobj__`: only the objects of this file."""
    made = kind.make() if isinstance(kind, Name) else None
    if not isinstance(made, _Attributed):
        raise RefusedError("an object of a type that is not on the list")
    return made


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    """Python 3 writes bytes into old pickles as text with its encoding."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "utf-8", "utf8", "ascii"):
        raise PickleError("it holds text of an unknown encoding")
    return codecs.encode(text, encoding)


def _no_bytes() -> bytes:
    """Python 3 writes empty bytes into old pickles as a call."""
    return b""


def _not_called(*_arguments: object) -> Any:
    raise RefusedError("a type as if it were a function")


_ARRAYS: dict[str, Callable[..., Any]] = {"_reconstruct": _Array, "scalar": _Scalar}
_BUFFERS: dict[str, Callable[..., Any]] = {"_frombuffer": _Buffer}
# What may be called, by the modules that pickles of several Python and NumPy versions name.
_NAMES: dict[str, dict[str, Callable[..., Any]]] = {
    "numpy": {"ndarray": _not_called, "dtype": _DType},
    "numpy.core.multiarray": _ARRAYS,
    "numpy._core.multiarray": _ARRAYS,
    "numpy.core.numeric": _BUFFERS,
    "numpy._core.numeric": _BUFFERS,
    "copy_reg": {"_reconstructor": _new_object},
    "copyreg": {"_reconstructor": _new_object, "__newobj__": _new_object},
    "collections": {"OrderedDict": ordered},
    "_codecs": {"encode": _encoded},
    "__builtin__": {"object": _not_called, "bytes": _no_bytes},
    "builtins": {"object": _not_called},
}


def _find(module: str, name: str) -> Name:
    made = _NAMES.get(module, {}).get(name)
    if made is not None:
        return Name(made)
    if (module, name) in _CHUMPY:
        return Name(_OBJECTS[name])
    kind, _, rest = name.partition("_")
    if module.split(".")[:2] == ["scipy", "sparse"] and rest in ("matrix", "array") and kind in ("csc", "csr", "coo"):
        return Name(_OBJECTS[kind])
    raise RefusedError(f"{module}.{name}"[:200])
