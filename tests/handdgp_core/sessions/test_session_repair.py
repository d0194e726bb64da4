"""Damage of every kind: nothing crashes, what is whole is saved, and what is lost is told."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from handdgp_core.errors import SourceError, UsageError
from handdgp_core.sessions import DamagedFrame, SessionReader, find_unfinished, repair, schema
from handdgp_core.sessions.records import Opcode, SessionFile
from handdgp_core.sessions.scan import scan
from tests.handdgp_core.sessions.conftest import number_of, write_session


def good_frames(path: Path) -> list[int]:
    """Numbers of all frames that can be read, each checked against its picture; empty where the file is refused."""
    numbers = []
    try:
        session = SessionReader(path)
    except SourceError:
        return []
    with session as read:
        for place in range(read.frame_count):
            try:
                frame, facts = read.frame(place), read.facts_of(place)
                read.hands(place)
            except DamagedFrame:
                continue
            assert number_of(frame.image) == facts.index, "a picture under another's number"
            numbers.append(facts.index)
    return numbers


def places(path: Path, opcode: int) -> list[tuple[int, int]]:
    """(start, end) of all records of a kind outside of chunks."""
    file = SessionFile(path)
    found, position = [], 8
    while position < file.size - 8:
        head = file.head(position)
        if head.opcode == opcode:
            found.append((head.start, head.end))
        position = head.end
    file.close()
    return found


def test_an_unfinished_file_is_finished_where_it_lies(tmp_path: Path) -> None:
    part = write_session(tmp_path / "take.mcap", count=25, finish=False)
    assert find_unfinished(tmp_path) == [part]
    report = repair(part)
    assert report.in_place and report.path == tmp_path / "take.mcap" and not part.exists()
    assert report.frames == 20 and not report.losses  # 5 were never flushed
    with open(report.path, "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        assert summary.statistics.message_count == len(list(reader.iter_messages())) == report.messages
        assert [record.name for record in reader.iter_metadata()] == ["session", "repair"]
        names = [record.name for record in reader.iter_attachments()]
        assert names[0] == "camera.yaml" and all(name.startswith("mesh-") for name in names[1:])
    with SessionReader(report.path) as read:
        assert read.finished and read.frame_count == 20
    assert good_frames(report.path) == list(range(20))


def test_every_cut_can_be_repaired(tmp_path: Path) -> None:
    """Cut at random places, at record ends, and one byte to either side."""
    part = write_session(tmp_path / "whole.mcap", count=12, flush_every=3, finish=False)
    data = part.read_bytes()
    ends = [
        end for opcode in (Opcode.CHUNK, Opcode.MESSAGE_INDEX) for _, end in places(_closed(tmp_path, data), opcode)
    ]
    rng = random.Random(5)
    cuts = {rng.randrange(9, len(data)) for _ in range(40)} | {end + by for end in ends for by in (-1, 0, 1)}
    for cut in sorted(cut for cut in cuts if cut <= len(data)):
        piece = tmp_path / "piece.mcap.part"
        piece.write_bytes(data[:cut])
        whole_chunks = sum(end <= cut for _, end in places(_closed(tmp_path, data), Opcode.CHUNK))
        if whole_chunks == 0:
            with pytest.raises(SourceError, match="nothing that can be saved"):
                repair(piece)
            continue
        report = repair(piece)
        assert report.in_place
        assert report.frames == 3 * (whole_chunks - 1), cut  # the first chunk holds no pictures
        with open(report.path, "rb") as file:
            assert len(list(make_reader(file, validate_crcs=True).iter_messages())) == report.messages
        report.path.unlink()


def _closed(folder: Path, data: bytes) -> Path:
    """The same bytes with magic at the end, so that `places` can walk them."""
    path = folder / "closed.bin"
    path.write_bytes(data + data[:8])
    return path


def test_a_flipped_bit_costs_one_chunk_and_its_place_and_count_are_told(session: Path) -> None:
    start, end = places(session, Opcode.CHUNK)[2]
    data = bytearray(session.read_bytes())
    data[(start + end) // 2] ^= 4
    session.write_bytes(data)
    with SessionReader(session) as read:
        assert read.finished  # the index is sound: damage is found when it is read
        with pytest.raises(DamagedFrame, match="checksum"):
            read.frame(12)
        assert [(loss.start, loss.end) for loss in read.verify()] == [(start, end)]
    assert good_frames(session) == [*range(10), *range(20, 30)]
    report = repair(session)
    assert not report.in_place and report.path.name == "take-repaired.mcap" and session.exists()
    assert report.frames == 20 and report.lost_frames == 10
    assert (report.losses[0].start, report.losses[0].end) == (start, end)
    assert "10 known frames" in report.summary
    assert good_frames(report.path) == [*range(10), *range(20, 30)]


def test_without_its_first_chunk_a_session_is_still_readable(session: Path) -> None:
    """The chunk that names the topics is gone, and the index, too."""
    start, end = places(session, Opcode.CHUNK)[0]
    data = bytearray(session.read_bytes())
    data[start + 60 : end] = bytes(end - start - 60)
    session.write_bytes(data[:-40])
    assert good_frames(session) == list(range(30))
    report = repair(session)
    with open(report.path, "rb") as file:
        summary = make_reader(file).get_summary()
        assert summary is not None and len(summary.schemas) == len(schema.TYPES) + 1


def _huge_length(data: bytearray, session: Path) -> int:
    start, _ = places(session, Opcode.CHUNK)[1]
    data[start + 1 : start + 9] = struct.pack("<Q", 2**63)
    return 0  # the index tells it


def _short_length(data: bytearray, session: Path) -> int:
    start, _ = places(session, Opcode.CHUNK)[1]
    data[start + 1 : start + 9] = struct.pack("<Q", 5)
    return 0


def _huge_length_and_no_footer(data: bytearray, session: Path) -> int:
    _huge_length(data, session)
    _no_footer(data, session)
    return 1


def _short_length_and_no_footer(data: bytearray, session: Path) -> int:
    _short_length(data, session)
    _no_footer(data, session)
    return 1


def _wrong_magic(data: bytearray, session: Path) -> int:
    data[:8] = b"RIFF\0\0\0\0"
    return 0


def _bad_index(data: bytearray, session: Path) -> int:
    for start, end in places(session, Opcode.MESSAGE_INDEX):
        data[start + 15 : end] = bytes(0xAB for _ in range(end - start - 15))
    return 0


def _swapped_index(data: bytearray, session: Path) -> int:
    """Offsets that are possible, but belong to other messages."""
    for start, end in places(session, Opcode.MESSAGE_INDEX):
        table = np.frombuffer(bytes(data[start + 15 : end]), [("time", "<u8"), ("offset", "<u8")]).copy()
        table["offset"] = table["offset"][::-1]
        data[start + 15 : end] = table.tobytes()
    return 0


def _bad_summary(data: bytearray, session: Path) -> int:
    start, _ = places(session, Opcode.CHUNK_INDEX)[0]
    data[start + 20] ^= 255
    return 0


def _no_footer(data: bytearray, session: Path) -> int:
    del data[-60:]
    return 0


def _zeroed_block(data: bytearray, session: Path) -> int:
    """As a disk leaves it that lost a block."""
    start, _ = places(session, Opcode.CHUNK)[2]
    data[start - 50 : start + 500] = bytes(550)
    return 1


@pytest.mark.parametrize(
    "spoil",
    [
        _huge_length, _short_length, _huge_length_and_no_footer, _short_length_and_no_footer, _wrong_magic, _bad_index,
        _swapped_index, _bad_summary, _no_footer, _zeroed_block,
    ],
)  # fmt: skip
def test_known_kinds_of_damage(session: Path, spoil: Callable[[bytearray, Path], int]) -> None:
    data = bytearray(session.read_bytes())
    lost_chunks = spoil(data, session)
    session.write_bytes(data)
    assert len(good_frames(session)) == 30 - 10 * lost_chunks
    report = repair(session)
    assert report.frames == 30 - 10 * lost_chunks
    assert len(good_frames(report.path)) == report.frames
    indexes_alone = (_bad_index, _swapped_index, _bad_summary, _huge_length, _short_length)  # nothing else is lost
    assert bool(report.losses) == (spoil not in indexes_alone)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_corruption_never_crashes_and_never_lies(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    folder = tmp_path_factory.mktemp("damage")
    path = write_session(folder / "take.mcap", count=20, flush_every=4)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = int(data.draw(st.floats(0, 1)) * (len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "zeros", "noise", "cut", "insert", "remove"]))
        size = data.draw(st.integers(1, 400))
        _damage(content, kind, place, size)
    path.write_bytes(content)
    before = good_frames(path)
    try:
        report = repair(path)
    except SourceError:
        assert not before
        return
    assert good_frames(report.path) == sorted(good_frames(report.path))
    assert set(before) <= set(good_frames(report.path))


def _damage(content: bytearray, kind: str, place: int, size: int) -> None:
    place = min(place, max(len(content) - 1, 0))
    end = min(place + size, len(content))
    if kind == "flip" and content:
        content[place] ^= 1 << (size % 8)
    elif kind == "zeros":
        content[place:end] = bytes(end - place)
    elif kind == "noise":
        content[place:end] = random.Random(size).randbytes(end - place)
    elif kind == "cut" and place > 100:
        del content[place:]
    elif kind == "insert":
        content[place:place] = random.Random(size).randbytes(size)
    elif kind == "remove":
        del content[place:end]


def test_an_empty_file_and_a_taken_name(tmp_path: Path, session: Path) -> None:
    (tmp_path / "empty.mcap.part").touch()
    with pytest.raises(SourceError, match="nothing that can be saved"):
        repair(tmp_path / "empty.mcap.part")
    with pytest.raises(UsageError, match="there already"):
        repair(session, session)


def test_a_whole_file_has_no_losses(session: Path) -> None:
    file = SessionFile(session)
    found = scan(file)
    file.close()
    assert found.finished and not found.losses
