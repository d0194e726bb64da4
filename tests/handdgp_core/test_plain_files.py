"""The door for JSON, YAML and NumPy files: NumPy and PyYAML as references, bombs refused before they are made."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

from handdgp_core.plain_files import map_npy, parse_json, parse_yaml, read_json, read_npz


def test_arrays_come_back_as_numpy_reads_them(tmp_path: Path) -> None:
    given = {
        "numbers": np.arange(24.0).reshape(2, 3, 4),
        "columns": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        "text": np.array(["a", "größer"]),
        "bytes": np.array([b"a", b"bc"]),
        "flags": np.array([True, False]),
        "single": np.array(3.5, np.float32),
        "empty": np.zeros((0, 3)),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **given)
        back = read_npz(tmp_path / "a.npz")
        with np.load(tmp_path / "a.npz") as reference:
            assert back.keys() == set(reference.files)
            for name, array in back.items():
                np.testing.assert_array_equal(array, reference[name])
                assert array.dtype == reference[name].dtype and array.flags.writeable


def entry(head: str, content: bytes = b"") -> bytes:
    text = head.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


@pytest.mark.parametrize(
    "content",
    [
        entry("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"A" * 8),
        entry("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }", b"A" * 8),
        entry("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }", b"A" * 8),
        entry("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }", b"A" * 8),
        entry("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }"),
        entry("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", b"A" * 8),
        entry("{'descr': '<U1099511627', 'fortran_order': False, 'shape': (1,), }", b"A" * 8),
        entry("{" * 5000),
        entry("__import__('os').abort()"),
        b"",
        b"\x93NUMPY",
    ],
)
def test_arrays_that_are_none_are_refused(tmp_path: Path, content: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(ValueError):
        read_npz(tmp_path / "a.npz")
    (tmp_path / "a.npy").write_bytes(content)
    if b"M8" not in content:  # rows of shards have fields, and none of them is a date
        with pytest.raises(ValueError):
            map_npy(tmp_path / "a.npy")


def test_an_archive_that_unpacks_to_gigabytes_is_refused_unopened(tmp_path: Path) -> None:
    made = io.BytesIO()
    np.save(made, np.zeros(30_000_000))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", made.getvalue())
    tracemalloc.start()
    with pytest.raises(ValueError, match="larger than 100 MiB"):
        read_npz(tmp_path / "a.npz", 100 << 20)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "50 deep"),
        ('{"a":' * 100_000, "50 deep"),
        ("[" * 60 + "]" * 60, "50 deep"),
        ('{"a": "\\ud800"}', "half of a character"),
        ('{"\\udfff": 1}', "half of a character"),
        ("NaN", "not finite"),
        ("[1e999]", "not finite"),
        ("9" * 400, "absurd size"),
        ("9" * 5000, "digits"),
        ("", "Expecting value"),
    ],
)
def test_json_of_no_use_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(text)


def test_ordinary_json_passes() -> None:
    assert parse_json('{"a": [1, -2.5, null, true, "ü", {}]}') == {"a": [1, -2.5, None, True, "ü", {}]}
    assert parse_json("[1e999]", any_number=True) == [float("inf")]


def test_no_file_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read in (read_json, read_npz, map_npy):
        for path in (tmp_path / "pipe", tmp_path):
            with pytest.raises(ValueError, match=r"regular file|folder"):
                read(path)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none")


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]",
        "[" * 50_000,
        "a: 1\n" * 100_000,
        "!!python/object/apply:os.system ['true']",
        "? [1]\n: 2",
        "a: [",
        "a: \x00",
    ],
)
def test_yaml_of_no_use_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_yaml(text)


def test_ordinary_yaml_is_as_pyyaml_reads_it() -> None:
    text = "a: [1, 2.5, true, null, text]\nb:\n  c: 'quoted'\n  d: |\n    lines\n"
    assert parse_yaml(text) == yaml.safe_load(text)
