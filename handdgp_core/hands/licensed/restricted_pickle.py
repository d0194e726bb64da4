"""Reads old model files (MANO, SMPL, MobRecon's template) that are Python pickles, without running what lies in them.

A pickle is a program: it may name any function and call it. Here it may name a short list of types and no more. Arrays
and sparse matrices come out as NumPy arrays (sparse ones dense); so do the arrays of the retired package chumpy, which
old files are full of and which need not be installed. Anything else is refused by name.
"""

from __future__ import annotations

import codecs
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array, csr_array

from handdgp_core.errors import AssetError

__all__ = ["read_pickle"]

_LARGEST_BYTES = 2 << 30


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
        if file.stat().st_size > _LARGEST_BYTES:
            raise unreadable(file, what, f"it is larger than {_LARGEST_BYTES >> 30} GiB", hint)
        content = _Unpickler(io.BytesIO(file.read_bytes())).load()
        return _plain(content)
    except FileNotFoundError as error:
        raise unreadable(file, what, "the file does not exist", hint) from error
    except _RefusedError as error:
        reason = f"it names {error}, and such a file could run any command, so it is not read"
        raise unreadable(file, what, reason, hint) from error
    except AssetError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise unreadable(file, what, f"{type(error).__name__}: {error}", hint) from error


def unreadable(file: Path, what: str, reason: str, hint: str) -> AssetError:
    """The error for a model file that is not what it should be."""
    return AssetError(f"Could not read {what} from {file}: {reason}.", hint=hint)


class _RefusedError(pickle.UnpicklingError):
    """The file names a type or function that is not on the list."""


class _Unpickler(pickle.Unpickler):
    """Finds only what is on the list. What it hands out is new for each file: a pickle can also set attributes."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, encoding="latin1")
        self._states = {kind: type(f"_{kind}", (_State,), {"kind": kind}) for kind in _KINDS}

    def find_class(self, module: str, name: str) -> Any:
        if module in _TYPES and name in _TYPES[module]:
            return _TYPES[module][name]
        if module in _FUNCTIONS and name in _FUNCTIONS[module]:
            return _Function(_FUNCTIONS[module][name])
        kind = _state_kind(module, name)
        if kind is None:
            raise _RefusedError(f"{module}.{name}")
        return self._states[kind]

    def persistent_load(self, number: Any) -> Any:
        raise _RefusedError("an object outside of the file")


class _State:
    """An object of a known type whose content is kept as plain values and understood later, by `_plain`."""

    kind = ""
    values: dict[str, Any]

    def __new__(cls, *_arguments: object) -> _State:  # a pickle need not call __init__
        made = super().__new__(cls)
        made.values = {}
        return made

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.values.update(part)


class _Function:
    """A function that a pickle may call and not alter."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)


def _empty_array(_kind: object, _shape: object, _dtype: object) -> NDArray[Any]:
    """In place of NumPy's `_reconstruct`: the array's real shape and type follow as its state."""
    return np.ndarray((0,), dtype=np.int8)


def _from_buffer(content: Any, dtype: np.dtype[Any], shape: tuple[int, ...], order: str, *_axes: object) -> Any:
    """In place of NumPy's `_frombuffer`, which protocol 5 uses."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject or order not in ("C", "F"):
        raise ValueError("a buffer that holds no numbers")
    return np.frombuffer(content, dtype=dtype).reshape(shape, order="C" if order == "C" else "F").copy()


def _scalar(dtype: np.dtype[Any], content: Any = None) -> Any:
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(content, (bytes, str)):
        raise ValueError("a scalar that is no number")
    raw = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(raw, dtype=dtype, count=1)[0]


def _new_object(kind: Any, *_arguments: object) -> Any:
    """In place of `copy_reg._reconstructor` and `__newobj__`: only the types of this file."""
    if not (isinstance(kind, type) and issubclass(kind, _State)):
        raise _RefusedError(f"an object of {kind!r}")
    return kind()


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """Python 3 writes bytes into old pickles as text with its encoding."""
    if encoding not in ("latin1", "latin-1", "utf-8", "utf8", "ascii"):
        raise ValueError(f"text in {encoding}")
    return codecs.encode(text, encoding)


def _no_bytes() -> bytes:
    """Python 3 writes empty bytes into old pickles as a call."""
    return b""


_KINDS = ("csc", "csr", "coo", "ch", "select")
_SPARSE: dict[str, Callable[..., Any]] = {"csc": csc_array, "csr": csr_array}
_NUMPY_FUNCTIONS: dict[str, Callable[..., Any]] = {"_reconstruct": _empty_array, "scalar": _scalar}
# Immutable types and functions, by the modules that pickles of several Python and NumPy versions name.
_TYPES: dict[str, dict[str, Any]] = {
    "numpy": {"ndarray": np.ndarray, "dtype": np.dtype},
    "__builtin__": {"object": object},
    "builtins": {"object": object},
    "collections": {"OrderedDict": OrderedDict},
}
_FUNCTIONS: dict[str, dict[str, Callable[..., Any]]] = {
    "numpy.core.multiarray": _NUMPY_FUNCTIONS,
    "numpy._core.multiarray": _NUMPY_FUNCTIONS,
    "numpy.core.numeric": {"_frombuffer": _from_buffer},
    "numpy._core.numeric": {"_frombuffer": _from_buffer},
    "copy_reg": {"_reconstructor": _new_object},
    "copyreg": {"_reconstructor": _new_object, "__newobj__": _new_object},
    "_codecs": {"encode": _encoded},
    "__builtin__": {"bytes": _no_bytes},
}


def _state_kind(module: str, name: str) -> str | None:
    """Which kind of `_State` stands for a sparse matrix or an array of chumpy; None for anything else."""
    if module == "scipy.sparse" or module.startswith("scipy.sparse."):
        kind, _, rest = name.partition("_")
        return kind if rest in ("matrix", "array") and kind in ("csc", "csr", "coo") else None
    return {("chumpy.ch", "Ch"): "ch", ("chumpy", "Ch"): "ch", ("chumpy.reordering", "Select"): "select"}.get(
        (module, name)
    )


def _plain(value: Any) -> Any:
    """Containers with every `_State` turned into an array."""
    if isinstance(value, _State):
        return _array(value)
    if isinstance(value, dict):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(entry) for entry in value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [_plain(entry) for entry in value.tolist()] if value.ndim else _plain(value.item())
    return value


def _array(state: _State) -> NDArray[Any]:
    values = {key: _plain(entry) for key, entry in state.values.items()}
    if state.kind == "ch":
        return np.asarray(values["x"])
    if state.kind == "select":  # some entries of another array
        picked = np.asarray(values["a"]).ravel()[np.asarray(values["idxs"])]
        return picked.reshape(values["preferred_shape"]) if "preferred_shape" in values else picked
    shape = tuple(int(length) for length in values.get("_shape", values.get("shape", ())))
    if len(shape) != 2 or np.prod(shape, dtype=np.float64) * 8 > _LARGEST_BYTES:
        raise ValueError(f"a sparse matrix of shape {shape}")
    data = np.asarray(values["data"])
    if state.kind == "coo":
        row, column = values["coords"] if "coords" in values else (values["row"], values["col"])
        return np.asarray(coo_array((data, (np.asarray(row), np.asarray(column))), shape=shape).toarray())
    index, pointer = np.asarray(values["indices"]), np.asarray(values["indptr"])
    matrix = _SPARSE[state.kind]((data, index, pointer), shape=shape)
    matrix.check_format(full_check=True)
    return np.asarray(matrix.toarray())
