"""What is in a session file: by its index where that is sound, else by walking through all of it and saving what is
whole. Nothing is ever written here.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mcap.records import Attachment, AttachmentIndex, Channel, ChunkIndex, Footer, Header, Metadata, Schema

from handdgp_core.sessions.records import (
    HEAD_BYTES,
    MAGIC,
    Chunk,
    Damaged,
    Entry,
    Opcode,
    RecordHead,
    SessionFile,
    chunk_data,
    index_entries,
    parse,
    read_chunk_head,
    walk_messages,
)

__all__ = ["Inventory", "Loss", "describe_losses", "scan", "scan_quickly"]

_FOOTER_BYTES = HEAD_BYTES + 20 + len(MAGIC)
# A chunk: opcode, a length below 2^40, times, size, CRC, then the length of a compression's name that we know.
_CHUNK_PATTERN = re.compile(rb"\x06.{5}\x00\x00\x00.{28}[\x00\x03\x04]\x00\x00\x00", re.DOTALL)
_WINDOW, _OVERLAP = 4 << 20, 64


@dataclass(frozen=True)
class Loss:
    """A stretch of the file that cannot be used.

    Attributes:
        start, end: in bytes.
        reason: in words.
        messages: how many messages the index lists; None where that is unknown.
        first_ns, last_ns: their log times, or None.
    """

    start: int
    end: int
    reason: str
    messages: dict[int, int] | None = None
    first_ns: int | None = None
    last_ns: int | None = None


@dataclass
class Inventory:
    """Everything of use in a file.

    Attributes:
        header: profile and library, or None.
        chunks: in the order of the file.
        entries: beside them, the messages of each; None where the index has not been read yet.
        schemas, channels: by their number.
        metadata: as they come.
        attachments: (record, start, end).
        losses: what cannot be used.
        finished: whether the file has a sound index at its end.
        data_end: one past the last sound record before the index: where an unfinished file can be continued.
    """

    header: Header | None = None
    chunks: list[Chunk] = field(default_factory=list)
    entries: list[list[Entry] | None] = field(default_factory=list)
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    metadata: list[tuple[Metadata, int, int]] = field(default_factory=list)
    attachments: list[tuple[Attachment, int, int]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    finished: bool = False
    data_end: int = 0


def scan_quickly(file: SessionFile) -> Inventory | None:
    """The inventory by the index at the file's end; None where that is missing or damaged.

    Checksums of chunks are left to the time when they are read.
    """
    try:
        return _by_summary(file)
    except (Damaged, struct.error):
        return None


def scan(file: SessionFile) -> Inventory:
    """The inventory by reading the whole file; every checksum is compared.

    Raises:
        OSError: the disk failed.
    """
    return _Walk(file).run()


def describe_losses(losses: list[Loss], limit: int = 5) -> str:
    """One sentence for the user; empty where nothing was lost."""
    if not losses:
        return ""
    size = sum(loss.end - loss.start for loss in losses)
    amount = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
    places = "; ".join(f"at byte {loss.start}: {loss.reason}" for loss in losses[:limit])
    more = f"; and {len(losses) - limit} more" if len(losses) > limit else ""
    return f"{len(losses)} damaged part{'s' * (len(losses) > 1)} of {amount} in all ({places}{more})"


# By the index ---------------------------------------------------------------------------------------------------------


def _by_summary(file: SessionFile) -> Inventory:
    if file.size < len(MAGIC) + _FOOTER_BYTES or file.read(0, len(MAGIC)) != MAGIC:
        raise Damaged("no magic")
    tail = file.read(file.size - _FOOTER_BYTES, _FOOTER_BYTES)
    if tail[-len(MAGIC) :] != MAGIC or tail[0] != Opcode.FOOTER:
        raise Damaged("no footer")
    footer = parse(Footer, tail[HEAD_BYTES : -len(MAGIC)])
    footer_start = file.size - _FOOTER_BYTES
    if not len(MAGIC) < footer.summary_start <= footer_start:
        raise Damaged("a footer without an index")
    summary = file.read(footer.summary_start, footer_start - footer.summary_start)
    if footer.summary_crc and zlib.crc32(summary + tail[: HEAD_BYTES + 16]) != footer.summary_crc:
        raise Damaged("an index whose checksum differs")
    found = Inventory(header=_header(file), finished=True, data_end=footer.summary_start)
    position = footer.summary_start
    while position < footer_start:
        head = file.head(position)
        _take_summary(file, head, found)
        position = head.end
    found.chunks.sort(key=lambda chunk: chunk.start)
    found.entries = [None] * len(found.chunks)
    if not found.chunks and not found.metadata:
        raise Damaged("an index of nothing")
    return found


def _header(file: SessionFile) -> Header:
    head = file.head(len(MAGIC))
    if head.opcode != Opcode.HEADER:
        raise Damaged("no header")
    return parse(Header, file.body(head))


def _take_summary(file: SessionFile, head: RecordHead, found: Inventory) -> None:
    if head.opcode == Opcode.SCHEMA:
        schema = parse(Schema, file.body(head))
        found.schemas[schema.id] = schema
    elif head.opcode == Opcode.CHANNEL:
        channel = parse(Channel, file.body(head))
        found.channels[channel.id] = channel
    elif head.opcode == Opcode.CHUNK_INDEX:
        index = parse(ChunkIndex, file.body(head))
        there = file.head(index.chunk_start_offset)
        if there.opcode != Opcode.CHUNK or there.end - there.start != index.chunk_length:
            raise Damaged("an index that points to something else")
        chunk = read_chunk_head(file, there)
        found.chunks.append(replace(chunk, index_end=chunk.end + index.message_index_length))
    elif head.opcode == Opcode.METADATA_INDEX:
        start, length = struct.unpack_from("<QQ", file.body(head))
        found.metadata.append((parse(Metadata, file.body(_at(file, start, Opcode.METADATA))), start, start + length))
    elif head.opcode == Opcode.ATTACHMENT_INDEX:
        start = parse(AttachmentIndex, file.body(head)).offset
        there = _at(file, start, Opcode.ATTACHMENT)
        found.attachments.append((_attachment(file.body(there)), start, there.end))


def _at(file: SessionFile, start: int, opcode: int) -> RecordHead:
    head = file.head(start)
    if head.opcode != opcode:
        raise Damaged("an index that points to something else")
    return head


def _attachment(body: bytes) -> Attachment:
    (crc,) = struct.unpack("<I", body[-4:])
    if crc and zlib.crc32(body[:-4]) != crc:
        raise Damaged("an attachment whose checksum differs")
    return parse(Attachment, body)


# By walking -----------------------------------------------------------------------------------------------------------


class _Walk:
    """One way through a file from front to end."""

    def __init__(self, file: SessionFile) -> None:
        self._file = file
        self._found = Inventory(data_end=min(len(MAGIC), file.size))
        self._in_summary = False
        self._bad_chunk: Loss | None = None  # its message index, which follows, tells what it held

    def run(self) -> Inventory:
        file, found = self._file, self._found
        position = min(len(MAGIC), file.size)
        if file.read(0, position) != MAGIC:
            self._lose(0, position, "no MCAP magic")
        end = file.size - len(MAGIC)
        ends_well = end >= len(MAGIC) and file.read(end, len(MAGIC)) == MAGIC
        stop = end if ends_well else file.size
        while position < stop:
            try:
                position = self._take(file.head(position))
            except Damaged as damage:
                position = self._resume_after(position, str(damage))
        found.finished = ends_well and self._in_summary and not found.losses
        return found

    def _take(self, head: RecordHead) -> int:
        """Use one record; the position of the next."""
        file, found = self._file, self._found
        if head.opcode == Opcode.CHUNK:
            return self._take_chunk(head)
        if head.opcode == Opcode.MESSAGE_INDEX:
            self._take_index(head)
        elif head.opcode == Opcode.HEADER and found.header is None:
            found.header = parse(Header, file.body(head))
        elif head.opcode == Opcode.METADATA:
            found.metadata.append((parse(Metadata, file.body(head)), head.start, head.end))
        elif head.opcode == Opcode.ATTACHMENT:
            found.attachments.append((_attachment(file.body(head)), head.start, head.end))
        elif head.opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            self._take_type(head.opcode, file.body(head))
        elif head.opcode == Opcode.DATA_END:
            if head.length != 4:
                raise Damaged("a damaged end of the data")
            self._in_summary = True
        elif head.opcode == Opcode.MESSAGE and not self._in_summary:
            raise Damaged("a message outside of any chunk")
        if not self._in_summary:
            found.data_end = head.end
        return head.end

    def _take_chunk(self, head: RecordHead) -> int:
        found = self._found
        chunk = read_chunk_head(self._file, head)
        self._bad_chunk = None
        try:
            data = chunk_data(self._file, chunk)
            entries = []
            for record, entry in walk_messages(data):
                if entry is not None:
                    entries.append(entry)
                elif record.opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                    self._take_type(record.opcode, data[record.body : record.end])
        except Damaged as damage:
            if not self._follows_well(head.end):
                raise  # it may be the length that is wrong, and another chunk begins within
            self._lose(head.start, head.end, str(damage), chunk)
            self._bad_chunk = found.losses[-1]
            return head.end
        found.chunks.append(chunk)
        found.entries.append(entries)
        found.data_end = head.end
        return head.end

    def _take_index(self, head: RecordHead) -> None:
        found = self._found
        if self._bad_chunk is not None:
            found.losses[-1] = self._bad_chunk = _with_counts(self._file, head, self._bad_chunk)
        elif found.chunks and found.chunks[-1].index_end == head.start:
            found.chunks[-1] = replace(found.chunks[-1], index_end=head.end)

    def _take_type(self, opcode: int, body: bytes) -> None:
        if opcode == Opcode.SCHEMA:
            schema = parse(Schema, body)
            self._found.schemas.setdefault(schema.id, schema)
        else:
            channel = parse(Channel, body)
            self._found.channels.setdefault(channel.id, channel)

    def _follows_well(self, position: int) -> bool:
        if position == self._file.size:
            return True
        try:
            head = self._file.head(position)
        except Damaged:
            return False
        return head.opcode == Opcode.MESSAGE_INDEX and head.length < 1 << 24

    def _resume_after(self, position: int, reason: str) -> int:
        """The start of the next chunk that is whole; what lies before it is lost."""
        self._bad_chunk = None
        after = next(self._whole_chunks_from(position + 1), self._file.size)
        self._lose(position, after, reason)
        return after

    def _whole_chunks_from(self, position: int) -> Iterator[int]:
        file = self._file
        while position < file.size:
            window = file.read(position, min(_WINDOW, file.size - position))
            for match in _CHUNK_PATTERN.finditer(window):
                start = position + match.start()
                try:
                    chunk_data(file, read_chunk_head(file, file.head(start)))
                except Damaged:
                    continue
                yield start
            position += max(len(window) - _OVERLAP, 1) if len(window) == _WINDOW else len(window)

    def _lose(self, start: int, end: int, reason: str, chunk: Chunk | None = None) -> None:
        if self._in_summary and chunk is None:
            reason = f"{reason} in the index"
        first, last = (None, None) if chunk is None else (chunk.first_ns, chunk.last_ns)
        self._found.losses.append(Loss(start, end, reason, None, first, last))


def _with_counts(file: SessionFile, head: RecordHead, loss: Loss) -> Loss:
    """The loss with the number of messages that one more index record tells."""
    holder = Chunk(loss.start, head.start, 0, 0, 1 << 62, 0, "", 0, 0, head.end)
    try:
        entries = index_entries(file, holder)
    except Damaged:
        return loss
    counts = dict(loss.messages or {})
    for entry in entries:
        counts[entry.channel] = counts.get(entry.channel, 0) + 1
    return replace(loss, messages=counts)
