"""A recorder on a small disk loses nothing that it took in, however far it lags behind. No test depends on speed.

The writer is held at a gate while frames are offered, which stands for a machine that is busy with other things.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handdgp_core.errors import OutputError
from handdgp_core.files import MIB
from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions import (
    RecordedHands,
    RecorderState,
    RecorderStatus,
    SessionInfo,
    SessionReader,
    SessionRecorder,
    WriterOptions,
    repair,
)
from handdgp_core.sessions import recorder as recorder_module
from handdgp_core.types import Frame
from tests.handdgp_core.sessions.conftest import CAMERA, LONG_S, ROOMY, finished, make_frame, make_hand, until
from tests.handdgp_core.sessions.small_disk import SmallDisk

HANDS = RecordedHands([make_hand(1, vertices=1600), make_hand(2, "left", vertices=1600)], CAMERA, "test")
RESERVE = WriterOptions(reserve_bytes=3 * MIB)
NEVER_S = 1e6
PATIENT = replace(ROOMY, queue_frames=10**6)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Frames are written while it is set, as it is at first."""
    gate, add = threading.Event(), recorder_module.SessionWriter.add_frame
    gate.set()

    def add_frame(self, frame: Frame, camera: Camera | None) -> None:
        gate.wait(LONG_S)
        add(self, frame, camera)

    monkeypatch.setattr(recorder_module.SessionWriter, "add_frame", add_frame)
    yield gate
    gate.set()


def noisy(index: int, size: tuple[int, int] = (96, 64)) -> Frame:
    noise = np.random.default_rng(index).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Frame(noise, 7_000 + index * 33_000_000, index)


def record(disk: SmallDisk, limits=PATIENT, options=RESERVE) -> SessionRecorder:
    return SessionRecorder(disk.path, SessionInfo(is_live=True), options, limits, free_bytes=disk.free_bytes)


def offer(
    recorder: SessionRecorder,
    count: int,
    first: int = 0,
    size: tuple[int, int] = (96, 64),
    hands: RecordedHands | None = HANDS,
) -> int:
    """How many of `count` frames the recorder takes in."""
    for index in range(first, first + count):
        frame = noisy(index, size)
        if not recorder.add_frame(frame, CAMERA):
            return index - first
        if hands is not None:
            recorder.add_hands(frame, hands)
    return count


def check_kept(status: RecorderStatus, taken: int, disk: SmallDisk) -> None:
    """Everything is in a sound file, and a person is told why it ended."""
    assert status.state is RecorderState.FINISHED, status.error
    assert status.frames == status.taken == taken > 0 and status.waiting == 0
    assert isinstance(status.error, OutputError) and "Every frame until then is in the file." in str(status.error)
    assert "MiB left" in str(status.error)
    assert status.path.stat().st_size <= disk.capacity_bytes
    with SessionReader(status.path) as read:
        assert read.finished and not read.verify() and read.closing["reason"] == status.reason
        assert [read.facts_of(number).index for number in range(read.frame_count)] == list(range(taken))


def wait_until_written(recorder: SessionRecorder) -> None:
    until(lambda: recorder.status.waiting == 0 or recorder.status.state is not RecorderState.RECORDING)


@pytest.mark.parametrize("queue_frames", [120, 10**6])
@pytest.mark.parametrize("written", [0, 5, 40])
def test_no_more_waits_than_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event, queue_frames: int, written: int
) -> None:
    disk = SmallDisk(tmp_path / "take.mcap", 12 * MIB, monkeypatch)
    recorder = record(disk, replace(PATIENT, queue_frames=queue_frames))
    assert offer(recorder, written) == written
    wait_until_written(recorder)
    gate.clear()
    taken = written + offer(recorder, 300, first=written)
    assert written + 10 < taken < 100
    assert not recorder.add_frame(noisy(taken), CAMERA)
    gate.set()
    status = finished(recorder)
    check_kept(status, taken, disk)
    assert status.reason == "the disk is full" and "a full disk" in str(status.error)
    assert status.results >= taken - 1


def test_a_recorder_that_keeps_up_fills_the_disk_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    """What waits counts with a bound, what is written with its true size: little is left over."""
    disk = SmallDisk(tmp_path / "take.mcap", 12 * MIB, monkeypatch)
    recorder, taken = record(disk), 0
    while taken < 300 and offer(recorder, 1, first=taken):
        taken += 1
        wait_until_written(recorder)
    status = finished(recorder)
    check_kept(status, taken, disk)
    # The reserve is touched by a whole chunk at the earliest, and then the recording ends.
    assert status.path.stat().st_size > disk.capacity_bytes - RESERVE.reserve_bytes - MIB


@pytest.mark.parametrize("size", [(320, 240), (1280, 720)])
def test_lossless_pictures_count_with_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event, size: tuple[int, int]
) -> None:
    raw_bytes = 3 * size[0] * size[1]
    options = WriterOptions(lossless=True, reserve_bytes=5 * raw_bytes)
    disk = SmallDisk(tmp_path / "take.mcap", 17 * raw_bytes, monkeypatch)
    recorder = record(disk, replace(ROOMY, queue_frames=60), options)
    gate.clear()
    taken = offer(recorder, 30, size=size, hands=None)
    assert 5 < taken < 17
    gate.set()
    check_kept(finished(recorder), taken, disk)


def test_a_scene_that_comes_to_life_fits_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    """The pictures so far tell nothing about those to come: black ones are a twentieth of noisy ones."""
    disk = SmallDisk(tmp_path / "take.mcap", 6 * MIB, monkeypatch)
    recorder = record(disk)
    for index in range(20):
        black = replace(noisy(index, (320, 240)), image=np.zeros((240, 320, 3), np.uint8))
        assert recorder.add_frame(black, CAMERA)
    wait_until_written(recorder)
    gate.clear()
    taken = 20 + offer(recorder, 100, first=20, size=(320, 240), hands=None)
    assert 25 < taken < 120
    gate.set()
    check_kept(finished(recorder), taken, disk)


def test_a_result_that_does_not_fit_is_skipped_and_ends_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    disk = SmallDisk(tmp_path / "take.mcap", 6 * MIB, monkeypatch)
    recorder = record(disk)
    gate.clear()
    assert offer(recorder, 3, hands=RecordedHands([make_hand(1)], CAMERA)) == 3
    huge = RecordedHands([make_hand(1, vertices=100_000)], CAMERA)
    recorder.add_hands(noisy(2), huge)
    assert recorder.status.reason == "the disk is full" and not recorder.add_frame(noisy(3), CAMERA)
    gate.set()
    status = finished(recorder)
    check_kept(status, 3, disk)
    assert status.results == 3


def test_space_that_others_take_is_noticed_before_the_next_look_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    """Where a full queue would not fit, the disk is looked at after every write."""
    disk = SmallDisk(tmp_path / "take.mcap", 12 * MIB, monkeypatch)
    recorder = record(disk, replace(ROOMY, disk_every_s=NEVER_S))
    assert offer(recorder, 2) == 2
    wait_until_written(recorder)
    disk.let_others_fill()
    looks = disk.looks
    assert offer(recorder, 1, first=2) == 1  # fits into the reserve, whatever others do
    until(lambda: disk.looks > looks + 1)  # one look may have been under way
    gate.clear()
    taken = 3 + offer(recorder, 300, first=3)
    gate.set()
    check_kept(finished(recorder), taken, disk)


def test_where_the_disk_does_not_say_how_full_it_is_the_reserve_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    disk = SmallDisk(tmp_path / "take.mcap", 40 * MIB, monkeypatch)
    disk.silent = True
    recorder, taken = record(disk), 0
    while taken < 50:  # twice the reserve: what is written makes room for what comes
        assert offer(recorder, 1, first=taken) == 1
        taken += 1
        wait_until_written(recorder)
    assert recorder.status.reason is None
    gate.clear()
    more = offer(recorder, 300, first=taken)
    assert 0 < more < 3 * MIB / 100_000
    disk.let_others_fill()
    gate.set()
    status = finished(recorder)
    check_kept(status, taken + more, disk)
    assert status.reason == "the free space is unknown" and "does not tell" in str(status.error)


def test_with_plenty_of_room_the_queue_alone_is_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    disk = SmallDisk(tmp_path / "take.mcap", 10_000 * MIB, monkeypatch)
    recorder = record(disk, ROOMY)
    gate.clear()
    assert offer(recorder, 200) == 120
    gate.set()
    status = finished(recorder)
    told = (status.state, status.reason, status.frames, status.results)
    assert told == (RecorderState.FINISHED, "the disk is too slow", 120, 120)


def test_a_disk_that_lied_is_told_with_the_number_of_frames_that_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    """Room that was there at the last look and is gone: no account can save these frames, but nobody is deceived."""
    disk = SmallDisk(tmp_path / "take.mcap", 40 * MIB, monkeypatch)
    recorder = record(disk, replace(ROOMY, disk_every_s=NEVER_S))
    assert offer(recorder, 10) == 10
    wait_until_written(recorder)
    gate.clear()
    assert offer(recorder, 60, first=10) == 60
    disk.let_others_fill()
    gate.set()
    status = finished(recorder)
    assert status.state is RecorderState.FAILED and status.taken == 70 and 0 < status.frames < 70
    assert f"{70 - status.frames} of the 70 frames taken in could not be written" in str(status.error)
    disk.others_bytes = 0
    assert repair(tmp_path / "take.mcap.part", tmp_path / "saved.mcap").frames >= status.frames


def test_a_fault_of_ours_keeps_what_was_added_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is sound, so the chunk in progress is ended; frames behind the fault are counted as lost."""
    disk = SmallDisk(tmp_path / "take.mcap", 40 * MIB, monkeypatch)
    add = recorder_module.SessionWriter.add_frame

    def add_frame(self, frame: Frame, camera: Camera | None) -> None:
        if frame.index == 5:
            raise RuntimeError("broken")
        add(self, frame, camera)

    monkeypatch.setattr(recorder_module.SessionWriter, "add_frame", add_frame)
    recorder = record(disk, replace(ROOMY, flush_s=NEVER_S))
    taken = 0
    while taken < 12 and recorder.add_frame(make_frame(taken), CAMERA):
        taken += 1
    status = finished(recorder)
    assert (status.state, status.frames, status.taken) == (RecorderState.FAILED, 5, taken)
    assert f"{taken - 5} of the {taken} frames" in str(status.error) and "internal" in str(status.error)
    assert repair(tmp_path / "take.mcap.part").frames == 5
