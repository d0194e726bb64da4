"""Makes a sound session file of one that was never finished or is damaged.

A recording that merely breaks off is finished where it lies, which takes a fraction of a second. Otherwise every chunk
that is whole is copied into a new file, and the damaged one is left as it is. What was lost is told, and noted in the
new file's metadata ("repair").
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.records import (
    Channel,
    Metadata,
)

from handdgp_core.errors import SourceError, UsageError
from handdgp_core.files import check_room, name_new, output_errors, private_opener, remove
from handdgp_core.locks import hold
from handdgp_core.sessions import schema
from handdgp_core.sessions.parts import finished_path, part_path, reserve_path
from handdgp_core.sessions.records import HEAD_BYTES, Chunk, SessionFile
from handdgp_core.sessions.rewriting import copy_data, message_counts, write_end, write_indexes
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
        if not hold(file.fileno()):
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
    counts = message_counts(found)
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
            found.chunks[-1], places[-1] = write_indexes(stream, last, found.entries[-1] or [])
        write_end(stream, found, places, _note(found))
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
            hold(stream.fileno())
            places = copy_data(source, stream, found, progress)
            write_end(stream, found, places, _note(found))
            os.fsync(stream.fileno())
        return name_new(part, target)
    finally:
        remove(part)  # where it has not got its name


def _note(found: Inventory) -> Metadata:
    return Metadata("repair", {"lost": describe_losses(found.losses, limit=1000) or "nothing"})
