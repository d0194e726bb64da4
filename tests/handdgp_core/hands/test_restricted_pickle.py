"""Old pickles are read; pickles that would run something are refused and nothing runs."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from handdgp_core.errors import AssetError
from handdgp_core.hands.licensed.restricted_pickle import read_pickle
from tests.handdgp_core.hands.model_files import linear_model, write_old_model

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def read(file: Path) -> Any:
    return read_pickle(file, "a test file", "make it again")


def written(folder: Path, content: Any, protocol: int = 2) -> Path:
    file = folder / "file.pkl"
    file.write_bytes(pickle.dumps(content, protocol))
    return file


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_content_comes_back(tmp_path: Path, protocol: int) -> None:
    content = {
        "numbers": np.arange(6.0).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6, dtype=np.uint16).reshape(2, 3)),
        "list": [np.float32(1.5), 2, (3.0, "text"), None, True],
        "ordered": OrderedDict(a=np.zeros(0)),
    }
    back = read(written(tmp_path, content, protocol))
    np.testing.assert_array_equal(back["numbers"], content["numbers"])
    np.testing.assert_array_equal(back["columns"], content["columns"])
    assert back["columns"].dtype == np.uint16
    assert back["list"] == content["list"]
    assert list(back["ordered"]) == ["a"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "coo_matrix", "csr_array"])
def test_sparse_matrices_come_back_dense(tmp_path: Path, kind: str, protocol: int) -> None:
    dense = np.random.default_rng(0).normal(size=(7, 5)) * (np.random.default_rng(1).random((7, 5)) > 0.7)
    back = read(written(tmp_path, [getattr(sparse, kind)(dense)], protocol))
    np.testing.assert_array_equal(back[0], dense)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_chumpy_arrays_come_back_plain(tmp_path: Path, protocol: int) -> None:
    model = linear_model(60, 4)
    write_old_model(tmp_path / "old.pkl", model, protocol)
    back = read(tmp_path / "old.pkl")
    for key in ("v_template", "shapedirs", "weights", "f"):
        assert type(back[key]) is np.ndarray
        np.testing.assert_array_equal(back[key], model[key], err_msg=key)
    np.testing.assert_array_equal(back["J_regressor"], model["J_regressor"].toarray())


class Reduces:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("touch {}",)),
        (subprocess.getoutput, ("touch {}",)),
        (eval, ("open({!r}, 'w')",)),
        (exec, ("open({!r}, 'w')",)),
        (open, ("{}", "w")),
        (np.memmap, ("{}", "uint8", "w+", 0, 1)),
        (np.lib.format.open_memmap, ("{}", "w+", None, (1,))),
        (__import__, ("os",)),
    ],
    ids=["system", "getoutput", "eval", "exec", "open", "memmap", "open_memmap", "import"],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_calls_are_refused(tmp_path: Path, function: Any, arguments: tuple[Any, ...], protocol: int) -> None:
    mark = tmp_path / "it_ran"
    filled = [part.format(str(mark)) if isinstance(part, str) else part for part in arguments]
    file = written(tmp_path, {"v_template": np.zeros(3), "f": Reduces(function, *filled)}, protocol)
    with pytest.raises(AssetError, match="so it is not read") as caught:
        read(file)
    assert not mark.exists()
    assert "make it again" in caught.value.hint


@pytest.mark.parametrize(
    "program",
    [
        b"cnumpy\nload\n.",  # a name beside the allowed ones of an allowed module
        b"cnumpy\ncore.multiarray._reconstruct\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0flib.npyio.savez\x93.",  # a dotted path
        b"cscipy.sparse\nload_npz\n.",
        b"cchumpy.utils\ncol\n.",
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.",  # an object that is not listed
        b"Psomewhere else\n.",
        b"\x80\x02\x82\x01.",  # a registered extension
    ],
)
def test_names_off_the_list_are_refused(tmp_path: Path, program: bytes) -> None:
    file = tmp_path / "file.pkl"
    file.write_bytes(program)
    with pytest.raises(AssetError):
        read(file)


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02cchumpy.ch\nCh\nN}U\x04kindU\x03csrs\x86b.",  # a type: kind = "csr"
        b"\x80\x02c_codecs\nencode\nN}U\x09_functioncnumpy\nndarray\ns\x86b.",  # a function: another one inside
    ],
)
def test_a_file_cannot_change_how_the_next_one_is_read(tmp_path: Path, program: bytes) -> None:
    """A pickle may set attributes on what it is given: here it tries to on the reader's own parts."""
    (tmp_path / "poison.pkl").write_bytes(program)
    with contextlib.suppress(AssetError):
        read(tmp_path / "poison.pkl")
    model = linear_model(60, 4)
    write_old_model(tmp_path / "old.pkl", model)
    np.testing.assert_array_equal(read(tmp_path / "old.pkl")["v_template"], model["v_template"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.booleans())
def test_damage_is_an_error_or_other_numbers_and_nothing_else(
    tmp_path: Path, place: int, value: int, cut: bool
) -> None:
    file = tmp_path / "old.pkl"
    if not file.exists():
        write_old_model(tmp_path / "whole.pkl", linear_model(30, 3))
    data = bytearray((tmp_path / "whole.pkl").read_bytes())
    place %= len(data)
    data[place] = value
    file.write_bytes(data[:place] if cut else data)
    try:
        read(file)
    except AssetError as error:
        assert str(file) in error.problem


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="does not exist"):
        read(tmp_path / "nothing.pkl")


def test_a_sparse_matrix_larger_than_memory_is_refused(tmp_path: Path) -> None:
    huge = sparse.csr_matrix((1 << 20, 1 << 20))
    with pytest.raises(AssetError, match="sparse matrix"):
        read(written(tmp_path, huge))
