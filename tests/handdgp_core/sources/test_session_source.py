"""A recorded session behind the protocol that all sources share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handdgp_core.errors import SourceError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions import SessionInfo, SessionWriter
from handdgp_core.sources import PacedSource, Source, frames, open_source
from handdgp_core.sources.cameras import CameraChooser
from handdgp_core.sources.session import SessionSource, cameras_of
from tests.handdgp_core.sessions.conftest import (
    CAMERA,
    HEIGHT,
    OPTIONS,
    PERIOD_NS,
    WIDTH,
    make_frame,
    number_of,
    write_session,
)
from tests.handdgp_core.sources.test_pacing import HandClock


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return write_session(tmp_path / "take.mcap", count=20, is_rendered=True)


def test_a_session_is_opened_by_its_name(session: Path) -> None:
    with open_source(str(session)) as source:
        assert isinstance(source, SessionSource) and isinstance(source, Source)
        assert (source.name, source.size, source.frame_count) == ("take.mcap", (WIDTH, HEIGHT), 20)
        assert source.is_seekable and not source.is_live and source.is_rendered
        seen = [(number_of(frame.image), frame.index, frame.stamp_ns) for frame in frames(source)]
    assert seen == [(number, number, number * PERIOD_NS) for number in range(20)]


def test_seeking_is_exact_and_stays_inside(session: Path) -> None:
    with open_source(str(session)) as source:
        for number in (19, 0, 7):
            source.seek(number)
            frame = source.read()
            assert frame is not None and number_of(frame.image) == number
        with pytest.raises(SourceError, match="0 to 19"):
            source.seek(20)
    assert source.read() is None


def test_looping_keeps_stamps_rising(session: Path) -> None:
    with open_source(str(session), loop=True) as source:
        read = [source.read() for _ in range(45)]
    stamps = [frame.stamp_ns for frame in read if frame]
    assert len(stamps) == 45 and (np.diff(stamps) > 0).all()
    assert [frame.index for frame in read if frame][18:23] == [18, 19, 0, 1, 2]


def test_a_player_keeps_to_the_stamps_of_the_session(session: Path) -> None:
    with open_source(str(session)) as source, PacedSource(source, HandClock(), speed=8.0) as player:
        assert player._due_s is not None and player._due_s[3] == pytest.approx(3 * PERIOD_NS / 1e9)
        player.set_loop((2, 4))
        assert [frame.index for frame in (player.read(2.0) for _ in range(5)) if frame] == [2, 3, 4, 2, 3]


def test_damaged_frames_are_skipped_and_listed(session: Path) -> None:
    data = bytearray(session.read_bytes())
    place = data.index(b"\xff\xd8\xff")  # the first JPEG: its chunk holds frames 0 to 9
    data[place + 50] ^= 1
    session.write_bytes(data)
    with open_source(str(session)) as source:
        assert [frame.index for frame in frames(source)] == list(range(10, 20))
        assert [name for name, _ in source.skipped] == [f"frame {number}" for number in (*range(10),)]
        assert "checksum" in source.skipped[0][1]


def test_a_session_of_which_nothing_is_whole_is_refused(session: Path) -> None:
    data = bytearray(session.read_bytes())
    for place in range(len(data)):
        if data[place : place + 3] == b"\xff\xd8\xff":
            data[place + 50] ^= 1
    session.write_bytes(data)
    with pytest.raises(SourceError, match="no frame in it is complete"):
        open_source(str(session))


def test_an_unfinished_session_plays_with_a_warning(tmp_path: Path) -> None:
    part = write_session(tmp_path / "cut.mcap", count=20, finish=False)
    with open_source(str(part)) as source:
        assert "never finished" in (source.warning or "")
        assert sum(1 for _ in frames(source)) == 20


def test_frames_carry_the_camera_of_the_recording_unless_another_is_wanted(session: Path) -> None:
    other = Camera.assumed(WIDTH, HEIGHT, 70.0, "other")
    with open_source(str(session)) as source:
        frame = source.read()
    assert frame is not None
    assert CameraChooser(other).camera_for(frame) == CAMERA
    assert CameraChooser(other, overrides=True).camera_for(frame) == other
    assert CameraChooser(None, overrides=True).camera_for(frame) == CAMERA


def test_a_field_of_view_that_is_given_goes_before_one_that_was_assumed(tmp_path):
    assumed, known = Camera.assumed(96, 64, 60.0), CAMERA
    with SessionWriter(tmp_path / "a.mcap", SessionInfo(source="Cam", is_live=True), OPTIONS) as writer:
        writer.add_frame(make_frame(0), assumed)
        writer.add_frame(make_frame(1), known)
    with SessionSource(tmp_path / "a.mcap") as source:
        frames = [source.read(), source.read()]
        as_recorded, wider = cameras_of(source, None), cameras_of(source, None, 90.0)
        calibrated = cameras_of(source, CAMERA, 90.0)
    assert [as_recorded.camera_for(frame) for frame in frames] == [assumed, known]
    assert [wider.camera_for(frame) for frame in frames] == [Camera.assumed(96, 64, 90.0), known]
    assert [calibrated.camera_for(frame) for frame in frames] == [CAMERA, CAMERA]
