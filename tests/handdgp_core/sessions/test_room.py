"""Bounds of sizes against what the writer really adds, and the accounts of the room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handdgp_core.files import MIB
from handdgp_core.sessions import RecordedHands, SessionInfo, SessionWriter, WriterOptions
from handdgp_core.sessions.room import Room, frame_bytes, hands_bytes, settings_bytes
from handdgp_core.sessions.sized_writer import HEAD_BYTES
from handdgp_core.types import Frame
from tests.handdgp_core.sessions.conftest import CAMERA, OPTIONS, hands_of, make_frame, make_hand

SIZES = [(1, 1), (17, 9), (96, 64), (333, 250)]
_BLOCK_PX = 2  # a pixel of colour in 4:2:0


def _dots(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    return (255 * rng.integers(0, 2, (height, width, 3))).astype(np.uint8)


def _blocks(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    small = _dots(rng, width // _BLOCK_PX + 1, height // _BLOCK_PX + 1)
    return small.repeat(_BLOCK_PX, axis=0).repeat(_BLOCK_PX, axis=1)[:height, :width]


def _grey_dots(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    return _dots(rng, width, height)[:, :, :1].repeat(3, axis=2)


def _noise(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def _dots_on_blocks(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    return _blocks(rng, width, height) // 2 + _grey_dots(rng, width, height) // 2


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("quality", [20, 75, 90, 91, 95, 100])
@pytest.mark.parametrize("draw", [_dots, _blocks, _grey_dots, _noise, _dots_on_blocks])
def test_no_picture_takes_more_than_its_bound(
    tmp_path: Path, draw: Callable[..., np.ndarray], quality: int, lossless: bool
) -> None:
    rng = np.random.default_rng(quality)
    options = replace(OPTIONS, jpeg_quality=quality, lossless=lossless)
    cameras = [None, CAMERA, replace(CAMERA, distortion=np.full(14, 0.01), std=np.ones(18), name="n" * 200)]
    with SessionWriter(tmp_path / "take.mcap", SessionInfo(), options) as writer:
        before = writer.finished_bytes
        for index, (size, camera) in enumerate((size, camera) for size in SIZES for camera in cameras):
            frame = Frame(np.ascontiguousarray(draw(rng, *size)), index * 33_000_000, index, name="n" * 200)
            writer.add_frame(frame, camera)
            assert writer.finished_bytes - before <= frame_bytes(frame, options)
            before = writer.finished_bytes


def test_no_result_and_no_settings_take_more_than_their_bound(tmp_path: Path) -> None:
    frame = make_frame(0)
    results = [
        RecordedHands([], CAMERA),
        *(RecordedHands(hands_of(index), CAMERA, "model", 5.0, 0.18, frozenset(range(21))) for index in range(15)),
        *(RecordedHands([make_hand(1, vertices=count)] * 2, CAMERA) for count in (3, 778, 1600)),
        RecordedHands([make_hand(index, vertices=3 + index) for index in range(9)], CAMERA),  # nine new meshes
    ]
    with SessionWriter(tmp_path / "take.mcap", SessionInfo(), OPTIONS) as writer:
        writer.add_frame(frame, CAMERA)
        for recorded in results:
            before = writer.finished_bytes
            assert writer.add_hands(frame, recorded)
            assert writer.finished_bytes - before <= hands_bytes(recorded)
        for number in range(5):
            settings = {"name": "é😀" * number, "steadiness": number}
            before = writer.finished_bytes
            writer.add_settings(settings)
            assert writer.finished_bytes - before <= settings_bytes(settings)


@pytest.mark.parametrize("flush_every", [1, 7, 1000])
@pytest.mark.parametrize("lossless", [False, True])
def test_the_finished_file_is_never_larger_than_foretold(tmp_path: Path, flush_every: int, lossless: bool) -> None:
    """A file that is finished after each number of frames, and how large it was said to become."""
    settings = {"text": "x" * 40_000}
    for count in (0, 1, 2, 5, 40):
        path = tmp_path / f"{count}.mcap"
        options = replace(OPTIONS, lossless=lossless)
        writer = SessionWriter(path, SessionInfo(settings=settings), options)
        for index in range(count):
            writer.add_frame(make_frame(index, (640, 480)), CAMERA)
            writer.add_hands(make_frame(index), RecordedHands([make_hand(index, vertices=1600)], CAMERA))
            if index % flush_every == flush_every - 1:
                writer.flush()
                assert writer.frames_safe == index + 1
        foretold = writer.finished_bytes
        writer.finish({"reason": "x" * 200})
        size = path.stat().st_size
        assert size <= foretold <= size + 2 * HEAD_BYTES + 512 * (count + 2)


def test_a_frame_is_safe_once_its_chunk_has_ended(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lossless = replace(OPTIONS, lossless=True)
    with SessionWriter(tmp_path / "large.mcap", SessionInfo(), lossless) as writer:
        for index in range(3):  # each more than a chunk
            writer.add_frame(Frame(_noise(rng, 800, 600), index, index), CAMERA)
            assert writer.frames_safe == writer.frames == index + 1
    with SessionWriter(tmp_path / "small.mcap", SessionInfo(), OPTIONS) as writer:
        for index in range(3):
            writer.add_frame(make_frame(index), CAMERA)
            assert (writer.frames, writer.frames_safe) == (index + 1, 0)
        writer.flush()
        assert writer.frames_safe == 3


def test_the_reserve_counts_while_it_is_there(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "take.mcap", SessionInfo(), WriterOptions(reserve_bytes=2 * MIB)) as writer:
        assert writer.reserve_bytes == 2 * MIB
        (tmp_path / "take.mcap.reserve").unlink()
        assert writer.reserve_bytes == 0


def test_what_is_promised_is_not_promised_twice() -> None:
    room = Room(1_000)
    room.note_disk(0.0, 400, 10 * MIB, 2 * MIB)
    first = room.left_bytes
    assert 11 * MIB < first < 12 * MIB
    room.promise(5 * MIB)
    assert room.left_bytes == first - 5 * MIB and room.open_bytes == first
    room.note_written(5 * MIB, 1_000 + MIB)  # it was smaller than its bound
    assert room.left_bytes == room.open_bytes == first - MIB
    room.note_disk(1.0, 400 + MIB, 9 * MIB, 2 * MIB)
    assert room.left_bytes == first - MIB
    room.note_disk(2.0, 400 + MIB, 0, MIB)  # somebody else has filled the disk
    assert room.left_bytes < MIB
    room.promise(3 * MIB)
    assert room.left_bytes < 0 < room.open_bytes


def test_a_disk_that_books_late_gives_no_room_that_is_taken() -> None:
    room = Room(0)
    room.note_disk(0.0, 0, 100 * MIB, 0)
    first = room.left_bytes
    for second in range(1, 30):  # the file grows, and the free space does not shrink yet
        room.note_disk(float(second), second * MIB, 100 * MIB, 0)
        assert room.left_bytes == first
    room.note_disk(30.0, 30 * MIB, 70 * MIB, 0)
    assert room.left_bytes == first
    room.note_disk(31.0, 30 * MIB, 170 * MIB, 0)  # the person has tidied up
    assert room.left_bytes == first
    room.note_disk(90.5, 30 * MIB, 170 * MIB, 0)
    assert room.left_bytes == first + 100 * MIB


def test_without_a_look_only_the_reserve_is_sure_and_the_next_look_counts_again() -> None:
    room = Room(0)
    room.note_disk(0.0, 0, 100 * MIB, 4 * MIB)
    known = room.left_bytes
    room.note_disk(1.0, 0, None, 4 * MIB)
    assert room.left_bytes == known - 100 * MIB and not room.free_is_known
    room.note_disk(2.0, 0, 100 * MIB, 4 * MIB)
    assert room.left_bytes == known and room.free_is_known
