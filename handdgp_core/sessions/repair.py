"""Makes a sound session file of one that was never finished or is damaged.

A recording that merely breaks off is finished where it lies, which takes a fraction of a second. Otherwise every chunk
that is whole is copied into a new file, and the damaged one is left as it is. What was lost is told, and noted in the
new file's metadata ("repair").
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from mcap.data_stream import RecordBuilder
from mcap.records import (
    AttachmentIndex,
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

from handdgp_core.errors import SourceError, UsageError
from handdgp_core.files import MIB, check_room, name_new, output_errors, private_opener, remove
from handdgp_core.sessions import schema
from handdgp_core.sessions.locks import hold
from handdgp_core.sessions.parts import finished_path, part_path, reserve_path
from handdgp_core.sessions.records import HEAD_BYTES, MAGIC, Chunk, Entry, Opcode, SessionFile
from handdgp_core.sessions.scan import Inventory, Loss, describe_losses, scan
from handdgp_core.sessions.topics import IMAGE_TYPE, is_own

__all__ = ["RepairReport", "repair"]

Progress = Callable[[float], None]


@dataclass(frozen=True)
class RepairReport:
    """What became of a file.

    Attributes:
        path: the sound file.
        in_place: whether it is the old file, finished; else the old one is still there.
        frames: pictures in it.
        messages: messages in it.
        losses: what could not be used, with place and, where known, count.
        lost_frames: pictures known to be lost; those of a chunk that was never complete are not known.
    """

    path: Path
    in_place: bool
    frames: int
    messages: int
    losses: list[Loss]
    lost_frames: int

    @property
    def summary(self) -> str:
        """One sentence for the user."""
        lost = describe_losses(self.losses)
        known = f" with {self.lost_frames} known frames" if self.lost_frames else ""
        return f"{self.frames} frames are saved; " + (f"lost: {lost}{known}" if lost else "nothing was lost")


def repair(path: Path, output: Path | None = None, progress: Progress | None = None) -> RepairReport:
    """Finish or rescue a session file.

    Args:
        path: the unfinished or damaged file.
        output: the sound file; by default its finished name, or the same name with "-repaired".
        progress: gets the share that is done, 0 to 1.

    Raises:
        SourceError: nothing in it can be saved, or it cannot be read.
        UsageError: `output` is there already, or the file is still being written.
        OutputError: the sound file cannot be written.
    """
    target = output or finished_path(path)
    if target.exists():
        raise UsageError(
            f"Could not repair {path.name} into {target}, which is there already.", hint="Name another output."
        )
    with _held(path):
        return _repaired(path, output, target, progress or (lambda share: None))


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Nobody else writes the file meanwhile. Raises UsageError where somebody does, SourceError without a file."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise SourceError(f"Could not read {path}: {error.strerror or error}.", hint="Check the path.") from error
    with file:
        if not hold(file):
            raise UsageError(f"Could not repair {path}: it is still being written.", hint="End the recording first.")
        yield


def _repaired(path: Path, output: Path | None, target: Path, progress: Progress) -> RepairReport:
    found = _scanned(path)
    if not found.channels and is_own(found.header, {}, {}):
        _assume_types(found)
    cut_only = all(loss.start >= found.data_end for loss in found.losses)
    has_loose = any(chunk.is_loose for chunk in found.chunks)
    in_place = cut_only and output is None and target != path and not found.finished and not has_loose
    if in_place:
        target = _finish_in_place(path, target, found)
        remove(reserve_path(finished_path(path)))
    else:
        target = _copy(path, target, found, progress)
    counts = _counts(found)
    image = {number for number, channel in found.channels.items() if _is_image(found, channel)}
    lost = sum(count for loss in found.losses for number, count in (loss.messages or {}).items() if number in image)
    frames = sum(counts[number] for number in image)
    return RepairReport(target, in_place, frames, sum(counts.values()), found.losses, lost)


def _is_image(found: Inventory, channel: Channel) -> bool:
    """Whether these are pictures, also of another program."""
    kind = found.schemas.get(channel.schema_id)
    return channel.topic == schema.IMAGE if kind is None else kind.name == IMAGE_TYPE


def _scanned(path: Path) -> Inventory:
    try:
        file = SessionFile(path)
        try:
            found = scan(file)
        finally:
            file.close()
    except OSError as error:
        raise SourceError(f"Could not read {path}: {error.strerror or error}.", hint="Check the disk.") from error
    if not any(found.entries):
        why = "it holds no message" if found.finished else describe_losses(found.losses) or "it was cut too early"
        raise SourceError(f"{path} holds nothing that can be saved: {why}.", hint="Keep it if another program made it.")
    return found


def _assume_types(found: Inventory) -> None:
    """The first chunk, which names the topics, is lost: sessions number them always in the same way."""
    for kind, channel in schema.registrations():
        found.schemas[kind.id], found.channels[channel.id] = kind, channel


def _counts(found: Inventory) -> dict[int, int]:
    counts: dict[int, int] = defaultdict(int)
    for entries in found.entries:
        for entry in entries or ():
            counts[entry.channel] += 1
    return counts


def _finish_in_place(path: Path, target: Path, found: Inventory) -> Path:
    """Cut what is not whole, write the indexes of the last chunk again, then the index of all."""
    ends = [
        *(chunk.index_end for chunk in found.chunks),
        *(end for _, _, end in found.metadata),
        *(index.offset + index.length for index in found.attachments),
    ]
    last = found.chunks[-1]
    is_last = last.index_end == max(ends)
    with output_errors(path), open(path, "r+b") as stream:
        places = [_index_places(stream, chunk) for chunk in found.chunks]
        stream.seek(last.end if is_last else found.data_end)
        stream.truncate()
        if is_last:
            found.chunks[-1], places[-1] = _write_indexes(stream, last, found.entries[-1] or [])
        _write_end(stream, found, places)
        os.fsync(stream.fileno())
    return name_new(path, target)


def _index_places(stream: BinaryIO, chunk: Chunk) -> dict[int, int]:
    """Where the index record of every channel lies."""
    stream.seek(chunk.end)
    region = stream.read(chunk.index_end - chunk.end)
    places, position = {}, 0
    while position < len(region):
        (length,) = struct.unpack_from("<Q", region, position + 1)
        (channel,) = struct.unpack_from("<H", region, position + HEAD_BYTES)
        places[channel] = chunk.end + position
        position += HEAD_BYTES + length
    return places


def _copy(path: Path, target: Path, found: Inventory, progress: Progress) -> Path:
    """Everything that is whole into a new file."""
    check_room(target.parent, path.stat().st_size + (1 << 20))
    part = part_path(target)
    with output_errors(part):
        stream = open(part, "xb", opener=private_opener)  # noqa: SIM115 - closed below
    try:
        with stream, output_errors(target), open(path, "rb") as source:
            hold(stream)
            _copy_data(source, stream, found, progress)
            os.fsync(stream.fileno())
        return name_new(part, target)
    finally:
        remove(part)  # where it has not got its name


def _copy_data(source: BinaryIO, stream: BinaryIO, found: Inventory, progress: Progress) -> None:
    header = found.header or Header(schema.PROFILE, "")
    # The chunk that held the types may be lost, so they stand in front of everything.
    stream.write(MAGIC + _bytes([header, *found.schemas.values(), *found.channels.values()]))
    copied: list[Chunk] = []
    places: list[dict[int, int]] = []
    for number, (chunk, entries) in enumerate(zip(found.chunks, found.entries, strict=True)):
        moved = _copy_chunk(source, stream, chunk)
        moved, where = _write_indexes(stream, moved, entries or [])
        copied.append(moved)
        places.append(where)
        progress((number + 1) / len(found.chunks))
    found.chunks = copied
    found.metadata = [_moved(source, stream, *kept) for kept in found.metadata]
    found.attachments = [_moved_attachment(source, stream, index) for index in found.attachments]
    _write_end(stream, found, places)


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
    start, compression, crc = stream.tell(), chunk.compression.encode(), chunk.crc
    source.seek(chunk.data_start)
    data = source.read(chunk.data_size)
    if chunk.is_loose:
        crc = zlib.crc32(data)
    head = struct.pack("<QQQII", chunk.first_ns, chunk.last_ns, chunk.uncompressed_size, crc, len(compression))
    body = head + compression + struct.pack("<Q", len(data))
    stream.write(struct.pack("<BQ", Opcode.CHUNK, len(body) + len(data)) + body)
    data_start = stream.tell()
    stream.write(data)
    end = stream.tell()
    return replace(chunk, start=start, end=end, data_start=data_start, crc=crc, index_end=end, is_loose=False)


def _write_indexes(stream: BinaryIO, chunk: Chunk, entries: Iterable[Entry]) -> tuple[Chunk, dict[int, int]]:
    by_channel: dict[int, list[tuple[int, int]]] = {}
    for entry in entries:
        by_channel.setdefault(entry.channel, []).append((entry.time_ns, entry.offset))
    places = {}
    for channel, records in by_channel.items():
        places[channel] = stream.tell()
        stream.write(_bytes([MessageIndex(channel, records)]))
    return replace(chunk, index_end=stream.tell()), places


def _write_end(stream: BinaryIO, found: Inventory, places: list[dict[int, int]]) -> None:
    """A note of the losses, the end of the data, the index of everything, footer and magic."""
    note = Metadata("repair", {"lost": describe_losses(found.losses, limit=1000) or "nothing"})
    start = stream.tell()
    stream.write(_bytes([note]))
    found.metadata.append((note, start, stream.tell()))
    stream.write(_bytes([DataEnd(0)]))
    summary_start = stream.tell()
    groups = _summary_groups(found, places)
    body, offsets = b"", []
    for opcode, records in groups:
        group = _bytes(records)
        if group:
            offsets.append(SummaryOffset(opcode, summary_start + len(body), len(group)))
        body += group
    offsets_start = summary_start + len(body)
    body += _bytes(offsets)
    crc = zlib.crc32(body + struct.pack("<BQQQ", Opcode.FOOTER, 20, summary_start, offsets_start))
    stream.write(body + _bytes([Footer(summary_start, offsets_start, crc)]) + MAGIC)


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
    counts = _counts(found)
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


def _bytes(records: Iterable[Any]) -> bytes:
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    return bytes(builder.end())
