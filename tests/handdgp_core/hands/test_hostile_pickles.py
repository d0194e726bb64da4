"""Pickles that would crash, hang or fill the memory of Python's own reader: refused here, in little time and memory."""

from __future__ import annotations

import io
import os
import pickle
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handdgp_core.errors import AssetError
from handdgp_core.hands.licensed.linear_model_file import read_linear_model
from handdgp_core.hands.licensed.restricted_pickle import read_pickle, whole_numbers

_MANY = 200_000
_DTYPE = b"cnumpy\ndtype\n(%bI0\nI1\ntR(I3\n%b%b%b%bI-1\nI-1\nI0\ntb"
_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"


def text(value: str) -> bytes:
    return b"U" + bytes([len(value)]) + value.encode()


def dtype(code: str, order: str = "<", subarray: bytes = b"N", names: bytes = b"N", fields: bytes = b"N") -> bytes:
    return _DTYPE % (text(code), text(order), subarray, names, fields)


def array(shape: tuple[int, ...], kind: bytes, content: bytes) -> bytes:
    lengths = b"".join(b"L%dL\n" % length for length in shape)
    raw = content if content[:1] in b"(]" else b"T" + len(content).to_bytes(4, "little") + content
    return _ARRAY + b"(I1\n(" + lengths + b"t" + kind + b"I00\n" + raw + b"tb"


HOSTILE = {
    "bytes as object pointers": array((1,), dtype("O8", "|"), b"\x41" * 8),
    "objects under another name": array((2,), dtype("O", "|"), b"\x41" * 16),
    "a list of objects that is too short": array((10**9,), dtype("O8", "|"), b"](I1\ne"),
    "fields": array((1,), dtype("V8", "|", b"N", b"(U\x01at", b"}U\x01a(" + dtype("O8", "|") + b"I0\ntds"), b"A" * 8),
    "a subarray": array((1,), dtype("V16", "|", subarray=b"(" + dtype("O8", "|") + b"(I2\ntt"), b"A" * 16),
    "text of an odd size": array((1,), dtype("U1", "<"), b"A" * 3),
    "dates": array((1,), dtype("M8", "<"), b"A" * 8),
    "a shape beyond its bytes": array((1 << 40,), dtype("f8"), b"A" * 8),
    "a shape whose product wraps": array((1 << 32, 1 << 32), dtype("f8"), b""),
    "a negative shape": array((-1,), dtype("f8"), b"A" * 8),
    "a call of a type": b"cnumpy\nndarray\n(L1000000000L\ncnumpy\ndtype\n(U\x02O8tRtR",
    "attributes of a function": b"c_codecs\nencode\n}U\x01aK\x01sb",
    "deep tuples as a key": b"}N" + b"\x85" * _MANY + b"K\x01s",
    "deep tuples": b"N" + b"\x85" * _MANY,
    "deep lists": b"]" * _MANY + b"a" * (_MANY - 1),
    "a list of itself": b"]q\x00h\x00h\x00a",
    "laughs": b"]q\x00" + b"".join(b"0](h%ch%ceq%c" % (n, n, n + 1) for n in range(200)),
    "a large memo": b"Nr\xff\xff\xff\xff",
    "a large buffer": b"\x96" + (1 << 40).to_bytes(8, "little"),
    "a large text": b"X\xff\xff\xff\x7f",
    "a long number": b"\x8b\x00\x00\x00\x10" + b"\xff" * 1000,
    "a long decimal": b"L" + b"9" * 100_000 + b"L\n",
    "many steps": b"N0" * 600_000 + b"N",
    "a type as a value": b"cnumpy\ndtype\n",
    "a deep name": b"N" + b"\x85" * _MANY + b"q\x000cnumpy\ndtype\nh\x00\x85R",
    "one text a thousand times": b"(" + b"X\x00\x00\x10\x00" + b"A" * (1 << 20) + b"q\x00" + b"h\x00" * 2000 + b"l",
    "a mark": b"(((",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("read", [read_pickle, read_linear_model], ids=["pickle", "model"])
def test_hostile_pickles_are_refused(tmp_path: Path, name: str, read: Any) -> None:
    file = tmp_path / "m.pkl"
    for content in (HOSTILE[name], b"}U\x0av_template" + HOSTILE[name] + b"s", b"\x80\x02(" + HOSTILE[name] + b"t"):
        file.write_bytes(content + b".")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(AssetError) as caught:
            read(file, "a model", "Get it again.")
        assert str(file) in caught.value.problem and len(caught.value.problem) < 600
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10


def test_arrays_named_often_are_counted_each_time(tmp_path: Path) -> None:
    """A consumer that stacks such a list would need 80 GB."""
    file = tmp_path / "m.pkl"
    content = array((1 << 20,), dtype("f8"), b"A" * (8 << 20))
    file.write_bytes(b"(" + content + b"q\x01" + b"h\x01" * 10_000 + b"l.")
    with pytest.raises(AssetError, match="far larger than the file"):
        read_pickle(file, "a model", "Get it again.")


def test_arrays_own_no_memory_of_the_files_choice(tmp_path: Path) -> None:
    """What is read equals what NumPy itself would read, for each plain type and order."""
    file = tmp_path / "m.pkl"
    for kind in ("?", "i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u4", "<u8", "<f2", ">f4", "<f8"):
        given = np.arange(24).astype(kind).reshape(2, 3, 4)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            for one in (given, np.asfortranarray(given), given[:0], given[0, 0, 1]):
                file.write_bytes(pickle.dumps(one, protocol))
                back = read_pickle(file, "a model", "Get it again.")
                np.testing.assert_array_equal(back, one)
                assert back.dtype.newbyteorder("=") == one.dtype.newbyteorder("=")


def test_whole_numbers_are_not_changed() -> None:
    assert whole_numbers(np.array([1.0, 2.0])).dtype == np.int32
    for wrong in (np.array([1.5]), np.array([np.nan]), np.array([1 << 40]), np.array([2**32 - 1], np.uint32)):
        with pytest.raises(ValueError, match="whole numbers"):
            whole_numbers(wrong)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.pkl")
    with pytest.raises(AssetError, match="regular file"):
        read_pickle(tmp_path / "m.pkl", "a model", "Get it again.")


def test_python_agrees_on_plain_pickles(tmp_path: Path) -> None:
    """Python's own reader as the reference, on content of every plain kind and protocol."""
    content: dict[Any, Any] = {
        "text": ["", "ü", "\udc80", "x" * 300, "a\\'\"\n"],
        "numbers": [0, -1, 255, 256, 65536, -(2**31), 2**31, 2**63, -(2**200), 1.5, -0.0, float("inf")],
        "bytes": [b"", b"\x00\xff", b"y" * 300],
        "nested": {"a": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), None, True, False, {}]},
        3: {(1, "b"): 4},
    }
    file = tmp_path / "m.pkl"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(content, protocol)
        file.write_bytes(data)
        assert read_pickle(file, "a model", "") == pickle.load(io.BytesIO(data)) == content
