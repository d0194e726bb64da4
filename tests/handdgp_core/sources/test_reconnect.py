import threading

import numpy as np
import pytest

from handdgp_core.errors import SourceError
from handdgp_core.sources import NoFrameYet, ReconnectingSource, SourceLost, WebcamSource
from handdgp_core.sources.protocol import BaseSource
from handdgp_core.types import Frame
from tests.patience import WAIT_S


@pytest.fixture
def device(tmp_path):
    (tmp_path / "video0").touch()
    return tmp_path / "video0"


@pytest.fixture
def webcam(scripted_camera, device):
    def reopen():
        return WebcamSource(0, None, scripted_camera, list, device_path=str(device))

    with ReconnectingSource(reopen, pauses_s=(0.01, 0.02)) as source:
        yield source


def read_frame(source):
    while True:
        try:
            return source.read(0.05)
        except NoFrameYet:
            continue


def status_while_lost(source):
    while True:
        try:
            source.read(0.01)
        except NoFrameYet as waiting:
            if "disconnected" in waiting.status:
                return waiting.status


def test_unplug_and_replug(webcam, scripted_camera, device, wait_until):
    before = [read_frame(webcam) for _ in range(3)]
    scripted_camera.plugged = False
    device.unlink()
    assert "webcam 0 disconnected" in status_while_lost(webcam)
    wait_until(lambda: "(attempt 2)" in webcam.warning)
    with pytest.raises(NoFrameYet, match=r"webcam 0 disconnected; waiting for it to return .attempt"):
        webcam.read(0.01)
    assert webcam.size == (64, 48) and webcam.is_live  # still answers for the panel
    device.touch()
    scripted_camera.size = (80, 60)
    scripted_camera.plugged = True
    after = [read_frame(webcam) for _ in range(3)]
    assert webcam.losses == 1 and webcam.size == (80, 60)
    assert "disconnected" not in (webcam.warning or "")
    assert after[0].image.shape == (60, 80, 3)
    read = before + after
    assert (np.diff([frame.index for frame in read]) > 0).all()
    assert (np.diff([frame.stamp_ns for frame in read]) > 0).all()


def test_three_losses_in_a_row(webcam, scripted_camera, device, wait_until):
    for loss in range(1, 4):
        read_frame(webcam)
        scripted_camera.plugged = False
        device.unlink()
        status_while_lost(webcam)
        wait_until(lambda wanted=loss: webcam.losses == wanted)
        device.touch()
        scripted_camera.plugged = True
    assert read_frame(webcam) is not None
    assert webcam.losses == 3 and scripted_camera.open_captures == 1


def test_close_while_lost_ends_the_search_and_a_blocked_read(webcam, scripted_camera, device):
    read_frame(webcam)
    scripted_camera.plugged = False
    device.unlink()
    status_while_lost(webcam)
    answers = []
    reader = threading.Thread(target=lambda: answers.append(webcam.read(10 * WAIT_S)))
    reader.start()
    webcam.close()
    reader.join(WAIT_S)
    assert not reader.is_alive() and answers == [None]
    openings = len(scripted_camera.openings)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reopen")]
    assert len(scripted_camera.openings) == openings and scripted_camera.open_captures == 0


def test_close_while_reading(webcam, scripted_camera):
    read_frame(webcam)
    scripted_camera.silent.set()
    answers = []

    def drain():
        while (frame := webcam.read(10 * WAIT_S)) is not None:
            answers.append(frame)
        answers.append(None)

    reader = threading.Thread(target=drain)
    reader.start()
    webcam.close()
    reader.join(WAIT_S)
    assert not reader.is_alive() and answers[-1] is None
    scripted_camera.silent.clear()


def test_first_opening_fails_at_once(scripted_camera):
    scripted_camera.plugged = False
    with pytest.raises(SourceError):
        ReconnectingSource(lambda: WebcamSource(0, None, scripted_camera, list))


class Scripted(BaseSource):
    """Gives what it is told: frames, None, or exceptions."""

    name = "scripted"
    size = (2, 2)
    is_live = True

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)
        self.closed = False

    def read(self, timeout_s=0.5):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.closed = True


def frame(index, stamp_ns):
    return Frame(np.zeros((2, 2, 3), np.uint8), stamp_ns, index)


def test_numbers_and_stamps_go_on_rising_even_if_the_device_starts_anew():
    lives = [Scripted(frame(0, 500), frame(4, 900), SourceLost("Unplugged.")), Scripted(frame(0, 100), frame(1, 200))]
    first, second = lives
    with ReconnectingSource(lambda: lives.pop(0), pauses_s=(0.0,)) as source:
        read = [read_frame(source) for _ in range(4)]
    assert [(f.index, f.stamp_ns) for f in read] == [(0, 500), (4, 900), (5, 901), (6, 902)]
    assert first.closed and second.closed


def test_live_source_that_ends_counts_as_lost():
    lives = [Scripted(None), Scripted(frame(0, 1))]
    with ReconnectingSource(lambda: lives.pop(0), pauses_s=(0.0,)) as source:
        assert read_frame(source).index == 0
        assert source.losses == 1


def test_other_errors_are_not_swallowed():
    with (
        ReconnectingSource(lambda: Scripted(SourceError("No such camera."))) as source,
        pytest.raises(SourceError, match="No such camera"),
    ):
        source.read()


def test_source_found_after_close_is_closed():
    opened, go_on, found = threading.Event(), threading.Event(), Scripted()
    lives = [Scripted(SourceLost("Unplugged."))]

    def reopen():
        if lives:
            return lives.pop()
        opened.set()
        go_on.wait(WAIT_S)
        return found

    source = ReconnectingSource(reopen, pauses_s=(0.0,))
    with pytest.raises(NoFrameYet):
        source.read(0.0)
    assert opened.wait(WAIT_S)
    source.close()
    go_on.set()
    source._search.join(WAIT_S)
    assert found.closed
