"""The whole road of a webcam on Linux, from the kernel's list to the frame: fake devices behind cv2.VideoCapture."""

import sys
import time

import cv2
import numpy as np
import pytest

from handdgp_core.sources import NoFrameYet, WebcamSettings, list_webcams, open_source
from handdgp_core.sources.reconnect import ReconnectingSource
from tests.patience import WAIT_S

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="imitates Linux's folders with links")
MODES = {"YUYV": (640, 480), "MJPG": (1280, 720)}  # the largest picture that the cable carries in each format


class Device:
    """A camera: its pictures are of one grey, so that two can be told apart."""

    def __init__(self, name, grey, serial):
        self.name, self.grey, self.serial = name, grey, serial
        self.forced = None  # a size that it changes to by itself


class Bus:
    """The machine's video devices by number, as /sys and /dev list them and cv2.VideoCapture opens them."""

    def __init__(self, folder):
        self.folder, self.devices = folder, {}
        for part in ("sys", "dev/v4l/by-id"):
            (folder / part).mkdir(parents=True)

    def plug(self, number, device):
        node = self.folder / "sys" / f"video{number}"
        node.mkdir()
        (node / "name").write_text(device.name)
        (self.folder / "dev" / node.name).touch()
        self.devices[number] = device
        if device.serial:
            (self.folder / "dev/v4l/by-id" / device.serial).symlink_to(f"../../video{number}")

    def unplug(self, number):
        device = self.devices.pop(number)
        (self.folder / "sys" / f"video{number}" / "name").unlink()
        (self.folder / "sys" / f"video{number}").rmdir()
        (self.folder / "dev" / f"video{number}").unlink()
        if device.serial:
            (self.folder / "dev/v4l/by-id" / device.serial).unlink()
        return device


class Capture:
    """cv2.VideoCapture of one of them: sizes that its format cannot carry are cut down, as V4L2 does."""

    def __init__(self, bus, number, api, params=()):
        self.bus, self.number, self.device = bus, number, bus.devices.get(number)
        self.format, self.size = "YUYV", (640, 480)

    def isOpened(self):
        return self.device is not None

    def grab(self):
        time.sleep(0.002)
        return self.bus.devices.get(self.number) is self.device

    def retrieve(self):
        width, height = self.device.forced or self.size
        return True, np.full((height, width, 3), self.device.grey, np.uint8)

    def set(self, prop, value):
        if prop == cv2.CAP_PROP_FOURCC:
            self.format = int(value).to_bytes(4, "little").decode()
        most = MODES[self.format]
        if prop == cv2.CAP_PROP_FRAME_WIDTH:
            self.size = (min(int(value), most[0]), self.size[1])
        if prop == cv2.CAP_PROP_FRAME_HEIGHT:
            self.size = (self.size[0], min(int(value), most[1]))
        return True

    def get(self, prop):
        answers = {
            cv2.CAP_PROP_FRAME_WIDTH: self.size[0],
            cv2.CAP_PROP_FRAME_HEIGHT: self.size[1],
            cv2.CAP_PROP_FPS: 30,
            cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*self.format),
        }
        return float(answers.get(prop, 0.0))

    def release(self):
        pass


@pytest.fixture
def bus(tmp_path, monkeypatch):
    bus = Bus(tmp_path)
    monkeypatch.setattr(
        list_webcams, "__defaults__", (tmp_path / "sys", tmp_path / "dev", lambda path: True, "linux"), raising=False
    )
    monkeypatch.setattr(cv2, "VideoCapture", lambda number, api, params=(): Capture(bus, number, api, params))
    monkeypatch.setattr("handdgp_core.sources.webcam._AUTO", {sys.platform: ("v4l2",)})
    monkeypatch.setattr(ReconnectingSource.__init__, "__defaults__", (None, (0.01, 0.02)))
    return bus


def grey_of(source, wanted=None):
    """The grey of the next frame; of the first one with the wanted grey or size where that is given."""
    end_s = time.monotonic() + WAIT_S
    while time.monotonic() < end_s:
        try:
            frame = source.read(0.05)
        except NoFrameYet:
            continue
        seen = int(frame.image[0, 0, 0])
        if wanted in (None, seen, frame.image.shape[1::-1]):
            return seen
    raise AssertionError(f"no frame of {wanted}")


def wait_until_told(source, words):
    """Until it says so in place of a frame; frames of before may still come."""
    end_s = time.monotonic() + WAIT_S
    said = ""
    while words not in said:
        assert time.monotonic() < end_s, said
        try:
            assert int(source.read(0.05).image[0, 0, 0]) == 50
        except NoFrameYet as waiting:
            said = str(waiting)


def test_listed_by_name_and_opened_at_720p_in_mjpg(bus):
    bus.plug(0, Device("Desk", 50, "desk"))
    bus.plug(2, Device("Lamp", 90, "lamp"))
    assert [(camera.index, camera.name) for camera in list_webcams()] == [(0, "Desk"), (2, "Lamp")]
    with open_source("2") as source:
        assert grey_of(source) == 90
        assert (source.name, source.size, source.inner.pixel_format) == ("Lamp", (1280, 720), "MJPG")
        assert source.warning is None


def test_a_camera_that_gives_less_says_so(bus):
    bus.plug(0, Device("Desk", 50, "desk"))
    with open_source("0", webcam=WebcamSettings(pixel_format="YUYV")) as source:
        grey_of(source)
        assert source.size == (640, 480) and "instead of the requested 1280x720" in source.warning


def test_it_comes_back_under_another_number(bus):
    bus.plug(0, Device("Desk", 50, "desk"))
    with open_source("0") as source:
        assert grey_of(source) == 50
        desk = bus.unplug(0)
        bus.plug(0, Device("Lamp", 90, "lamp"))
        bus.plug(3, desk)
        assert grey_of(source) == 50
        assert source.losses == 1 and source.inner.index == 3


def test_two_cameras_that_swap_their_numbers_keep_their_identity(bus):
    bus.plug(0, Device("Twin", 50, "twin-a"))
    bus.plug(1, Device("Twin", 90, "twin-b"))
    before = {camera.identity: camera.index for camera in list_webcams()}
    with open_source("0") as source:
        assert grey_of(source) == 50
        first, second = bus.unplug(0), bus.unplug(1)
        bus.plug(0, second)
        bus.plug(1, first)
        assert grey_of(source) == 50
    assert {camera.identity: 1 - camera.index for camera in list_webcams()} == before


def test_another_camera_at_the_same_place_is_not_taken_for_the_first(bus):
    bus.plug(0, Device("Desk", 50, ""))  # the system knows it by its device file alone
    with open_source("0") as source:
        assert grey_of(source) == 50
        desk = bus.unplug(0)
        bus.plug(0, Device("Lamp", 90, ""))
        wait_until_told(source, "Desk disconnected")
        bus.unplug(0)
        bus.plug(0, desk)
        assert grey_of(source) == 50


def test_a_size_that_changes_in_the_stream_is_told_and_followed(bus):
    desk = Device("Desk", 50, "desk")
    bus.plug(0, desk)
    with open_source("0") as source:
        grey_of(source, (1280, 720))
        desk.forced = (640, 480)
        grey_of(source, (640, 480))
        assert source.size == (640, 480) and "uses 640x480 instead of" in source.warning
        assert source.losses == 0
