"""Real small videos whose pictures carry their frame number, and a scripted camera with OpenCV's interface."""

import threading
import time

import cv2
import numpy as np
import pytest

from tests.patience import WAIT_S

WIDTH, HEIGHT = 160, 96


def draw(number):
    """Picture with `number` in eight black or white blocks, and a red patch that tells RGB from BGR."""
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    for bit in range(8):
        if number >> bit & 1:
            image[10:60, 10 + bit * 18 : 24 + bit * 18] = 230
    image[70:90, :40] = (0, 0, 255)
    return image


def number_in(image):
    """The number that `draw` put into a picture."""
    return sum(1 << bit for bit in range(8) if image[20:50, 12 + bit * 18 : 22 + bit * 18].mean() > 128)


@pytest.fixture(scope="session")
def make_video():
    def make(path, count=60, codec="mp4v", fps=25.0, draw_frame=draw):
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), fps, (WIDTH, HEIGHT))
        assert writer.isOpened(), codec
        for number in range(count):
            writer.write(draw_frame(number))
        writer.release()
        return path

    return make


@pytest.fixture
def decode_number():
    return number_in


class ScriptedCamera:
    """A camera on a cable. Opened captures give numbered pictures while it is plugged in; tests pull the plug."""

    def __init__(self):
        self.plugged = True
        self.size = (64, 48)
        self.reported_size = None
        self.fps = 30.0
        self.openings = []
        self.settings = []
        self.pictures = None  # iterable of what retrieve gives; None counts up
        self.silent = threading.Event()  # set: grab blocks, as a driver does
        self.open_captures = 0
        self.properties = {}  # further answers of `get`

    def __call__(self, target, api, params=()):
        self.openings.append((target, api))
        return _Capture(self)


class _Capture:
    def __init__(self, camera):
        self.camera = camera
        self.opened = camera.plugged
        self.count = 0
        self.pictures = None if camera.pictures is None else iter(camera.pictures)
        camera.open_captures += self.opened

    def isOpened(self):
        return self.opened

    def grab(self):
        while self.camera.silent.is_set() and self.camera.plugged:
            time.sleep(0.002)
        time.sleep(0.002)
        self.count += 1
        return self.camera.plugged and self.opened

    def retrieve(self):
        if self.pictures is not None:
            picture = next(self.pictures, None)
            return picture is not None, picture
        width, height = self.camera.size
        return True, np.full((height, width, 3), self.count % 200 + 20, np.uint8)

    def get(self, prop):
        width, height = self.camera.reported_size or self.camera.size
        answers = {
            cv2.CAP_PROP_FRAME_WIDTH: width,
            cv2.CAP_PROP_FRAME_HEIGHT: height,
            cv2.CAP_PROP_FPS: self.camera.fps,
            **self.camera.properties,
        }
        return float(answers.get(prop, 0.0))

    def set(self, prop, value):
        self.camera.settings.append((prop, value))
        return True

    def release(self):
        self.camera.open_captures -= self.opened
        self.opened = False


@pytest.fixture
def scripted_camera():
    return ScriptedCamera()


@pytest.fixture
def wait_until():
    def wait(condition, limit_s=WAIT_S):
        end = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end, "it never happened"
            time.sleep(0.005)

    return wait
