"""Writes a session file again from the parts of another one, chunk by chunk, and the index of everything at its end."""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

from mcap.data_stream import RecordBuilder
from mcap.records import (
    AttachmentIndex,
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    Message,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

from handdgp_core.files import MIB
from handdgp_core.sessions import schema
from handdgp_core.sessions.records import MAGIC, Chunk, Entry, Opcode
from handdgp_core.sessions.scan import Inventory

__all__ = ["add_chunk", "copy_data", "message_counts", "record_bytes", "write_end", "write_indexes"]


def message_counts(found: Inventory) -> dict[int, int]:
    """Messages by channel."""
    counts: dict[int, int] = defaultdict(int)
    for entries in found.entries:
        for entry in entries or ():
            counts[entry.channel] += 1
    return counts


def copy_data(
    source: BinaryIO, stream: BinaryIO, found: Inventory, progress: Callable[[float], None]
) -> list[dict[int, int]]:
    """Copies everything that is whole; `found` then tells where it lies in the new file.

    Args:
        source, stream: the old and the new file.
        found: what is in the old one.
        progress: gets the share that is done, 0 to 1.

    Returns:
        beside the chunks, where the index record of every channel lies.
    """
    header = found.header or Header(schema.PROFILE, "")
    # The chunk that held the types may be lost, so they stand in front of everything.
    stream.write(MAGIC + record_bytes([header, *found.schemas.values(), *found.channels.values()]))
    copied: list[Chunk] = []
    places: list[dict[int, int]] = []
    for number, (chunk, entries) in enumerate(zip(found.chunks, found.entries, strict=True)):
        moved = _copy_chunk(source, stream, chunk)
        moved, where = write_indexes(stream, moved, entries or [])
        copied.append(moved)
        places.append(where)
        progress((number + 1) / len(found.chunks))
    found.chunks = copied
    found.metadata = [_moved(source, stream, *kept) for kept in found.metadata]
    found.attachments = [_moved_attachment(source, stream, index) for index in found.attachments]
    return places


def add_chunk(stream: BinaryIO, found: Inventory, places: list[dict[int, int]], messages: Sequence[Message]) -> None:
    """Writes messages as a chunk that is not compressed, and adds it to `found` and `places`."""
    data, entries = bytearray(), []
    for message in messages:
        entries.append(Entry(message.channel_id, message.log_time, len(data)))
        data += record_bytes([message])
    times_ns = [message.log_time for message in messages]
    chunk = Chunk(0, 0, 0, len(data), len(data), zlib.crc32(data), "", min(times_ns), max(times_ns), 0)
    chunk, where = write_indexes(stream, _write_chunk(stream, chunk, bytes(data)), entries)
    found.chunks.append(chunk)
    found.entries.append(entries)
    places.append(where)


def _moved(source: BinaryIO, stream: BinaryIO, record: Any, begin: int, end: int) -> tuple[Any, int, int]:
    source.seek(begin)
    start = stream.tell()
    stream.write(source.read(end - begin))
    return record, start, stream.tell()


def _moved_attachment(source: BinaryIO, stream: BinaryIO, index: AttachmentIndex) -> AttachmentIndex:
    start = stream.tell()
    _copy_range(source, stream, index.offset, index.length)
    return replace(index, offset=start)


def _copy_range(source: BinaryIO, stream: BinaryIO, start: int, size: int) -> None:
    source.seek(start)
    for done in range(0, size, MIB):
        stream.write(source.read(min(MIB, size - done)))


def _copy_chunk(source: BinaryIO, stream: BinaryIO, chunk: Chunk) -> Chunk:
    """The chunk in the new file. Its head is written again, as nothing proves the old one; loose messages get one."""
    source.seek(chunk.data_start)
    data = source.read(chunk.data_size)
    if chunk.is_loose:
        chunk = replace(chunk, crc=zlib.crc32(data), is_loose=False)
    return _write_chunk(stream, chunk, data)


def _write_chunk(stream: BinaryIO, chunk: Chunk, data: bytes) -> Chunk:
    start, compression = stream.tell(), chunk.compression.encode()
    head = struct.pack("<QQQII", chunk.first_ns, chunk.last_ns, chunk.uncompressed_size, chunk.crc, len(compression))
    body = head + compression + struct.pack("<Q", len(data))
    stream.write(struct.pack("<BQ", Opcode.CHUNK, len(body) + len(data)) + body)
    data_start = stream.tell()
    stream.write(data)
    end = stream.tell()
    return replace(chunk, start=start, end=end, data_start=data_start, index_end=end)


def write_indexes(stream: BinaryIO, chunk: Chunk, entries: Iterable[Entry]) -> tuple[Chunk, dict[int, int]]:
    """The index records of a chunk, behind it; the chunk with their end, and where that of every channel lies."""
    by_channel: dict[int, list[tuple[int, int]]] = {}
    for entry in entries:
        by_channel.setdefault(entry.channel, []).append((entry.time_ns, entry.offset))
    places = {}
    for channel, records in by_channel.items():
        places[channel] = stream.tell()
        stream.write(record_bytes([MessageIndex(channel, records)]))
    return replace(chunk, index_end=stream.tell()), places


def write_end(stream: BinaryIO, found: Inventory, places: list[dict[int, int]], note: Metadata) -> None:
    """A note of what was done, the end of the data, the index of everything, footer and magic."""
    start = stream.tell()
    stream.write(record_bytes([note]))
    found.metadata.append((note, start, stream.tell()))
    stream.write(record_bytes([DataEnd(0)]))
    summary_start = stream.tell()
    groups = _summary_groups(found, places)
    body, offsets = b"", []
    for opcode, records in groups:
        group = record_bytes(records)
        if group:
            offsets.append(SummaryOffset(opcode, summary_start + len(body), len(group)))
        body += group
    offsets_start = summary_start + len(body)
    body += record_bytes(offsets)
    crc = zlib.crc32(body + struct.pack("<BQQQ", Opcode.FOOTER, 20, summary_start, offsets_start))
    stream.write(body + record_bytes([Footer(summary_start, offsets_start, crc)]) + MAGIC)


def _summary_groups(found: Inventory, places: list[dict[int, int]]) -> list[tuple[Opcode, list[Any]]]:
    chunks = [_chunk_index(chunk, where) for chunk, where in zip(found.chunks, places, strict=True)]
    metadata = [MetadataIndex(start, end - start, record.name) for record, start, end in found.metadata]
    schemas: list[Schema] = list(found.schemas.values())
    channels: list[Channel] = list(found.channels.values())
    return [
        (Opcode.SCHEMA, schemas),
        (Opcode.CHANNEL, channels),
        (Opcode.STATISTICS, [_statistics(found)]),
        (Opcode.CHUNK_INDEX, chunks),
        (Opcode.ATTACHMENT_INDEX, found.attachments),
        (Opcode.METADATA_INDEX, metadata),
    ]


def _chunk_index(chunk: Chunk, places: dict[int, int]) -> ChunkIndex:
    return ChunkIndex(
        message_start_time=chunk.first_ns,
        message_end_time=chunk.last_ns,
        chunk_start_offset=chunk.start,
        chunk_length=chunk.end - chunk.start,
        message_index_offsets=places,
        message_index_length=chunk.index_end - chunk.end,
        compression=chunk.compression,
        compressed_size=chunk.data_size,
        uncompressed_size=chunk.uncompressed_size,
    )


def _statistics(found: Inventory) -> Statistics:
    counts = message_counts(found)
    return Statistics(
        attachment_count=len(found.attachments),
        channel_count=len(found.channels),
        channel_message_counts=dict(counts),
        chunk_count=len(found.chunks),
        message_count=sum(counts.values()),
        message_end_time=max(chunk.last_ns for chunk in found.chunks),
        message_start_time=min(chunk.first_ns for chunk in found.chunks),
        metadata_count=len(found.metadata),
        schema_count=len(found.schemas),
    )


def record_bytes(records: Iterable[Any]) -> bytes:
    """Records of `mcap.records` as they stand in a file."""
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    return bytes(builder.end())
