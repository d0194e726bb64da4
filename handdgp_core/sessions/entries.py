"""Where the messages of a chunk lie. Index records have no checksum, so what they tell is compared with the chunk."""

from __future__ import annotations

from collections.abc import Callable

from handdgp_core.sessions.records import Chunk, Damaged, Entry, SessionFile, index_agrees, index_entries, walk_messages

__all__ = ["recovered_entry", "sound_entries"]


def sound_entries(file: SessionFile, chunk: Chunk, data: Callable[[], bytes], trusts_index: bool) -> list[Entry]:
    """The messages of a chunk in their order.

    The heads of the messages of a chunk that is not compressed are compared with the index, which takes some reads of
    31 bytes. Where they disagree, and where there is no index, the chunk's data tell, whose checksum is compared; where
    that differs, too, the index names what was lost.

    Args:
        file: the session.
        chunk: of it.
        data: reads the uncompressed data and compares its checksum; raises Damaged.
        trusts_index: take the index of a compressed chunk as it is, where its times and places are possible.
    """
    try:
        listed = index_entries(file, chunk)
    except Damaged:
        listed = []
    if listed and (index_agrees(file, chunk, listed) if not chunk.compression else trusts_index):
        return listed
    try:
        return [entry for _, entry in walk_messages(data()) if entry is not None]
    except Damaged:
        return listed


def recovered_entry(data: bytes, wrong: Entry, listed: list[Entry]) -> Entry:
    """The message that an index entry means which points to something else.

    Args:
        data: of the chunk.
        wrong: the entry.
        listed: all entries of the chunk.

    Raises:
        Damaged: that cannot be told.
    """
    walked = [entry for _, entry in walk_messages(data) if entry is not None and entry.channel == wrong.channel]
    taken = {entry.offset for entry in listed}
    for likely in (
        [entry for entry in walked if entry.offset == wrong.offset],
        [entry for entry in walked if entry.offset not in taken],
        [entry for entry in walked if entry.time_ns == wrong.time_ns],
    ):
        if len(likely) == 1:
            return likely[0]
    raise Damaged("an index that points to something else")
