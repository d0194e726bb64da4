"""What is in a session file: by its index where that is sound, else by walking through all of it and saving what is
whole. Nothing is ever written here.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mcap.records import (
    AttachmentIndex,
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    Metadata,
    Schema,
    Statistics,
)

from handdgp_core.files import MIB
from handdgp_core.sessions.attachments import attachment_at
from handdgp_core.sessions.records import (
    HEAD_BYTES,
    LARGEST_RECORD,
    MAGIC,
    PRIVATE,
    Chunk,
    Damaged,
    Entry,
    Opcode,
    RecordHead,
    SessionFile,
    chunk_data,
    chunk_of_index,
    index_entries,
    loose_chunk,
    loose_entry,
    parse,
    read_chunk_head,
    walk_messages,
)

__all__ = ["Inventory", "Loss", "describe_losses", "scan", "scan_quickly"]

_FOOTER_BYTES = HEAD_BYTES + 20 + len(MAGIC)
# A chunk: opcode, a length below 2^40, times, size, CRC, then the length of a compression's name that we know.
_CHUNK_PATTERN = re.compile(rb"\x06.{5}\x00\x00\x00.{28}[\x00\x03\x04]\x00\x00\x00", re.DOTALL)
# A message: opcode, a length below 2^32.
_MESSAGE_PATTERN = re.compile(rb"\x05.{4}\x00{4}", re.DOTALL)
_WINDOW, _OVERLAP = 4 * MIB, 64
_LOOSE_BYTES = MIB  # messages outside of chunks are read together up to this size
_CHAIN = 3  # so many records must follow each other before a place in a damaged file is believed
_SEARCH_BYTES = 256 * MIB  # what false chunks may cost, besides four times the file


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
        metadata: (record, start, end), as they come.
        attachments: where they lie; each was compared with its checksum.
        counts: messages by channel as the file's statistics tell them, or None.
        losses: what cannot be used.
        notes: what else the user should know.
        finished: whether the file has a sound index at its end.
        data_end: one past the last sound record before the index: where an unfinished file can be continued.
    """

    header: Header | None = None
    chunks: list[Chunk] = field(default_factory=list)
    entries: list[list[Entry] | None] = field(default_factory=list)
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    metadata: list[tuple[Metadata, int, int]] = field(default_factory=list)
    attachments: list[AttachmentIndex] = field(default_factory=list)
    counts: dict[int, int] | None = None
    losses: list[Loss] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    finished: bool = False
    data_end: int = 0


def scan_quickly(file: SessionFile) -> Inventory | None:
    """The inventory by the index at the file's end; None where that is missing, damaged, has no checksum or does not
    tell everything that is in the file.

    Checksums of chunks are left to the time when they are read.
    """
    try:
        found, end = _summary(file)
        found.header = _header(file)
        _check_complete(file, found, end)
    except (Damaged, struct.error):
        return None
    return found


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


def _summary(file: SessionFile) -> tuple[Inventory, int]:
    """What the index tells, and where it begins; raises Damaged where its checksum is not right."""
    if file.size < len(MAGIC) + _FOOTER_BYTES or file.read(0, len(MAGIC)) != MAGIC:
        raise Damaged("no magic")
    tail = file.read(file.size - _FOOTER_BYTES, _FOOTER_BYTES)
    if tail[-len(MAGIC) :] != MAGIC or tail[0] != Opcode.FOOTER:
        raise Damaged("no footer")
    footer = parse(Footer, tail[HEAD_BYTES : -len(MAGIC)])
    footer_start = file.size - _FOOTER_BYTES
    if not len(MAGIC) < footer.summary_start <= footer_start:
        raise Damaged("a footer without an index")
    if footer_start - footer.summary_start > LARGEST_RECORD:
        raise Damaged("an index that is too long")
    summary = file.read(footer.summary_start, footer_start - footer.summary_start)
    if not footer.summary_crc or zlib.crc32(summary + tail[: HEAD_BYTES + 16]) != footer.summary_crc:
        raise Damaged("an index without a right checksum")
    found = Inventory(finished=True, data_end=footer.summary_start)
    position = footer.summary_start
    while position < footer_start:
        head = file.head(position)
        _take_summary(file, head, found)
        position = head.end
    found.chunks.sort(key=lambda chunk: chunk.start)
    found.entries = [None] * len(found.chunks)
    return found, footer.summary_start


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
    elif head.opcode == Opcode.STATISTICS:
        found.counts = dict(parse(Statistics, file.body(head)).channel_message_counts)
    elif head.opcode == Opcode.CHUNK_INDEX:
        found.chunks.append(chunk_of_index(file, parse(ChunkIndex, file.body(head))))


def _check_complete(file: SessionFile, found: Inventory, end: int) -> None:
    """Raises Damaged where the data hold chunks or messages that the index does not tell, or of unknown types."""
    chunks = {chunk.start: chunk for chunk in found.chunks}
    position = file.head(len(MAGIC)).end
    while position < end:
        chunk = chunks.pop(position, None)
        if chunk is not None:
            position = chunk.index_end
            continue
        head = file.head(position)
        if head.opcode in (Opcode.CHUNK, Opcode.MESSAGE) or head.opcode >= PRIVATE:
            raise Damaged("an index that does not tell everything")
        if head.opcode == Opcode.METADATA:
            found.metadata.append((parse(Metadata, file.body(head)), head.start, head.end))
        elif head.opcode == Opcode.ATTACHMENT:
            found.attachments.append(attachment_at(file, head))
        position = head.end
    if position != end or chunks:
        raise Damaged("an index that points to something else")
    if found.counts is None:
        raise Damaged("an index without statistics")
    used = {channel for channel, count in found.counts.items() if count}
    needed = {channel.schema_id for channel in found.channels.values()} - {0}
    if not used <= found.channels.keys() or not needed <= found.schemas.keys() or not found.channels:
        raise Damaged("an index that does not tell the types")


# By walking -----------------------------------------------------------------------------------------------------------


class _Walk:
    """One way through a file from front to end.

    Where the index at the end has a right checksum, it tells where chunks lie: their own heads have none.
    """

    def __init__(self, file: SessionFile) -> None:
        self._file = file
        self._found = Inventory(data_end=min(len(MAGIC), file.size))
        self._in_summary = False
        self._bad_chunk: Loss | None = None  # its message index, which follows, tells what it held
        self._private = 0
        self._search_bytes = 4 * file.size + _SEARCH_BYTES
        self._window = (0, b"")
        self._known: dict[int, Chunk] = {}
        try:
            told, _ = _summary(file)
        except (Damaged, struct.error):
            return
        self._known = {chunk.start: chunk for chunk in told.chunks}
        self._found.schemas, self._found.channels = told.schemas, told.channels

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
                known = self._known.pop(position, None)
                position = self._take(file.head(position)) if known is None else self._take_known(known)
            except Damaged as damage:
                position = self._resume_after(position, str(damage))
        found.finished = ends_well and self._in_summary and not found.losses
        if self._private:
            found.notes.append(f"{self._private} records of a kind that this program does not know were passed over")
        return found

    def _take(self, head: RecordHead) -> int:
        """Use one record; the position of the next."""
        file, found = self._file, self._found
        if head.opcode == Opcode.CHUNK:
            return self._take_chunk(head)
        if head.opcode >= PRIVATE:
            return self._take_private(head)
        if head.opcode == Opcode.MESSAGE and not self._in_summary:
            return self._take_loose(head)
        if head.opcode == Opcode.MESSAGE_INDEX:
            self._take_index(head)
        elif head.opcode == Opcode.HEADER and found.header is None:
            found.header = parse(Header, file.body(head))
        elif head.opcode == Opcode.METADATA:
            found.metadata.append((parse(Metadata, file.body(head)), head.start, head.end))
        elif head.opcode == Opcode.ATTACHMENT:
            found.attachments.append(attachment_at(file, head))
        elif head.opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            self._take_type(head.opcode, file.body(head))
        elif head.opcode == Opcode.DATA_END:
            self._take_end(head)
        if not self._in_summary:
            found.data_end = head.end
        return head.end

    def _take_end(self, head: RecordHead) -> None:
        if head.length < 4:
            raise Damaged("a damaged end of the data")
        self._in_summary = True
        crc = parse(DataEnd, self._file.body(head)).data_section_crc
        has_loose = any(chunk.is_loose for chunk in self._found.chunks)  # nothing else tells damage of these
        if crc and has_loose and self._file.crc(0, head.start) != crc:
            self._found.notes.append("the checksum of the file differs: some of its messages may be damaged")

    def _take_chunk(self, head: RecordHead) -> int:
        chunk = read_chunk_head(self._file, head)
        self._bad_chunk = None
        try:
            self._add_chunk(chunk)
        except Damaged as damage:
            if not self._follows_well(head.end):
                raise  # it may be the length that is wrong, and another chunk begins within
            self._lose(head.start, head.end, str(damage), chunk)
            self._bad_chunk = self._found.losses[-1]
        return head.end

    def _take_known(self, chunk: Chunk) -> int:
        """A chunk that the index tells, and its message index."""
        self._bad_chunk = None
        try:
            self._add_chunk(chunk)
        except Damaged as damage:
            self._lose(chunk.start, chunk.end, str(damage), chunk)
            self._found.losses[-1] = _with_counts(self._file, chunk.end, chunk.index_end, self._found.losses[-1])
        self._found.data_end = chunk.index_end
        return chunk.index_end

    def _add_chunk(self, chunk: Chunk) -> None:
        found = self._found
        data = chunk_data(self._file, chunk)
        entries = []
        for record, entry in walk_messages(data):
            if entry is not None:
                entries.append(entry)
            elif record.opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                self._take_type(record.opcode, data[record.body : record.end])
        times_ns = [entry.time_ns for entry in entries]
        if times_ns:  # those of the chunk's head have no checksum
            chunk = replace(chunk, first_ns=min(times_ns), last_ns=max(times_ns))
        found.chunks.append(chunk)
        found.entries.append(entries)
        found.data_end = chunk.end

    def _take_private(self, head: RecordHead) -> int:
        """An extension of another program; or a chunk whose opcode is damaged."""
        try:
            chunk = read_chunk_head(self._file, head)
            self._add_chunk(chunk)
        except Damaged:
            self._private += 1
            if not self._in_summary:
                self._found.data_end = head.end
        return head.end

    def _take_loose(self, head: RecordHead) -> int:
        """A message outside of any chunk."""
        found = self._found
        entry = loose_entry(self._file, head)
        if entry.channel not in found.channels:
            raise Damaged("a message of a channel that the file does not name")
        last = found.chunks[-1] if found.chunks else None
        if last is None or not last.is_loose or last.end != head.start or head.end - last.start > _LOOSE_BYTES:
            last = loose_chunk(head.start, head.end, entry.time_ns, entry.time_ns)
            found.chunks.append(last)
            found.entries.append([])
        else:
            first_ns, last_ns = min(last.first_ns, entry.time_ns), max(last.last_ns, entry.time_ns)
            found.chunks[-1] = loose_chunk(last.start, head.end, first_ns, last_ns)
        entries = found.entries[-1]
        assert entries is not None
        entries.append(entry._replace(offset=head.start - last.start))
        found.data_end = head.end
        return head.end

    def _take_index(self, head: RecordHead) -> None:
        found = self._found
        if self._bad_chunk is not None:
            found.losses[-1] = self._bad_chunk = _with_counts(self._file, head.start, head.end, self._bad_chunk)
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

    # After damage

    def _resume_after(self, position: int, reason: str) -> int:
        """The start of the next chunk, or run of messages, that is whole; what lies before it is lost."""
        self._bad_chunk = None
        after = min((start for start in self._known if start > position), default=self._file.size)
        if any(chunk.is_loose for chunk in self._found.chunks) or not self._found.chunks:
            after = self._next_of(_MESSAGE_PATTERN, self._begins_chain, position + 1, after)
        after = self._next_of(_CHUNK_PATTERN, self._is_whole_chunk, position + 1, after)
        self._lose(position, after, reason)
        return after

    def _next_of(self, pattern: re.Pattern[bytes], accepts: Callable[[int], bool], position: int, stop: int) -> int:
        """Where the next record of a pattern lies that is accepted; `stop` where there is none before."""
        while position < stop:
            begin, window = self._window_at(position)
            for match in pattern.finditer(window, position - begin):
                start = begin + match.start()
                if start >= stop:
                    return stop
                if self._search_bytes < 0:
                    return stop
                self._search_bytes -= _OVERLAP * _OVERLAP
                if accepts(start):
                    return start
            end = begin + len(window)
            position = end if end >= self._file.size else max(end - _OVERLAP, position + 1)
        return stop

    def _window_at(self, position: int) -> tuple[int, bytes]:
        """A stretch of the file that holds more than what a pattern takes from there on, kept for the next search."""
        begin, window = self._window
        end = begin + len(window)
        if not (begin <= position and (position + _OVERLAP < end or (position < end == self._file.size))):
            self._window = position, self._file.read(position, min(_WINDOW, self._file.size - position))
        return self._window

    def _is_whole_chunk(self, start: int) -> bool:
        try:
            chunk = read_chunk_head(self._file, self._file.head(start))
            self._search_bytes -= chunk.data_size + chunk.uncompressed_size
            chunk_data(self._file, chunk)
        except Damaged:
            return False
        return True

    def _begins_chain(self, start: int) -> bool:
        """Whether some sound records follow each other from here on, the first a message of a known channel."""
        position = start
        try:
            for number in range(_CHAIN):
                if position == self._file.size - len(MAGIC):
                    return number > 0
                head = self._file.head(position)
                is_message = number == 0 or head.opcode == Opcode.MESSAGE
                if is_message and loose_entry(self._file, head).channel not in self._found.channels:
                    return False
                position = head.end
        except Damaged:
            return False
        return True

    def _lose(self, start: int, end: int, reason: str, chunk: Chunk | None = None) -> None:
        if self._in_summary and chunk is None:
            reason = f"{reason} in the index"
        first, last = (None, None) if chunk is None else (chunk.first_ns, chunk.last_ns)
        self._found.losses.append(Loss(start, end, reason, None, first, last))


def _with_counts(file: SessionFile, start: int, end: int, loss: Loss) -> Loss:
    """The loss with the number of messages that the index records from `start` to `end` tell."""
    holder = Chunk(loss.start, start, 0, 0, 1 << 62, 0, "", 0, 1 << 64, end)
    try:
        entries = index_entries(file, holder)
    except Damaged:
        return loss
    counts = dict(loss.messages or {})
    for entry in entries:
        counts[entry.channel] = counts.get(entry.channel, 0) + 1
    return replace(loss, messages=counts)
