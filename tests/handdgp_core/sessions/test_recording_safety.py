"""A recording while others use the same disk: nothing is overwritten, taken over, open to others, or lost unseen."""

from __future__ import annotations

import shutil
import stat
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handdgp_core.errors import OutputError, UsageError
from handdgp_core.files import MIB
from handdgp_core.geometry.camera import Camera
from handdgp_core.locks import is_being_written
from handdgp_core.sessions import (
    RecordedHands,
    RecorderState,
    SessionInfo,
    SessionReader,
    SessionRecorder,
    SessionWriter,
    new_session_path,
    repair,
)
from handdgp_core.sessions import recorder as recorder_module
from tests.handdgp_core.sessions.conftest import (
    CAMERA,
    LONG_S,
    OPTIONS,
    ROOMY,
    finished,
    make_frame,
    make_hand,
    until,
    write_session,
)
from tests.places import ROOT

needs_unix = pytest.mark.skipif(sys.platform == "win32", reason="needs locks and modes of Unix")


def record(path: Path, limits=ROOMY, **changes: object) -> SessionRecorder:
    return SessionRecorder(path, SessionInfo(source="test", is_live=True), OPTIONS, limits, **changes)


def holding(recorder: SessionRecorder, count: int = 3) -> SessionRecorder:
    """The recorder with some frames that are in the file."""
    for index in range(count):
        assert recorder.add_frame(make_frame(index), CAMERA)
    until(lambda: recorder.status.frames == count)
    return recorder


# The folder and its files


@needs_unix
def test_a_deleted_folder_ends_the_recording_at_once(tmp_path: Path) -> None:
    recorder = holding(record(tmp_path / "takes" / "take.mcap", replace(ROOMY, flush_s=0.02)))
    shutil.rmtree(tmp_path / "takes")
    assert recorder.join(LONG_S)  # nobody stops it
    status = recorder.status
    assert status.state is RecorderState.FAILED and status.frames == 0
    assert "was deleted" in str(status.error) and "3 of the 3 frames" in str(status.error)


@needs_unix
def test_a_folder_that_is_deleted_just_before_the_end_is_no_recording_that_went_well(tmp_path: Path) -> None:
    recorder = holding(record(tmp_path / "takes" / "take.mcap", replace(ROOMY, flush_s=1e6)), 0)
    recorder.add_frame(make_frame(0), CAMERA)
    shutil.rmtree(tmp_path / "takes")
    status = finished(recorder)
    assert status.state is RecorderState.FAILED and "was deleted" in str(status.error)


@needs_unix
def test_a_folder_that_is_moved_is_told_and_the_file_can_be_repaired_there(tmp_path: Path) -> None:
    recorder = holding(record(tmp_path / "takes" / "take.mcap", replace(ROOMY, flush_s=0.02)))
    (tmp_path / "takes").rename(tmp_path / "elsewhere")
    assert recorder.join(LONG_S)
    assert recorder.status.state is RecorderState.FAILED and "was moved" in str(recorder.status.error)
    assert repair(tmp_path / "elsewhere" / "take.mcap.part").frames == 3


def test_a_file_that_appears_under_the_name_of_the_recording_is_kept(tmp_path: Path) -> None:
    recorder = holding(record(tmp_path / "take.mcap"))
    for name in ("take.mcap", "take-2.mcap"):
        (tmp_path / name).write_text("somebody's")
    status = finished(recorder)
    assert status.state is RecorderState.FINISHED and status.path == tmp_path / "take-3.mcap"
    assert (tmp_path / "take.mcap").read_text() == (tmp_path / "take-2.mcap").read_text() == "somebody's"
    with SessionReader(status.path) as read:
        assert read.finished and read.frame_count == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take-2.mcap", "take-3.mcap", "take.mcap"]


def test_a_file_under_the_name_of_the_reserve_is_kept(tmp_path: Path) -> None:
    (tmp_path / "take.mcap.reserve").write_text("somebody's")
    with pytest.raises(OutputError, match=r"take\.mcap\.reserve is there already"):
        SessionWriter(tmp_path / "take.mcap", SessionInfo(), OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["take.mcap.reserve"]
    assert (tmp_path / "take.mcap.reserve").read_text() == "somebody's"


@needs_unix
def test_recordings_are_for_their_owner_alone(tmp_path: Path, session: Path) -> None:
    recorder = holding(record(tmp_path / "mine.mcap"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("mine*")}
    assert modes == {"mine.mcap.part": 0o600, "mine.mcap.reserve": 0o600}
    finished(recorder)
    session.write_bytes(session.read_bytes()[:-60])
    session.chmod(0o644)
    repaired = repair(session, tmp_path / "saved.mcap").path
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "mine.mcap", repaired)] == [0o600, 0o600]


# Repairs


@needs_unix
def test_a_file_that_is_being_written_is_not_repaired(tmp_path: Path) -> None:
    part = tmp_path / "take.mcap.part"
    recorder = holding(record(tmp_path / "take.mcap"))
    assert is_being_written(part)
    for output in (None, tmp_path / "copy.mcap"):
        with pytest.raises(UsageError, match="still being written"):
            repair(part, output)
    status = finished(recorder)
    assert status.frames == 3 and not is_being_written(status.path) and not part.exists()


def test_a_repair_never_takes_another_recordings_unfinished_file(tmp_path: Path, session: Path) -> None:
    other = write_session(tmp_path / "saved.mcap", count=10, finish=False)
    before = other.read_bytes()
    session.write_bytes(session.read_bytes()[:-60])
    with pytest.raises(OutputError, match="there is a file at"):
        repair(session, tmp_path / "saved.mcap")
    assert other.read_bytes() == before


def test_a_repair_overwrites_nothing_that_appears_meanwhile(tmp_path: Path, session: Path) -> None:
    session.write_bytes(session.read_bytes()[:-60])
    target = tmp_path / "take-repaired.mcap"
    report = repair(session, target, progress=lambda share: target.write_text("somebody's"))
    assert target.read_text() == "somebody's" and report.path == tmp_path / "take-repaired-2.mcap"
    with SessionReader(report.path) as read:
        assert read.frame_count == 30


# What waits


def test_what_waits_is_bounded_in_bytes_and_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    add = recorder_module.SessionWriter.add_frame

    def slow(self, frame, camera):
        gate.wait(LONG_S)
        add(self, frame, camera)

    monkeypatch.setattr(recorder_module.SessionWriter, "add_frame", slow)
    size = make_frame(0).image.nbytes
    by_size = record(tmp_path / "size.mcap", replace(ROOMY, queue_bytes=5 * size, queue_s=LONG_S))
    taken = [by_size.add_frame(make_frame(index), CAMERA) for index in range(8)]
    assert taken == [True] * 5 + [False] * 3
    by_time = record(tmp_path / "time.mcap", replace(ROOMY, queue_s=0.1))
    assert by_time.add_frame(make_frame(0), CAMERA)
    time.sleep(0.15)
    assert not by_time.add_frame(make_frame(1), CAMERA)
    gate.set()
    for recorder, count in ((by_size, 5), (by_time, 1)):
        status = finished(recorder)
        assert status.state is RecorderState.FINISHED and status.frames == count
        assert "too slow" in str(status.reason) and "slower than the camera" in str(status.error)


def test_the_bound_is_what_the_documentation_says() -> None:
    limits = recorder_module.RecorderLimits()
    page = (ROOT / "docs" / "session-format.md").read_text()
    assert f"{limits.queue_s:g} s" in page and f"{limits.flush_s:g} s" in page
    assert f"{limits.queue_bytes // MIB} MiB" in page and f"{limits.queue_frames} frames" in page


# Access


def test_nothing_that_opens_a_stream_is_in_a_recording(tmp_path: Path) -> None:
    url = "rtsp://me:s3cret@door.lan/live?token=s3cret"
    camera = Camera(CAMERA.width, CAMERA.height, CAMERA.matrix, CAMERA.distortion, url)
    info = SessionInfo(source=url, model=url, settings={"source": url, "recent": [url]})
    path = new_session_path(tmp_path, url)
    assert "s3cret" not in path.name
    with SessionWriter(path, info, OPTIONS) as writer:
        for index in range(3):
            frame = replace(make_frame(index), name=url)
            writer.add_frame(frame, camera)
            writer.add_hands(frame, RecordedHands([make_hand(index)], camera, url))
            writer.add_settings({"source": url, "index": index})
    assert b"s3cret" not in path.read_bytes()
    with SessionReader(path) as read:
        assert read.facts["source"] == read.frame(1).name == "rtsp://door.lan/live"
        recorded = read.hands(1)
        assert recorded is not None and np.array_equal(recorded.camera.matrix, CAMERA.matrix)
