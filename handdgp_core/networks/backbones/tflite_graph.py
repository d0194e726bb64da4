"""Reads the graph of a TensorFlow Lite model: operators, tensors and constants, nothing else.

A .tflite file is one FlatBuffer (https://flatbuffers.dev/internals/) in the layout of TensorFlow's `schema.fbs`
(Apache-2.0). Only what a plain convolutional network needs is read; half-precision constants come out as float32. No
code comes from the file, and an offset that leads out of it is an error, never a crash.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handdgp_core.errors import WeightsError

__all__ = ["Graph", "Operator", "Tensor", "read_graph"]

IDENTIFIER = b"TFL3"

# Numbers of schema.fbs (enum BuiltinOperator, enum TensorType, enum Padding, enum ActivationFunctionType).
OPERATORS = {
    0: "add",
    3: "conv_2d",
    4: "depthwise_conv_2d",
    6: "dequantize",
    9: "fully_connected",
    14: "logistic",
    40: "mean",
}
ELEMENT_TYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("<f2"), 2: np.dtype("<i4")}
PADDINGS = {0: "same", 1: "valid"}
ACTIVATIONS = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6"}

# Where the option tables keep a field: name -> (field number, struct format, value when absent).
_CONV_OPTIONS = {"padding": (0, "b", 0), "stride_w": (1, "i", 0), "stride_h": (2, "i", 0)}
_OPTIONS: dict[str, dict[str, tuple[int, str, int]]] = {
    "add": {"activation": (0, "b", 0)},
    "conv_2d": {**_CONV_OPTIONS, "activation": (3, "b", 0)},
    "depthwise_conv_2d": {**_CONV_OPTIONS, "multiplier": (3, "i", 0), "activation": (4, "b", 0)},
    "fully_connected": {"activation": (0, "b", 0)},
}


@dataclass(frozen=True)
class Tensor:
    """One tensor: its shape, and its float32 or int32 value where the file holds it."""

    name: str
    shape: tuple[int, ...]
    constant: NDArray[np.float32] | NDArray[np.int32] | None


@dataclass(frozen=True)
class Operator:
    """One operator, by the name of its kind; `inputs` and `outputs` number the graph's tensors (-1: none)."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    stride: tuple[int, int] = (1, 1)
    padding: str = "same"
    activation: str = "none"


@dataclass(frozen=True)
class Graph:
    """A model's only graph, its operators in the order in which they run, its constants already dequantised."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_graph(data: bytes, name: str = "the model") -> Graph:
    """Read the bytes of a .tflite file; `name` is for messages.

    Raises:
        WeightsError: not a .tflite file, cut short, or with operators or types that this reader does not know.
    """
    if data[4:8] != IDENTIFIER:
        raise _unreadable(name, f"{len(data)} bytes without its mark {IDENTIFIER.decode()}")
    try:
        return _graph(_Table(data, struct.unpack_from("<I", data, 0)[0]))
    except KeyError as error:
        raise _unreadable(name, f"an operator or type that is not supported (number {error})") from error
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise _unreadable(name, f"a damaged file ({error})") from error


def _unreadable(name: str, reason: str) -> WeightsError:
    return WeightsError(
        f"Could not read {name} as a TensorFlow Lite file: {reason}.", hint="Put the original file back."
    )


class _Table:
    """A FlatBuffer table: fields are found through its vtable by number; all offsets are little-endian."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data = data
        self.position = position
        (back,) = self._get("<i", position)
        self.vtable = position - back
        (self.vtable_size,) = self._get("<H", self.vtable)

    def _get(self, layout: str, position: int) -> tuple[int, ...]:
        if position < 0:  # struct would count it from the end
            raise IndexError(f"offset {position}")
        return struct.unpack_from(layout, self.data, position)

    def _field(self, number: int) -> int | None:
        """Position of a field, None where the table has none."""
        slot = 4 + 2 * number
        if slot >= self.vtable_size:
            return None
        (offset,) = self._get("<H", self.vtable + slot)
        return self.position + offset if offset else None

    def _target(self, position: int) -> int:
        return position + self._get("<I", position)[0]

    def scalar(self, number: int, layout: str, default: int = 0) -> int:
        field = self._field(number)
        return default if field is None else self._get("<" + layout, field)[0]

    def table(self, number: int) -> _Table | None:
        field = self._field(number)
        return None if field is None else _Table(self.data, self._target(field))

    def array(self, number: int, dtype: str) -> NDArray[Any]:
        """A vector of numbers, without a copy; empty where there is none."""
        field = self._field(number)
        if field is None:
            return np.empty(0, np.dtype(dtype))
        start = self._target(field)
        (length,) = self._get("<I", start)
        return np.frombuffer(self.data, dtype=np.dtype(dtype), count=length, offset=start + 4)

    def integers(self, number: int) -> tuple[int, ...]:
        return tuple(self.array(number, "<i4").tolist())

    def text(self, number: int) -> str:
        return self.array(number, "u1").tobytes().decode()

    def tables(self, number: int) -> list[_Table]:
        offsets = self.array(number, "<u4")
        field = self._field(number)
        start = 0 if field is None else self._target(field) + 4
        return [_Table(self.data, start + 4 * i + int(offset)) for i, offset in enumerate(offsets)]


def _graph(model: _Table) -> Graph:
    # Files older than 2020 keep the operator's number in field 0 (a byte), newer ones in field 3 as well.
    kinds = [OPERATORS[max(code.scalar(0, "b"), code.scalar(3, "i"))] for code in model.tables(1)]
    subgraphs = model.tables(2)
    if len(subgraphs) != 1:
        raise ValueError(f"{len(subgraphs)} graphs instead of one")
    buffers = [buffer.array(0, "u1") for buffer in model.tables(4)]
    tensors = [_tensor(table, buffers) for table in subgraphs[0].tables(0)]
    operators = [_operator(table, kinds) for table in subgraphs[0].tables(3)]
    _check_numbers(operators, len(tensors))
    return Graph(
        tensors=tuple(_dequantised(tensors, operators)),
        operators=tuple(operator for operator in operators if operator.kind != "dequantize"),
        inputs=subgraphs[0].integers(1),
        outputs=subgraphs[0].integers(2),
    )


def _check_numbers(operators: Sequence[Operator], tensor_count: int) -> None:
    """Operators must name tensors that exist (-1 names none)."""
    for operator in operators:
        for number in (*operator.inputs, *operator.outputs):
            if not -1 <= number < tensor_count:
                raise ValueError(f"tensor number {number} of {tensor_count}")


def _tensor(table: _Table, buffers: Sequence[NDArray[Any]]) -> Tensor:
    shape = table.integers(0)
    content = buffers[table.scalar(2, "I")]
    if not content.size:
        return Tensor(table.text(3), shape, None)
    value = content.view(ELEMENT_TYPES[table.scalar(1, "b")]).reshape(shape)
    return Tensor(table.text(3), shape, value.astype(np.float32) if value.dtype.kind == "f" else value)


def _operator(table: _Table, kinds: Sequence[str]) -> Operator:
    kind = kinds[table.scalar(0, "I")]
    option_table = table.table(4)
    fields = _OPTIONS.get(kind, {}) if option_table is not None else {}
    options = {name: option_table.scalar(*where) for name, where in fields.items()} if option_table else {}
    if options.get("multiplier", 1) != 1:
        raise ValueError(f"a depthwise convolution with channel multiplier {options['multiplier']}")
    return Operator(
        kind=kind,
        inputs=table.integers(1),
        outputs=table.integers(2),
        stride=(options.get("stride_h", 1), options.get("stride_w", 1)),
        padding=PADDINGS[options.get("padding", 0)],
        activation=ACTIVATIONS[options.get("activation", 0)],
    )


def _dequantised(tensors: list[Tensor], operators: Sequence[Operator]) -> list[Tensor]:
    """Give the output of every `dequantize` (a stored half-precision constant) its value."""
    known = list(tensors)
    for operator in operators:
        if operator.kind == "dequantize":
            target = known[operator.outputs[0]]
            known[operator.outputs[0]] = Tensor(target.name, target.shape, known[operator.inputs[0]].constant)
    return known
