"""The supervisor's decisions, with children that do what the test says: no process, no OpenGL."""

import os
import time

import numpy as np
import pytest

from app.viewport import supervisor as module
from app.viewport.backends import PainterThread, Picture, reserved_memory
from app.viewport.orbit import HOME
from app.viewport.protocol import RenderRequest, SceneState, ViewOptions
from app.viewport.supervisor import STATUS_OPEN3D, GLConfig, RenderSupervisor, default_configs
from tests.patience import WAIT_S

REQUEST = RenderRequest(SceneState(), HOME, ViewOptions(), 32, 24)
LADDER = [GLConfig("first", {"A": "1"}), GLConfig("second", {"A": "2"}), GLConfig("third", {})]


class ScriptedChild:
    """Stands where `RenderChild` stands; `script` is what the next polls bring about."""

    born: list["ScriptedChild"]

    def __init__(self, environment, render_limit):
        self.environment, self.state, self.was_ready, self.expired = environment, "starting", False, False
        self.pending = None
        self.reason, self.started_s, self.stopped, self.asked = "", time.monotonic(), False, None
        self.pid = len(self.born)
        self.born.append(self)

    waited_s = 0.0

    @property
    def busy(self):
        return self.asked is not None

    def become(self, state):
        """What the next poll will find."""
        self.pending = state

    def request(self, request):
        self.asked = request

    def poll(self):
        self.state, self.pending = self.pending or self.state, None
        self.was_ready = self.was_ready or self.state == "ready"
        if self.asked is None or self.state != "ready" or self.waited_s:
            return None
        asked, self.asked = self.asked, None
        return Picture(np.zeros((24, 32, 3), np.uint8), asked, 1.0, "open3d")

    def ask_to_stop(self):
        pass

    def kill(self):
        self.state = "dead"

    def has_ended(self):
        return True

    def stop(self, timeout_s=3.0):
        self.stopped = True


@pytest.fixture
def children(monkeypatch):
    ScriptedChild.born = []
    monkeypatch.setattr(module, "RenderChild", ScriptedChild)
    return ScriptedChild.born


def make(**options):
    supervisor = RenderSupervisor(LADDER, **options)
    supervisor.start()
    return supervisor


def picture_of(supervisor, timeout_s=WAIT_S):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        picture = supervisor.poll()
        if picture is not None:
            return picture
        time.sleep(0.005)
    raise AssertionError("no picture")


def test_the_painter_draws_until_the_child_is_ready(children):
    supervisor = make()
    supervisor.request(REQUEST)
    assert picture_of(supervisor).backend == "painter"
    children[0].become("ready")
    supervisor.poll()
    assert supervisor.status == "3D: Open3D"
    supervisor.request(REQUEST)
    assert supervisor.poll().backend == "open3d"
    supervisor.stop()
    assert children[0].stopped


def test_a_config_that_fails_is_followed_by_the_next_and_the_good_one_is_remembered(children):
    remembered = []
    supervisor = make(on_config=remembered.append)
    children[0].become("dead")
    supervisor.poll()
    assert children[1].environment == {"A": "2"} and not remembered
    children[1].become("ready")
    supervisor.poll()
    assert remembered == ["second"]
    supervisor.stop()


def test_the_remembered_config_is_tried_first(children):
    supervisor = make(preferred="third")
    assert children[0].environment == {}
    children[0].become("dead")
    supervisor.poll()
    assert children[1].environment == {"A": "1"}
    supervisor.stop()


def test_no_config_left_means_painter_and_says_what_to_install(children):
    supervisor = make()
    for index in range(3):
        children[index].become("dead")
        supervisor.poll()
    assert len(children) == 3
    assert "basic renderer" in supervisor.status and "install" in supervisor.status
    supervisor.request(REQUEST)
    assert picture_of(supervisor).backend == "painter"
    supervisor.stop()


def test_a_child_that_starts_slowly_is_waited_for_and_never_called_broken(children):
    supervisor = make(start_timeout_s=20.0)
    assert supervisor.status == "3D: starting Open3D"
    children[0].started_s -= 99.0
    supervisor.poll()
    assert len(children) == 1 and supervisor.status == "3D: Open3D is still starting"
    children[0].become("ready")
    supervisor.poll()
    assert supervisor.status == STATUS_OPEN3D
    supervisor.stop()


def test_a_child_that_never_gets_ready_counts_as_dead_and_nothing_is_called_missing(children):
    supervisor = make(start_timeout_s=20.0)
    for count in range(1, len(LADDER) + 1):
        assert len(children) == count
        children[-1].started_s -= 101.0
        supervisor.poll()
    assert all(child.state == "dead" for child in children)
    assert "did not start within 100 s" in supervisor.status and "install" not in supervisor.status
    supervisor.stop()


def test_one_death_is_forgiven_two_are_not(children):
    supervisor = make()
    for expected in (2, 2):
        children[-1].become("ready")
        supervisor.poll()
        children[-1].become("dead")
        supervisor.poll()
        assert len(children) == expected
    assert children[1].environment == {"A": "1"}  # the config itself was good
    assert "crashed twice" in supervisor.status
    supervisor.stop()


def test_a_child_that_hangs_is_replaced(children):
    supervisor = make()
    children[0].become("ready")
    supervisor.poll()
    children[0].waited_s = 9.0
    supervisor.poll()
    assert len(children) == 1
    children[0].waited_s, children[0].asked = 11.0, REQUEST
    supervisor.poll()
    assert len(children) == 2 and children[0].state == "dead"
    supervisor.stop()


def test_deaths_long_ago_are_forgotten(children):
    supervisor = make()
    for round_number in range(4):
        children[-1].become("ready")
        supervisor.poll()
        children[-1].become("dead")
        supervisor.poll()
        assert len(children) == round_number + 2
        supervisor._deaths_s = [then - 601.0 for then in supervisor._deaths_s]
    supervisor.stop()


def test_a_death_noticed_while_asking_is_a_death_not_a_failed_start(children):
    supervisor = make()
    children[0].become("ready")
    supervisor.poll()
    children[0].request = lambda request: children[0].kill()
    supervisor.request(REQUEST)
    supervisor.poll()
    assert children[1].environment == {"A": "1"}
    supervisor.stop()


def test_a_worn_child_draws_on_until_its_spare_is_ready(children):
    supervisor = make()
    children[0].become("ready")
    supervisor.poll()
    children[0].expired = True
    supervisor.poll()
    assert len(children) == 2
    supervisor.request(REQUEST)
    assert supervisor.poll().backend == "open3d" and supervisor.child_pid == 0
    children[1].become("ready")
    supervisor.poll()
    assert supervisor.child_pid == 1
    supervisor.poll()
    assert children[0].stopped
    supervisor.stop()
    assert children[1].stopped


def test_no_process_to_be_had_means_painter(monkeypatch):
    def refuse(environment, render_limit):
        raise OSError("no space left in /dev/shm")

    monkeypatch.setattr(module, "RenderChild", refuse)
    supervisor = make()
    assert "no space left" in supervisor.status
    supervisor.stop()


def test_after_stop_nothing_starts(children):
    supervisor = make()
    supervisor.stop()
    supervisor.start()
    supervisor.request(REQUEST)
    assert supervisor.poll() is None and len(children) == 1


def test_configs_of_this_system(monkeypatch):
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.delenv("EGL_PLATFORM", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    assert [config.name for config in default_configs()] == ["surfaceless", "display", "software"]
    assert default_configs()[1].environment == {"EGL_PLATFORM": None}
    monkeypatch.delenv("DISPLAY")
    monkeypatch.setenv("EGL_PLATFORM", "device")
    assert [config.name for config in default_configs()] == ["system", "surfaceless", "software"]
    monkeypatch.setattr(module.sys, "platform", "darwin")
    assert [config.name for config in default_configs()] == ["system"]


def test_painter_thread_survives_a_scene_it_cannot_draw(scene):
    painter = PainterThread()
    try:
        painter.request(RenderRequest(scene, HOME, ViewOptions(), -5, 10))
        end = time.monotonic() + WAIT_S
        while painter.busy and time.monotonic() < end:
            time.sleep(0.005)
        painter.request(REQUEST)
        while (picture := painter.poll()) is None and time.monotonic() < end:
            time.sleep(0.005)
        assert picture is not None and picture.request is REQUEST
    finally:
        painter.stop()
    assert not painter._thread.is_alive()


def test_shared_memory_without_room_is_an_error_now_and_not_a_crash_later(monkeypatch):
    before = set(os.listdir("/dev/shm"))
    with pytest.raises(OSError):
        reserved_memory(1 << 45)  # sparse, it could be made
    assert set(os.listdir("/dev/shm")) == before
    memory = reserved_memory(1 << 16)
    assert os.stat(f"/dev/shm/{memory.name}").st_blocks * 512 >= 1 << 16
    memory.close()
    memory.unlink()
