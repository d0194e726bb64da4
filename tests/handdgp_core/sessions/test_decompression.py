"""Decompression bombs: small files that claim one size and hold another, or more than any recording needs."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard
from mcap.opcode import Opcode

from handdgp_core.errors import SourceError
from handdgp_core.files import MIB
from handdgp_core.sessions import SessionReader
from handdgp_core.sessions.decompression import LARGEST_BYTES, decompressed
from handdgp_core.sessions.records import MAGIC
from handdgp_core.sessions.stored_images import decode_lossless, encode_lossless

BOMB_BYTES = 64 * MIB
ZEROS = bytes(BOMB_BYTES)


def packed(data: bytes, compression: str) -> bytes:
    if compression == "lz4":
        return lz4.frame.compress(data)
    return zstandard.ZstdCompressor(write_content_size=compression == "zstd").compress(data)


@contextmanager
def little_memory() -> Iterator[None]:
    """Fails where much more than the declared size was ever allocated."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < BOMB_BYTES / 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", ["zstd", "zstd without its size", "lz4"])
@pytest.mark.parametrize("size", [1, 1000, 200_000])
def test_what_was_declared_comes_out(compression: str, size: int) -> None:
    data = np.random.default_rng(size).integers(0, 9, size, dtype=np.uint8).tobytes()
    assert decompressed(packed(data, compression), compression.split()[0], size) == data
    assert decompressed(data, "", size) == data


@pytest.mark.parametrize("compression", ["zstd", "zstd without its size", "lz4"])
def test_more_than_declared_is_refused_without_making_it(compression: str) -> None:
    bomb = packed(ZEROS, compression)
    assert len(bomb) < MIB
    with little_memory(), pytest.raises(ValueError, match="decompress to more than the 1000 bytes declared"):
        decompressed(bomb, compression.split()[0], 1000)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_less_than_declared_and_damage_are_refused(compression: str) -> None:
    data = packed(b"a hand" * 50, compression)
    with pytest.raises(ValueError, match="300 bytes instead of the 301 declared"):
        decompressed(data, compression, 301)
    with pytest.raises(ValueError, match=r"cannot be decompressed|instead of"):
        decompressed(data[: len(data) // 2], compression, 300)
    with pytest.raises(ValueError, match="cannot be decompressed"):
        decompressed(b"no frame of anything", compression, 300)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_size_beyond_all_reason_is_refused_even_where_it_is_declared(compression: str) -> None:
    with little_memory(), pytest.raises(ValueError, match="257 MiB once decompressed, more than the 256 MiB allowed"):
        decompressed(packed(b"", compression), compression, LARGEST_BYTES + MIB)


def test_a_lossless_image_that_is_a_bomb_is_refused() -> None:
    bomb = packed(ZEROS, "zstd")
    with little_memory(), pytest.raises(ValueError, match=r"an image of 8x4 pixels .* more than the 96 bytes declared"):
        decode_lossless(bomb, 8, 4)
    with little_memory(), pytest.raises(ValueError, match=r"100000x100000 pixels .* more than the 256 MiB allowed"):
        decode_lossless(packed(b"", "zstd"), 100_000, 100_000)
    with pytest.raises(ValueError, match="an image of 0x4 pixels"):
        decode_lossless(packed(b"", "zstd"), 0, 4)
    image = np.random.default_rng(0).integers(0, 256, (4, 8, 3), dtype=np.uint8)
    assert np.array_equal(decode_lossless(encode_lossless(image), 8, 4), image)


def recording(path: Path, compression: str, data: bytes, declared: int) -> Path:
    """An MCAP file of another program: one chunk and nothing else."""
    name = compression.encode()
    body = struct.pack("<QQQI", 0, 1, declared, 0) + struct.pack("<I", len(name)) + name
    body += struct.pack("<Q", len(data)) + data
    path.write_bytes(MAGIC + struct.pack("<BQ", Opcode.CHUNK, len(body)) + body + MAGIC)
    return path


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_recording_that_is_a_bomb_is_refused_with_the_reason(tmp_path: Path, compression: str) -> None:
    path = recording(tmp_path / "bomb.mcap", compression, packed(ZEROS, compression), 1000)
    with little_memory(), pytest.raises(SourceError, match=r"bomb\.mcap.*more than the 1000 bytes declared"):
        SessionReader(path)
    path = recording(tmp_path / "huge.mcap", compression, packed(ZEROS, compression), 1 << 29)
    with little_memory(), pytest.raises(SourceError, match=r"huge\.mcap.*512 MiB once decompressed"):
        SessionReader(path)
