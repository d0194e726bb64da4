"""The recorder's thread, its queue and its limits; recordings that are killed, and disks that are full."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handdgp_core.errors import OutputError
from handdgp_core.files import MIB
from handdgp_core.sessions import (
    RecordedHands,
    RecorderLimits,
    RecorderState,
    RecorderStatus,
    SessionInfo,
    SessionReader,
    SessionRecorder,
    repair,
)
from handdgp_core.sessions import recorder as recorder_module
from tests.handdgp_core.sessions.conftest import CAMERA, LONG_S, OPTIONS, ROOMY, finished, hands_of, make_frame, until
from tools.kills import kill_one, start_recording


def record(path: Path, limits: RecorderLimits = ROOMY, **changes: object) -> SessionRecorder:
    return SessionRecorder(path, SessionInfo(source="test", is_live=True), OPTIONS, limits, **changes)


def test_everything_that_was_taken_in_is_in_the_file(tmp_path: Path) -> None:
    ended: list[RecorderStatus] = []
    recorder = record(tmp_path / "take.mcap", on_end=ended.append)
    for index in range(60):
        assert recorder.add_frame(make_frame(index), CAMERA)
        recorder.add_hands(make_frame(index), RecordedHands(hands_of(index), CAMERA))
    status = finished(recorder)
    assert (status.state, status.frames, status.results, status.missed) == (RecorderState.FINISHED, 60, 60, 0)
    assert ended == [status] and status.error is None and status.cpu_s > 0
    assert not recorder.add_frame(make_frame(60), CAMERA)
    with SessionReader(status.path) as read:
        assert read.frame_count == read.result_count == 60
        assert [read.facts_of(number).index for number in range(60)] == list(range(60))
        assert read.closing["missed_by_source"] == "0"


def test_frames_that_the_camera_never_gave_are_counted(tmp_path: Path) -> None:
    recorder = record(tmp_path / "take.mcap")
    for index in (4, 5, 8, 9, 12):
        recorder.add_frame(make_frame(index), CAMERA)
    assert finished(recorder).missed == 4


def test_a_recording_without_a_frame_leaves_no_file(tmp_path: Path) -> None:
    status = finished(record(tmp_path / "take.mcap"))
    assert (status.state, status.frames) == (RecorderState.FINISHED, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_slow_disk_ends_the_recording_with_an_error_and_no_gap(tmp_path: Path, monkeypatch) -> None:
    gate = threading.Event()
    add = recorder_module.SessionWriter.add_frame

    def slow(self, frame, camera):
        gate.wait(LONG_S)
        add(self, frame, camera)

    monkeypatch.setattr(recorder_module.SessionWriter, "add_frame", slow)
    recorder = record(tmp_path / "take.mcap", replace(ROOMY, queue_frames=8))
    taken = [recorder.add_frame(make_frame(index), CAMERA) for index in range(12)]
    assert taken.count(True) >= 8 and not taken[-1]
    gate.set()
    status = finished(recorder)
    assert status.state is RecorderState.FINISHED
    assert isinstance(status.error, OutputError) and "too slow" in (status.reason or "")
    assert status.frames == taken.count(True) and status.most_waiting == 8
    with SessionReader(status.path) as read:
        assert [read.facts_of(number).index for number in range(read.frame_count)] == list(range(taken.count(True)))


def test_little_space_warns_and_very_little_ends(tmp_path: Path) -> None:
    free = {"bytes": 5_000 * MIB}
    limits = RecorderLimits(disk_every_s=0.01, flush_s=0.01)
    recorder = record(tmp_path / "take.mcap", limits, free_bytes=lambda folder: free["bytes"])
    recorder.add_frame(make_frame(0), CAMERA)
    assert recorder.status.warning is None
    free["bytes"] = 1_000 * MIB
    until(lambda: recorder.status.warning is not None)
    assert "1000 MiB" in (recorder.status.warning or "") and recorder.add_frame(make_frame(1), CAMERA)
    free["bytes"] = 100 * MIB
    assert recorder.join(LONG_S)
    status = recorder.status
    assert status.state is RecorderState.FINISHED and "nearly full" in (status.reason or "")
    assert status.frames == 2 and isinstance(status.error, OutputError)


def test_a_take_of_limited_length_ends_by_itself(tmp_path: Path) -> None:
    recorder = record(tmp_path / "take.mcap", replace(ROOMY, longest_s=0.05))
    index = 0
    while recorder.add_frame(make_frame(index), CAMERA):
        index += 1
        time.sleep(0.005)
    assert recorder.join(LONG_S)
    status = recorder.status
    assert status.frames == index and status.error is None and "complete" in (status.reason or "")


def test_a_fault_is_told_and_what_was_flushed_is_kept(tmp_path: Path, monkeypatch) -> None:
    recorder = record(tmp_path / "take.mcap", replace(ROOMY, flush_s=0.01))
    recorder.add_frame(make_frame(0), CAMERA)
    until(lambda: recorder.status.frames == 1)
    monkeypatch.setattr(recorder_module.SessionWriter, "add_frame", _explode)
    recorder.add_frame(make_frame(1), CAMERA)
    assert recorder.join(LONG_S)
    assert recorder.status.state is RecorderState.FAILED and "internal" in str(recorder.status.error)
    assert repair(tmp_path / "take.mcap.part").frames == 1


def _explode(*arguments: object) -> None:
    raise RuntimeError("broken")


# Processes that die, disks that are full


@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
@pytest.mark.parametrize("after_s", [None, 0.3, 1.2])
def test_a_killed_recording_is_complete_but_for_its_last_moment(tmp_path: Path, after_s: float | None) -> None:
    """What the recorder had counted as written is in the file. How long the last moment is depends on the machine."""
    kill = kill_one(tmp_path / "killed.mcap", after_s or 0.2, at_once=after_s is None)
    assert kill.fault == "" and kill.taken > 0
    assert after_s is None or kill.kept >= kill.counted > 0


def _full_disk(path: Path, **how: int) -> dict[str, object]:
    process = start_recording(path, 200, 100, how.get("file_limit", 0), how.get("reserve", MIB))
    output, _ = process.communicate(timeout=170)
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


def _check_full(path: Path, said: dict[str, object]) -> None:
    assert said["state"] == "finished" and said["reason"] == "the disk is full" and "full" in str(said["error"])
    with SessionReader(path) as read:
        assert read.finished and not read.verify()
        assert read.frame_count == said["frames"] == said["taken"]
        print(f"\ndisk full: {read.frame_count} of {said['taken']} frames in the file")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a mount")
def test_a_full_disk_loses_no_frame(tmp_path: Path) -> None:
    """A small file system of its own, where such a thing can be mounted."""
    mount = tmp_path / "disk"
    mount.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(mount)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting a tmpfs is not possible here")
    try:
        said = _full_disk(mount / "take.mcap", reserve=3 * MIB)
        _check_full(mount / "take.mcap", said)
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_limit_that_the_reserve_cannot_lift_leaves_a_file_that_can_be_repaired(tmp_path: Path) -> None:
    """`ulimit -f`: every write beyond the limit fails for ever."""
    said = _full_disk(tmp_path / "take.mcap", file_limit=5 * MIB, reserve=MIB)
    assert said["state"] == "failed" and said["error"]
    lost = int(str(said["taken"])) - int(str(said["frames"]))
    assert lost == 0 or f"{lost} of the {said['taken']} frames" in str(said["error"])
    report = repair(tmp_path / "take.mcap.part", tmp_path / "saved.mcap")
    assert report.frames > 20 and report.frames >= int(str(said["frames"]))
    with SessionReader(report.path) as read:
        assert [read.facts_of(place).index for place in range(read.frame_count)] == list(range(read.frame_count))


def test_a_disk_that_is_full_once_costs_nothing(tmp_path: Path, monkeypatch) -> None:
    """The first write beyond 2 MiB fails as on a full disk; giving the reserve up makes room. Works everywhere."""
    from handdgp_core.sessions import stream

    real_open, state = open, {"failed": False}

    class Full:
        def __init__(self, file) -> None:
            self._file, self._size = file, 0

        def write(self, data) -> int:
            if self._size > 2 * MIB and (tmp_path / "take.mcap.reserve").exists():
                state["failed"] = True
                raise OSError(28, "No space left on device")
            written = self._file.write(data[: max(1, len(data) // 2)])  # short writes happen, too
            self._size += written
            return written

        def __getattr__(self, name: str):
            return getattr(self._file, name)

    def opened(path, mode, **how):
        file = real_open(path, mode, **how)
        return Full(file) if mode == "xb" else file

    monkeypatch.setattr(stream, "open", opened, raising=False)
    recorder = record(tmp_path / "take.mcap", replace(ROOMY, queue_frames=10**6))
    rng, taken = np.random.default_rng(0), 0
    noise = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    while recorder.add_frame(replace(make_frame(taken), image=noise), CAMERA):
        taken += 1
        time.sleep(0.0002)
    status = finished(recorder)
    assert state["failed"] and status.state is RecorderState.FINISHED and status.reason == "the disk is full"
    with SessionReader(status.path) as read:
        assert read.frame_count == taken == status.frames and not read.verify()
