"""The records of an MCAP file, read with distrust: every length is checked against the file before it is used.

The format is specified at mcap.dev/spec. A record is an opcode (1 byte), a length (8 bytes) and a body.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import ChunkIndex

from handdgp_core.files import MIB
from handdgp_core.sessions.decompression import decompressed

__all__ = [
    "LARGEST_RECORD",
    "MAGIC",
    "PRIVATE",
    "Chunk",
    "Damaged",
    "Entry",
    "Opcode",
    "RecordHead",
    "SessionFile",
    "chunk_of_index",
    "index_agrees",
    "loose_chunk",
    "loose_entry",
    "parse",
    "read_chunk_head",
    "walk_messages",
]  # fmt: skip

MAGIC = b"\x89MCAP0\r\n"
HEAD_BYTES = 9
_CHUNK_HEAD = struct.Struct("<QQQI")
_MESSAGE_HEAD = struct.Struct("<BQHIQQ")
_OPCODES = frozenset(int(code) for code in Opcode)
PRIVATE = 0x80  # opcodes from here on are extensions of other programs, to be passed over
# We write 1 MiB and one message, the format's own tools 1 to 4 MiB.
LARGEST_PACKED, LARGEST_PLAIN = 64 * MIB, 256 * MIB
LARGEST_RECORD = 64 * MIB  # of any other kind
_PREAD: Callable[[int, int, int], bytes] | None = getattr(os, "pread", None)  # not on Windows
_INDEX_HEAD, _INDEX_ENTRY = struct.Struct("<BQHI"), struct.Struct("<QQ")


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
        is_loose: a stretch of messages outside of any chunk.
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
    is_loose: bool = False


class SessionFile:
    """Reads any part of a file from any thread. Plain reads, no memory map: a bad disk then raises instead of killing.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise OSError(22, "it is no file")
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
        with self._lock:
            part = self._read_at(start, size)
            if len(part) == size:
                return part
            parts = [part]
            while part and (left := size - sum(map(len, parts))):
                part = self._read_at(start + size - left, left)
                parts.append(part)
        if not part:
            raise Damaged(f"the file became shorter than {start + size}")
        return b"".join(parts)

    def _read_at(self, start: int, size: int) -> bytes:
        """Hold the lock. What one call to the operating system gives."""
        if _PREAD is not None:
            return _PREAD(self._file.fileno(), size, start)
        self._file.seek(start)
        return self._file.read(size)

    def head(self, start: int) -> RecordHead:
        """The head of the record at `start`; raises Damaged for an unknown opcode or a body beyond the file."""
        opcode, length = struct.unpack("<BQ", self.read(start, HEAD_BYTES))
        if opcode not in _OPCODES and opcode < PRIVATE:
            raise Damaged(f"no record (opcode {opcode})")
        if start + HEAD_BYTES + length > self.size:
            raise Damaged("cut off, or a length that cannot be")
        return RecordHead(opcode, start, start + HEAD_BYTES, length)

    def body(self, head: RecordHead) -> bytes:
        """The body of a record that is no chunk and no attachment; raises Damaged for one that is far too long."""
        if head.length > LARGEST_RECORD:
            raise Damaged(f"a record of {head.length / MIB:.0f} MiB, more than the {LARGEST_RECORD // MIB} MiB allowed")
        return self.read(head.body, head.length)

    def crc(self, start: int, end: int) -> int:
        """CRC-32 of a stretch of any length."""
        value = 0
        for begin in range(start, end, MIB):
            value = zlib.crc32(self.read(begin, min(MIB, end - begin)), value)
        return value

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
    if not 0 < data_start + data_size - head.start <= head.end - head.start or uncompressed == 0:
        raise Damaged("a damaged chunk head")
    chunk = Chunk(
        head.start, head.end, data_start, data_size, uncompressed, crc, compression, first_ns, last_ns, head.end
    )
    return _checked(chunk)


def _checked(chunk: Chunk) -> Chunk:
    """The chunk; raises Damaged for sizes and compressions that cannot be."""
    if chunk.compression not in ("", "lz4", "zstd"):
        raise Damaged(f"a chunk of an unknown compression, {chunk.compression!r}")
    if not chunk.compression and chunk.uncompressed_size != chunk.data_size:
        raise Damaged("a damaged chunk head")
    largest = LARGEST_PACKED if chunk.compression else LARGEST_PLAIN
    if chunk.uncompressed_size > largest:
        size = f"{chunk.uncompressed_size / MIB:.0f} MiB{' once decompressed' if chunk.compression else ''}"
        raise Damaged(f"a chunk of {size}, more than the {largest // MIB} MiB allowed")
    return chunk


def chunk_of_index(file: SessionFile, index: ChunkIndex) -> Chunk:
    """A chunk as the index at the end of the file describes it, whose checksum was right; a chunk's head has none.

    Raises:
        Damaged: the index contradicts itself, or the head is damaged and so is what it tells of the data's checksum.
    """
    start, end = index.chunk_start_offset, index.chunk_start_offset + index.chunk_length
    crc_at = start + HEAD_BYTES + _CHUNK_HEAD.size - 4
    (crc,) = struct.unpack("<I", file.read(crc_at, 4))
    data_start = crc_at + 4 + 4 + len(index.compression.encode()) + 8
    if data_start + index.compressed_size > end or index.uncompressed_size == 0:
        raise Damaged("an index that contradicts itself")
    chunk = _checked(
        Chunk(
            start, end, data_start, index.compressed_size, index.uncompressed_size, crc, index.compression,
            index.message_start_time, index.message_end_time, end,
        )
    )  # fmt: skip
    if not crc and not _head_agrees(file, chunk):
        raise Damaged("a damaged chunk head")
    return replace(chunk, index_end=end + index.message_index_length)


def _head_agrees(file: SessionFile, chunk: Chunk) -> bool:
    try:
        return read_chunk_head(file, file.head(chunk.start)) == chunk
    except Damaged:
        return False


def loose_chunk(start: int, end: int, first_ns: int, last_ns: int) -> Chunk:
    """A stretch of messages that lie in no chunk, to be read as if they did. It has no checksum."""
    return Chunk(start, end, start, end - start, end - start, 0, "", first_ns, last_ns, end, is_loose=True)


def chunk_data(file: SessionFile, chunk: Chunk) -> bytes:
    """The uncompressed data; raises Damaged where size or checksum differ from what the chunk declares."""
    data = file.read(chunk.data_start, chunk.data_size)
    try:
        data = decompressed(data, chunk.compression, chunk.uncompressed_size, LARGEST_PACKED)
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
        if end > len(data) or (opcode not in _OPCODES and opcode < PRIVATE):
            raise Damaged("a damaged record in a chunk")
        entry = None
        if opcode == Opcode.MESSAGE:
            entry = _entry(data[position : position + _MESSAGE_HEAD.size], position)
        yield RecordHead(opcode, position, position + HEAD_BYTES, length), entry
        position = end


def loose_entry(file: SessionFile, head: RecordHead) -> Entry:
    """A message that lies in no chunk; raises Damaged for one that is none, or far too long."""
    if head.opcode != Opcode.MESSAGE or head.length > LARGEST_PLAIN:
        raise Damaged(f"no message, or one of {head.length / MIB:.0f} MiB")
    return _entry(file.read(head.start, min(_MESSAGE_HEAD.size, head.end - head.start)), 0)


def index_agrees(file: SessionFile, chunk: Chunk, listed: list[Entry]) -> bool:
    """Whether the messages of a chunk that is not compressed are those of its index, as the heads of its records tell:
    a few bytes of each are read, and no checksum is compared.
    """
    position, size, messages = 0, chunk.data_size, iter(listed)
    read, unpack, message_size, message = file.read, _MESSAGE_HEAD.unpack, _MESSAGE_HEAD.size, int(Opcode.MESSAGE)
    while position < size:
        head = read(chunk.data_start + position, min(message_size, size - position))
        if head[0] == message:
            if len(head) < message_size:
                return False
            _, length, channel, _, time_ns, _ = unpack(head)
            if next(messages, None) != (channel, time_ns, position):
                return False
        elif len(head) < HEAD_BYTES or (head[0] not in _OPCODES and head[0] < PRIVATE):
            return False
        else:
            length = int.from_bytes(head[1:HEAD_BYTES], "little")
        position += HEAD_BYTES + length
    return position == size and next(messages, None) is None


def _entry(head: bytes, offset: int) -> Entry:
    if len(head) < _MESSAGE_HEAD.size:
        raise Damaged("a cut message")
    _, length, channel, _, time_ns, _ = _MESSAGE_HEAD.unpack(head)
    if length < _MESSAGE_HEAD.size - HEAD_BYTES:
        raise Damaged("a cut message")
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
    found: list[tuple[int, int, int]] = []  # offset, channel, time: a chunk has few channels and many messages
    position = 0
    while position < len(region):
        if position + HEAD_BYTES + 6 > len(region):
            raise Damaged("a cut message index")
        opcode, length, channel, size = _INDEX_HEAD.unpack_from(region, position)
        start = position + _INDEX_HEAD.size
        if (
            opcode != Opcode.MESSAGE_INDEX
            or length < 6 + size
            or size % _INDEX_ENTRY.size
            or start + size > len(region)
        ):
            raise Damaged("a damaged message index")
        table = _INDEX_ENTRY.iter_unpack(region[start : start + size])
        found += [(offset, channel, time_ns) for time_ns, offset in table]
        position += HEAD_BYTES + length
    if not found:
        return []
    found.sort()
    times_ns = [time_ns for _, _, time_ns in found]
    if found[-1][0] >= chunk.uncompressed_size:
        raise Damaged("a message index that points outside its chunk")
    if not chunk.first_ns <= min(times_ns) <= max(times_ns) <= chunk.last_ns:
        raise Damaged("a message index of times outside its chunk")
    if len({offset for offset, _, _ in found}) != len(found):
        raise Damaged("a message index with two messages at one place")
    return [Entry(channel, time_ns, offset) for offset, channel, time_ns in found]
