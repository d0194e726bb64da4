"""Files that are attached to a session. They may be long, so that they are read when they are asked for."""

from __future__ import annotations

import struct

from mcap.records import AttachmentIndex

from handdgp_core.files import MIB
from handdgp_core.sessions.records import Damaged, RecordHead, SessionFile

__all__ = ["attachment_at", "attachment_data"]

_TIMES = struct.Struct("<QQ")
_CRC_BYTES = 4
_LARGEST_BYTES = 64 * MIB  # of one that is read


def attachment_at(file: SessionFile, head: RecordHead) -> AttachmentIndex:
    """What the record of an attachment tells, its checksum compared.

    Raises:
        Damaged: it makes no sense, or the checksum differs.
    """
    crc_at = head.end - _CRC_BYTES
    (crc,) = struct.unpack("<I", file.read(crc_at, _CRC_BYTES))
    if head.length < _TIMES.size + _CRC_BYTES or (crc and file.crc(head.body, crc_at) != crc):
        raise Damaged("an attachment whose checksum differs")
    log_ns, create_ns = _TIMES.unpack(file.read(head.body, _TIMES.size))
    name, position = _text(file, head.body + _TIMES.size)
    media_type, position = _text(file, position)
    (size,) = struct.unpack("<Q", file.read(position, 8))
    if position + 8 + size > crc_at:
        raise Damaged("an attachment that is longer than its record")
    return AttachmentIndex(head.start, head.end - head.start, log_ns, create_ns, size, name, media_type)


def attachment_data(file: SessionFile, index: AttachmentIndex) -> bytes:
    """The attached file.

    Raises:
        Damaged: it is longer than 64 MiB, or cannot be read.
    """
    if index.data_size > _LARGEST_BYTES:
        raise Damaged(f"an attachment of {index.data_size / MIB:.0f} MiB")
    _, position = _text(file, file.head(index.offset).body + _TIMES.size)
    _, position = _text(file, position)
    return file.read(position + 8, index.data_size)


def _text(file: SessionFile, position: int) -> tuple[str, int]:
    """A text with its length in front, and where it ends."""
    (length,) = struct.unpack("<I", file.read(position, 4))
    if length > MIB:
        raise Damaged("a name that is too long")
    try:
        return file.read(position + 4, length).decode(), position + 4 + length
    except UnicodeDecodeError as error:
        raise Damaged("a name that is no text") from error
