"""The reader sees the graph that the file holds."""

from __future__ import annotations

import zipfile
from collections import Counter

import numpy as np
import pytest

from handdgp_core.errors import WeightsError
from handdgp_core.networks.backbones.mediapipe_landmarks import ASSET, MEMBER
from handdgp_core.networks.backbones.tflite_graph import Graph, read_graph


@pytest.fixture(scope="module")
def data() -> bytes:
    return zipfile.ZipFile(ASSET).read(MEMBER)


@pytest.fixture(scope="module")
def graph(data: bytes) -> Graph:
    return read_graph(data)


def test_operators_are_counted(graph: Graph) -> None:
    assert Counter(operator.kind for operator in graph.operators) == {
        "conv_2d": 31,
        "depthwise_conv_2d": 16,
        "add": 9,
        "mean": 1,
        "fully_connected": 4,
        "logistic": 2,
    }


def test_inputs_and_outputs_are_named_and_shaped(graph: Graph) -> None:
    assert [graph.tensors[number].shape for number in graph.inputs] == [(1, 224, 224, 3)]
    assert [graph.tensors[number].name for number in graph.outputs] == [
        "Identity",
        "Identity_1",
        "Identity_2",
        "Identity_3",
    ]


def test_every_operand_is_made_before_it_is_used(graph: Graph) -> None:
    known = set(graph.inputs) | {n for n, tensor in enumerate(graph.tensors) if tensor.constant is not None}
    for operator in graph.operators:
        assert set(operator.inputs) <= known
        known |= set(operator.outputs)
    assert set(graph.outputs) <= known


def test_constants_are_single_precision_of_their_tensors_shape(graph: Graph) -> None:
    constants = [tensor for tensor in graph.tensors if tensor.constant is not None]
    assert all(tensor.constant.shape == tensor.shape for tensor in constants)
    floats = [tensor.constant for tensor in constants if tensor.constant.dtype.kind == "f"]
    assert {value.dtype for value in floats} == {np.dtype(np.float32)}
    # Stored in half precision, so nothing is lost by going back.
    assert all(np.array_equal(value, value.astype(np.float16)) for value in floats)


def test_strides_and_activations(graph: Graph) -> None:
    first = graph.operators[0]
    assert (first.kind, first.stride, first.padding, first.activation) == ("conv_2d", (2, 2), "same", "relu6")
    depthwise = [operator.stride[0] for operator in graph.operators if operator.kind == "depthwise_conv_2d"]
    assert depthwise.count(2) == 4


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x10\0\0\0TFL3", b"\xff\xff\xff\xffTFL3", b"PK\x03\x04" * 9])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(WeightsError):
        read_graph(content)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9])
def test_a_cut_model_is_refused(data: bytes, share: float) -> None:
    with pytest.raises(WeightsError, match="damaged"):
        read_graph(data[: int(len(data) * share)])
