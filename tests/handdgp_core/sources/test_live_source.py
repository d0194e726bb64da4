"""The webcam and what lies under it, driven by a scripted camera."""

import math
import sys
import threading
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handdgp_core.errors import SourceError, UsageError
from handdgp_core.sources import NoFrameYet, SourceLost, WebcamInfo, WebcamSettings, WebcamSource
from handdgp_core.sources.live import BLACK_FRAMES, MAX_AGE_NS, DriverStamps, LiveSource
from handdgp_core.sources.webcam import LensState, open_webcam, webcam_index
from tests.patience import WAIT_S

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells more about its cameras")


class StillClock:
    """Time in nanoseconds that stands until a test moves it."""

    def __init__(self):
        self.now_ns = 10**12

    def __call__(self):
        return self.now_ns


def no_cameras():
    return []


def read_some(source, count):
    read = []
    while len(read) < count:
        read.append(source.read(WAIT_S))
    return read


def test_frames_rise_in_number_and_time(scripted_camera):
    with WebcamSource(0, capture_factory=scripted_camera, cameras=no_cameras) as source:
        read = read_some(source, 5)
        assert source.is_live and not source.is_seekable and source.frame_count is None
    assert (np.diff([frame.index for frame in read]) > 0).all()
    assert (np.diff([frame.stamp_ns for frame in read]) > 0).all()
    assert read[0].image.shape == (48, 64, 3)


def test_what_is_asked_and_what_came(scripted_camera):
    scripted_camera.size = (641, 479)
    scripted_camera.reported_size = (1280, 720)
    scripted_camera.fps = 7.5
    asked = WebcamSettings((1280, 720), 30.0, "MJPG")
    with WebcamSource(2, asked, scripted_camera, no_cameras) as source:
        source.read(WAIT_S)
        assert source.size == (641, 479) and source.nominal_fps == 7.5
        assert "641x479" in source.warning and "1280x720" in source.warning
    properties = [prop for prop, _ in scripted_camera.settings]
    assert properties[:3] == [cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT]
    assert (cv2.CAP_PROP_BUFFERSIZE, 1) in scripted_camera.settings
    assert scripted_camera.openings[0][0] == 2
    assert scripted_camera.open_captures == 0


def test_focus_is_locked_where_that_is_asked_and_read_back(scripted_camera):
    fourcc = float(cv2.VideoWriter.fourcc(*"YUYV"))
    answers = (cv2.CAP_PROP_AUTOFOCUS, 0.0), (cv2.CAP_PROP_FOCUS, 35.0), (cv2.CAP_PROP_ZOOM, 100.0)
    scripted_camera.properties = {cv2.CAP_PROP_FOURCC: fourcc, **dict(answers)}
    asked = WebcamSettings(lock_focus=True, focus=35.0)
    with WebcamSource(0, asked, scripted_camera, no_cameras) as source:
        assert source.pixel_format == "YUYV"
        assert source.lens == LensState(0.0, 35.0, 100.0) and source.lens.locked
    assert scripted_camera.settings[-2:] == [(cv2.CAP_PROP_AUTOFOCUS, 0), (cv2.CAP_PROP_FOCUS, 35.0)]


@pytest.mark.parametrize("value", [-1.0, 0.0, math.nan])
def test_a_driver_that_says_nothing_of_its_lens_is_not_believed(scripted_camera, value):
    for prop in (cv2.CAP_PROP_AUTOFOCUS, cv2.CAP_PROP_FOCUS, cv2.CAP_PROP_ZOOM, cv2.CAP_PROP_FOURCC):
        scripted_camera.properties[prop] = value
    with WebcamSource(0, None, scripted_camera, no_cameras) as source:
        assert source.lens == LensState() and not source.lens.locked and source.pixel_format == ""


@pytest.mark.parametrize("fps", [0.0, -1.0, math.nan])
def test_senseless_frame_rates_are_unknown(scripted_camera, fps):
    scripted_camera.fps = fps
    with WebcamSource(0, capture_factory=scripted_camera, cameras=no_cameras) as source:
        assert source.nominal_fps is None


def test_backend_is_chosen_or_tried_in_turn(scripted_camera):
    WebcamSource(0, WebcamSettings(backend="msmf"), scripted_camera, no_cameras).close()
    assert scripted_camera.openings == [(0, cv2.CAP_MSMF)]
    scripted_camera.plugged = False
    with pytest.raises(SourceError):
        WebcamSource(0, None, scripted_camera, no_cameras)
    assert scripted_camera.openings[-1] == (0, cv2.CAP_ANY)
    assert scripted_camera.open_captures == 0


@pytest.mark.parametrize("wrong", [{"backend": "x"}, {"size": (0, 5)}, {"fps": -1.0}, {"pixel_format": "MJPEG"}])
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(UsageError):
        WebcamSettings(**wrong)


def test_bad_pictures_are_skipped(scripted_camera):
    good = np.full((48, 64, 3), 90, np.uint8)
    grey = np.full((48, 64), 90, np.uint8)
    scripted_camera.pictures = [None, np.zeros((0, 0, 3), np.uint8), grey, None, np.zeros((4, 4, 3)), good, *[good] * 9]
    with WebcamSource(0, capture_factory=scripted_camera, cameras=no_cameras) as source:
        frame = source.read(WAIT_S)
    assert frame.index <= 10 and (frame.image == 90).all() and frame.image.shape == (48, 64, 3)


def test_black_pictures_come_with_a_warning(scripted_camera, wait_until):
    black = np.zeros((48, 64, 3), np.uint8)
    light = np.full((48, 64, 3), 90, np.uint8)
    scripted_camera.pictures = [black] * (BLACK_FRAMES + 5) + [light] * 1000
    with LiveSource(scripted_camera(0, 0), "cam") as source:
        wait_until(lambda: "black" in (source.warning or ""))
        wait_until(lambda: source.warning is None)


def test_stale_frame_is_never_shown(scripted_camera, wait_until):
    clock = StillClock()
    with LiveSource(scripted_camera(0, 0), "cam", clock_ns=clock) as source:
        wait_until(lambda: source._newest is not None)
        scripted_camera.silent.set()
        wait_until(lambda: (before := source._newest) and not threading.Event().wait(0.05) and source._newest is before)
        stale = source._newest
        clock.now_ns += MAX_AGE_NS + 1
        with pytest.raises(NoFrameYet, match="sends no frames"):
            source.read(0.02)
        scripted_camera.silent.clear()
        assert source.read(WAIT_S).index > stale.index


def test_reader_after_a_pause_gets_the_newest(scripted_camera, wait_until):
    with LiveSource(scripted_camera(0, 0), "cam") as source:
        first = source.read(WAIT_S)
        wait_until(lambda: source._newest is not None and source._newest.index > first.index + 20)
        assert source.read(WAIT_S).index > first.index + 20


def test_one_frame_is_given_once(scripted_camera):
    scripted_camera.pictures = [np.full((4, 4, 3), 90, np.uint8)]
    with LiveSource(scripted_camera(0, 0), "cam") as source:
        assert source.read(WAIT_S).index == 0
        with pytest.raises(NoFrameYet):
            source.read(0.05)


def test_close_ends_a_blocked_read(scripted_camera):
    scripted_camera.silent.set()
    source = LiveSource(scripted_camera(0, 0), "cam")
    answers = []
    reader = threading.Thread(target=lambda: answers.append(source.read(10 * WAIT_S)))
    reader.start()
    source.close()
    reader.join(WAIT_S)
    assert not reader.is_alive() and answers == [None]
    assert source.read(10 * WAIT_S) is None
    scripted_camera.silent.clear()


def test_unplugged_camera_is_lost(scripted_camera, tmp_path):
    device = tmp_path / "video0"
    device.touch()
    with WebcamSource(0, None, scripted_camera, no_cameras, device_path=str(device)) as source:
        source.read(WAIT_S)
        scripted_camera.plugged = False
        device.unlink()
        with pytest.raises(SourceLost):
            while True:
                source.read(WAIT_S)
        with pytest.raises(SourceLost):
            source.read(WAIT_S)
    assert scripted_camera.open_captures == 0


def test_camera_that_only_fails_is_lost_after_a_while(scripted_camera):
    class Jumping(StillClock):
        def __call__(self):
            self.now_ns += 500_000_000
            return self.now_ns

    scripted_camera.plugged = True
    capture = scripted_camera(0, 0)
    scripted_camera.plugged = False
    with LiveSource(capture, "cam", clock_ns=Jumping()) as source, pytest.raises(SourceLost, match="stopped sending"):
        source.read(WAIT_S)


def test_exception_of_the_backend_reaches_the_reader(scripted_camera):
    capture = scripted_camera(0, 0)
    capture.retrieve = lambda: 1 / 0
    with LiveSource(capture, "cam") as source, pytest.raises(SourceLost, match="ZeroDivisionError"):
        source.read(WAIT_S)
    assert scripted_camera.open_captures == 0


def test_driver_stamps_are_used_while_sane():
    stamps = DriverStamps(True)
    assert stamps.stamp(1000.0, 1_020_000_000) == 1_000_000_000
    assert stamps.stamp(1033.0, 1_050_000_000) == 1_033_000_000
    assert stamps.stamp(1033.0, 1_090_000_000) == 1_090_000_000  # stands still: no longer trusted
    assert stamps.stamp(1100.0, 1_120_000_000) == 1_120_000_000


@pytest.mark.parametrize("driver_ms", [0.0, 5000.0, math.nan, 1.7e12], ids=["zero", "future", "nan", "wall clock"])
def test_other_clocks_are_not_mistaken_for_ours(driver_ms):
    assert DriverStamps(True).stamp(driver_ms, 3_000_000_000) == 3_000_000_000
    assert DriverStamps(False).stamp(2990.0, 3_000_000_000) == 3_000_000_000


@given(st.lists(st.tuples(st.floats(), st.integers(0, 10**13)), min_size=2, max_size=20))
def test_stamps_always_rise(times):
    stamps = DriverStamps(True)
    given_ns = [stamps.stamp(driver_ms, grabbed_ns) for driver_ms, grabbed_ns in times]
    assert all(later > earlier for earlier, later in pairwise(given_ns))


@LINUX
def test_name_and_identity_come_from_the_list(scripted_camera):
    info = WebcamInfo(3, "Nice Cam", "/dev/video3", "/dev/v4l/by-id/nice")
    with open_webcam(3, capture_factory=scripted_camera, cameras=lambda: [info]) as source:
        assert (source.name, source.identity, source.index) == ("Nice Cam", "/dev/v4l/by-id/nice", 3)


def test_index_from_number_file_and_link(tmp_path):
    (tmp_path / "video7").touch()
    (tmp_path / "link").symlink_to(tmp_path / "video7")
    assert webcam_index(1) == webcam_index("1") == 1
    assert webcam_index("/dev/video12") == 12
    assert webcam_index(str(tmp_path / "link")) == 7
    with pytest.raises(SourceError, match="no /dev/v4l/by-id/gone"):
        webcam_index("/dev/v4l/by-id/gone")
