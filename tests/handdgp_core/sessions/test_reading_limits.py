"""What a reader keeps in memory, and which records of a chunk it passes over."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import handdgp_core.sessions.reader as reader
from handdgp_core.sessions import RecordedHands, SessionInfo, SessionReader, SessionWriter
from handdgp_core.sessions.records import PRIVATE, Damaged, Opcode, walk_messages
from tests.handdgp_core.sessions.conftest import CAMERA, OPTIONS, make_frame, make_hand


def test_chunks_are_kept_up_to_a_limit_of_bytes_and_always_the_newest(tmp_path: Path, monkeypatch) -> None:
    with SessionWriter(tmp_path / "take.mcap", SessionInfo(), OPTIONS) as writer:
        for index in range(12):
            frame = make_frame(index, size=(96, 64))
            writer.add_frame(frame, CAMERA)
            writer.add_hands(frame, RecordedHands([make_hand(index, vertices=20_000)], CAMERA, "test", 5.0))
    with SessionReader(tmp_path / "take.mcap") as read:
        for number in range(12):
            assert read.hands(number) is not None
        kept = len(read._cache)
        assert kept >= 4  # all that was read of a small file
    for limit, most in ((2_500_000, 2_500_000), (1, 2 << 20)):
        monkeypatch.setattr(reader, "_CACHE_BYTES", limit)
        with SessionReader(tmp_path / "take.mcap") as read:
            for number in range(12):
                assert read.hands(number) is not None
                assert 1 <= len(read._cache) < kept and sum(map(len, read._cache.values())) <= most


def record(opcode: int, body: bytes = b"") -> bytes:
    return struct.pack("<BQ", opcode, len(body)) + body


def test_extensions_are_passed_over_and_unknown_records_are_damage() -> None:
    message = record(Opcode.MESSAGE, struct.pack("<HIQQ", 1, 0, 5, 5) + b"data")
    for extension in (PRIVATE, 0xFF):
        found = [entry for _, entry in walk_messages(record(extension, b"xy") + message)]
        assert found[0] is None and found[1] is not None and found[1].time_ns == 5
    for unknown in (PRIVATE - 1, 0x10, 0):
        with pytest.raises(Damaged, match="damaged record"):
            list(walk_messages(record(unknown) + message))
    with pytest.raises(Damaged, match="damaged record"):
        list(walk_messages(message[:-1]))
    with pytest.raises(Damaged, match="cut record"):
        list(walk_messages(message + b"\x05"))
