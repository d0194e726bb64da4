"""The MCAP library's writer, which also knows how large its file will be once it is finished."""

from __future__ import annotations

from mcap.writer import CompressionType, Writer

from handdgp_core.sessions.stream import ReserveStream

__all__ = ["CHUNK_BYTES", "HEAD_BYTES", "SizedWriter"]

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 32 << 10  # schemas, channels and facts: 10 KiB at the start, and once more at the end

# Upper bounds, for ten topics and short names; tests/handdgp_core/sessions/test_room.py compares them with real files.
_MESSAGE_BYTES = 47  # head of a message, and its place in the index of its chunk
_CHUNK_HEAD_BYTES = 256  # head of a chunk, and the heads of its indices
_INDEX_BYTES = 256  # of a chunk, an attachment or a metadata record, at the end of the file


class SizedWriter(Writer):
    """Writes chunks that are not compressed, and counts what is in the one in progress: no look at the file shows that.

    Args:
        stream: where to.
    """

    def __init__(self, stream: ReserveStream) -> None:
        super().__init__(stream, chunk_size=CHUNK_BYTES, compression=CompressionType.NONE)  # type: ignore[arg-type]
        self._output = stream
        self._open_bytes = 0  # in the chunk in progress
        self._indexed = 0

    @property
    def chunk_is_empty(self) -> bool:
        """True where every message that was added is in the file."""
        return self._open_bytes == 0

    @property
    def finished_bytes(self) -> int:
        """The most that the file takes up if it is finished now."""
        end_bytes = _CHUNK_HEAD_BYTES + (self._indexed + 1) * _INDEX_BYTES + HEAD_BYTES
        return self._output.tell() + self._open_bytes + end_bytes

    def add_message(self, channel_id: int, log_time: int, data: bytes, publish_time: int, sequence: int = 0) -> None:
        """As the library's."""
        written = self._output.tell()
        super().add_message(channel_id, log_time, data, publish_time, sequence)
        self._open_bytes += len(data) + _MESSAGE_BYTES
        if self._output.tell() > written:
            self._note_chunk()

    def add_attachment(self, create_time: int, log_time: int, name: str, media_type: str, data: bytes) -> None:
        """As the library's; written at once."""
        super().add_attachment(create_time, log_time, name, media_type, data)
        self._indexed += 1

    def add_metadata(self, name: str, data: dict[str, str]) -> None:
        """As the library's; written at once."""
        super().add_metadata(name, data)
        self._indexed += 1

    def flush(self) -> None:
        """End the chunk, if there is anything in it."""
        super().flush()
        if not self.chunk_is_empty:
            self._note_chunk()

    def _note_chunk(self) -> None:
        self._open_bytes = 0
        self._indexed += 1
