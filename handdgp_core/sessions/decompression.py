"""Decompression that never makes more than was declared: a small file cannot fill the memory."""

from __future__ import annotations

import lz4.frame
import zstandard

from handdgp_core.files import MIB

__all__ = ["LARGEST_BYTES", "decompressed"]

# More than any image that a recorder writes: a lossless image of 8K is 100 MB.
LARGEST_BYTES = 256 * MIB
_SMALLEST_WINDOW = 8 * MIB  # zstandard's levels up to 19 may state it for data of any size


def decompressed(data: bytes, compression: str, size: int, largest: int = LARGEST_BYTES) -> bytes:
    """Data of a known size.

    Args:
        data: one frame of the compression.
        compression: "zstd" or "lz4"; "" for data as they are.
        size: bytes that come out, as whoever wrote the data declared.
        largest: the most that may come out.

    Raises:
        ValueError: damaged, another size than declared, or beyond `largest`; the text tells which.
    """
    if compression and size > largest:
        raise ValueError(f"{size / MIB:.0f} MiB once decompressed, more than the {largest // MIB} MiB allowed")
    try:
        result = _unpacked(data, compression, size)
    except (zstandard.ZstdError, RuntimeError) as error:
        raise ValueError(f"data that cannot be decompressed ({error})") from error
    if len(result) > size:
        raise ValueError(f"data that decompress to more than the {size} bytes declared")
    if len(result) < size:
        raise ValueError(f"data of {len(result)} bytes instead of the {size} declared")
    return result


def _unpacked(data: bytes, compression: str, size: int) -> bytes:
    """At most one byte more than `size`: that tells that there is more."""
    if compression == "zstd":
        # One call would allocate what the frame's own header claims, whatever limit it is given.
        window = max(_SMALLEST_WINDOW, 1 << max(size - 1, 1).bit_length())
        with zstandard.ZstdDecompressor(max_window_size=window).stream_reader(data) as reader:
            return reader.read(size + 1)
    if compression == "lz4":
        return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=size + 1))
    return data
