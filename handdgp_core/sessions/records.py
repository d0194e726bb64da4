"""The records of an MCAP file, read with distrust: every length is checked against the file before it is used.

The format is specified at mcap.dev/spec. A record is an opcode (1 byte), a length (8 bytes) and a body.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from numpy.typing import NDArray

from handdgp_core.sessions.decompression import decompressed

__all__ = [
    "MAGIC",
    "Chunk",
    "Damaged",
    "Entry",
    "Opcode",
    "RecordHead",
    "SessionFile",
    "parse",
    "read_chunk_head",
    "walk_messages",
]  # fmt: skip

MAGIC = b"\x89MCAP0\r\n"
HEAD_BYTES = 9
_CHUNK_HEAD = struct.Struct("<QQQI")
_MESSAGE_HEAD = struct.Struct("<BQHIQQ")
_OPCODES = frozenset(int(code) for code in Opcode)
_LARGEST_CHUNK = 1 << 30  # longer ones are damage: we write 1 MiB, and one message is at most a picture
_INDEX_ENTRY = np.dtype([("time_ns", "<u8"), ("offset", "<u8")])


class Damaged(Exception):
    """Bytes that are not what they should be; the text tells what is wrong."""


class RecordHead(NamedTuple):
    """Where a record lies: `start` of its opcode, `body` and `length` of its body."""

    opcode: int
    start: int
    body: int
    length: int

    @property
    def end(self) -> int:
        """One past its last byte."""
        return self.body + self.length


class Entry(NamedTuple):
    """Where a message lies: its channel, its log time, and its offset in the uncompressed data of its chunk."""

    channel: int
    time_ns: int
    offset: int


@dataclass(frozen=True)
class Chunk:
    """A chunk and its message indexes, which follow it.

    Attributes:
        start, end: of the chunk record in the file.
        data_start, data_size: of the (perhaps compressed) data.
        uncompressed_size, crc: of the data; a CRC of 0 was not computed.
        compression: "" , "lz4" or "zstd".
        first_ns, last_ns: log times.
        index_end: one past the last message index record; `end` where there is none.
    """

    start: int
    end: int
    data_start: int
    data_size: int
    uncompressed_size: int
    crc: int
    compression: str
    first_ns: int
    last_ns: int
    index_end: int


class SessionFile:
    """Reads any part of a file from any thread. Plain reads, no memory map: a bad disk then raises instead of killing.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        self._lock = threading.Lock()
        self.size = self._file.seek(0, 2)

    def read(self, start: int, size: int) -> bytes:
        """Exactly `size` bytes.

        Raises:
            Damaged: the file has fewer.
            OSError, ValueError: the disk failed; the file is closed.
        """
        if start < 0 or size < 0 or start + size > self.size:
            raise Damaged(f"{size} bytes at {start} in a file of {self.size}")
        parts = []
        with self._lock:
            self._file.seek(start)
            while size:
                part = self._file.read(size)
                if not part:
                    raise Damaged(f"the file became shorter than {start + size}")
                parts.append(part)
                size -= len(part)
        return b"".join(parts)

    def head(self, start: int) -> RecordHead:
        """The head of the record at `start`; raises Damaged for an unknown opcode or a body beyond the file."""
        opcode, length = struct.unpack("<BQ", self.read(start, HEAD_BYTES))
        if opcode not in _OPCODES:
            raise Damaged(f"no record (opcode {opcode})")
        if start + HEAD_BYTES + length > self.size:
            raise Damaged("cut off, or a length that cannot be")
        return RecordHead(opcode, start, start + HEAD_BYTES, length)

    def body(self, head: RecordHead) -> bytes:
        """The body of a record."""
        return self.read(head.body, head.length)

    def close(self) -> None:
        """Safe to repeat."""
        with self._lock:
            self._file.close()


def parse(kind: Any, body: bytes) -> Any:
    """A record of one of the classes of `mcap.records`; raises Damaged for whatever is wrong with it."""
    try:
        return kind.read(ReadDataStream(BytesIO(body)))
    except Exception as error:  # damaged bytes surface as struct, Unicode, end of file and other errors
        raise Damaged(f"a damaged {kind.__name__} record ({type(error).__name__})") from error


def read_chunk_head(file: SessionFile, head: RecordHead) -> Chunk:
    """What a chunk record states about itself, without reading its data; raises Damaged where that makes no sense."""
    size = min(head.length, _CHUNK_HEAD.size + 4 + 16 + 8)
    begin = file.read(head.body, size)
    try:
        first_ns, last_ns, uncompressed, crc = _CHUNK_HEAD.unpack_from(begin, 0)
        (name_length,) = struct.unpack_from("<I", begin, _CHUNK_HEAD.size)
        name = begin[_CHUNK_HEAD.size + 4 : _CHUNK_HEAD.size + 4 + min(name_length, 16)]
        (data_size,) = struct.unpack_from("<Q", begin, _CHUNK_HEAD.size + 4 + name_length)
    except struct.error as error:
        raise Damaged("a damaged chunk head") from error
    data_start = head.body + _CHUNK_HEAD.size + 4 + name_length + 8
    compression = name.decode("ascii", "replace")
    plausible = data_start + data_size == head.end and 0 < uncompressed <= _LARGEST_CHUNK
    if not plausible or compression not in ("", "lz4", "zstd") or (not compression and uncompressed != data_size):
        raise Damaged("a damaged chunk head")
    return Chunk(
        head.start, head.end, data_start, data_size, uncompressed, crc, compression, first_ns, last_ns, head.end
    )


def chunk_data(file: SessionFile, chunk: Chunk) -> bytes:
    """The uncompressed data; raises Damaged where size or checksum differ from what the chunk declares."""
    data = file.read(chunk.data_start, chunk.data_size)
    try:
        data = decompressed(data, chunk.compression, chunk.uncompressed_size)
    except ValueError as error:
        raise Damaged(f"a chunk with {error}") from error
    if chunk.crc and zlib.crc32(data) != chunk.crc:
        raise Damaged("a chunk whose checksum differs")
    return data


def walk_messages(data: bytes) -> Iterator[tuple[RecordHead, Entry | None]]:
    """Every record of a chunk's data, with its entry where it is a message.

    Raises:
        Damaged: a record that does not fit.
    """
    position = 0
    while position < len(data):
        if position + HEAD_BYTES > len(data):
            raise Damaged("a cut record in a chunk")
        opcode, length = struct.unpack_from("<BQ", data, position)
        end = position + HEAD_BYTES + length
        if end > len(data) or opcode not in _OPCODES:
            raise Damaged("a damaged record in a chunk")
        entry = None
        if opcode == Opcode.MESSAGE:
            entry = _entry(data[position : position + _MESSAGE_HEAD.size], position)
        yield RecordHead(opcode, position, position + HEAD_BYTES, length), entry
        position = end


def _entry(head: bytes, offset: int) -> Entry:
    if len(head) < _MESSAGE_HEAD.size:
        raise Damaged("a cut message")
    _, _, channel, _, time_ns, _ = _MESSAGE_HEAD.unpack(head)
    return Entry(channel, time_ns, offset)


def message_body(head_and_more: bytes, entry: Entry) -> tuple[int, int]:
    """(offset in the chunk, size) of a message's own data, from the first bytes of its record.

    Raises:
        Damaged: there is no such message at that place: the index is wrong.
    """
    if len(head_and_more) < _MESSAGE_HEAD.size:
        raise Damaged("a cut message")
    opcode, length, channel, _, time_ns, _ = _MESSAGE_HEAD.unpack_from(head_and_more)
    if opcode != Opcode.MESSAGE or channel != entry.channel or time_ns != entry.time_ns or length < 22:
        raise Damaged("an index that points to something else")
    return entry.offset + _MESSAGE_HEAD.size, length - 22


MESSAGE_HEAD_BYTES = _MESSAGE_HEAD.size


def index_entries(file: SessionFile, chunk: Chunk) -> list[Entry]:
    """The messages of a chunk as its index records list them, in their order in the chunk.

    Raises:
        Damaged: the index makes no sense.
    """
    region = file.read(chunk.end, chunk.index_end - chunk.end)
    entries: list[Entry] = []
    position = 0
    while position < len(region):
        if position + HEAD_BYTES + 6 > len(region):
            raise Damaged("a cut message index")
        opcode, length, channel, size = struct.unpack_from("<BQHI", region, position)
        if opcode != Opcode.MESSAGE_INDEX or length != 6 + size or size % 16:
            raise Damaged("a damaged message index")
        table: NDArray[Any] = np.frombuffer(region[position + 15 : position + 15 + size], _INDEX_ENTRY)
        if len(table) * 16 != size or (len(table) and int(table["offset"].max()) >= chunk.uncompressed_size):
            raise Damaged("a message index that points outside its chunk")
        entries += [Entry(channel, *pair) for pair in table.tolist()]
        position += HEAD_BYTES + length
    return sorted(entries, key=lambda entry: entry.offset)
