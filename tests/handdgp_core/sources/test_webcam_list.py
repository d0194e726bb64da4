import os
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import pytest

from handdgp_core.sources import WebcamInfo, list_webcams
from handdgp_core.sources.webcam import webcam_index
from handdgp_core.sources.webcam_faults import explain_webcam, processes_using
from handdgp_core.sources.webcam_list import stable_identity

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="imitates Linux's folders with links")


@pytest.fixture
def system(tmp_path):
    """A kernel's view of two cameras: 10 with a metadata node 11, and 2."""
    names = {"video10": "Cam: Ten", "video11": "Cam: Ten", "video2": "Cam Two"}
    for node, name in names.items():
        (tmp_path / "sys" / node).mkdir(parents=True)
        (tmp_path / "sys" / node / "name").write_text(name + "\n")
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / node).touch()
    (tmp_path / "sys" / "video99").mkdir()  # no device file
    links = tmp_path / "dev" / "v4l" / "by-id"
    links.mkdir(parents=True)
    (links / "usb-ten-index0").symlink_to("../../video10")
    return tmp_path


def listed(system, **more):
    return list_webcams(system / "sys", system / "dev", lambda path: path.name != "video11", "linux", **more)


def test_linux_names_and_identities_in_order(system):
    two, ten = listed(system)
    assert (two.index, two.name, two.path) == (2, "Cam Two", str(system / "dev" / "video2"))
    assert two.identity == two.path
    assert (ten.index, ten.name) == (10, "Cam: Ten")
    assert ten.identity == str(system / "dev" / "v4l" / "by-id" / "usb-ten-index0")


def test_identity_follows_the_link_to_another_number(system):
    link = system / "dev" / "v4l" / "by-id" / "usb-ten-index0"
    link.unlink()
    link.symlink_to("../../video2")
    assert stable_identity(system / "dev" / "video2", system / "dev") == str(link)
    assert stable_identity(system / "dev" / "video10", system / "dev") == str(system / "dev" / "video10")


def test_no_camera_at_all(tmp_path):
    assert list_webcams(tmp_path / "none", tmp_path, platform="linux") == []


def test_files_that_are_no_cameras_are_not_listed(system):
    assert list_webcams(system / "sys", system / "dev", platform="linux") == []


@dataclass(frozen=True)
class Listed:
    """What cv2_enumerate_cameras says of a camera."""

    index: int
    name: str
    path: str | None


@pytest.mark.parametrize(("platform", "api"), [("win32", cv2.CAP_DSHOW), ("darwin", cv2.CAP_AVFOUNDATION)])
def test_elsewhere_a_camera_keeps_its_identity_when_numbers_swap(monkeypatch, platform, api):
    def listed_as(*cameras):
        answer = {api: list(cameras)}
        monkeypatch.setitem(sys.modules, "cv2_enumerate_cameras", SimpleNamespace(enumerate_cameras=answer.__getitem__))
        return list_webcams(platform=platform)

    first = listed_as(Listed(0, "Left", "usb#1"), Listed(1, "Right", "usb#2"))
    assert first == [WebcamInfo(0, "Left", None, "usb#1"), WebcamInfo(1, "Right", None, "usb#2")]
    swapped = listed_as(Listed(0, "Right", "usb#2"), Listed(1, "Left", "usb#1"))
    assert {camera.identity: camera.name for camera in swapped} == {camera.identity: camera.name for camera in first}
    assert webcam_index("usb#1", lambda: swapped) == 1
    assert listed_as(Listed(0, "", None)) == [WebcamInfo(0, "camera 0", None, "0")]
    assert listed_as() == []


def explain(system, index, platform="linux", **more):
    return explain_webcam(index, listed(system), platform, system / "dev", system / "proc", **more)


def test_missing_camera_lists_the_others(system):
    error = explain(system, 0)
    assert "there is no" in error.problem and "video0" in error.problem
    assert "2 (Cam Two)" in error.hint and "10 (Cam: Ten)" in error.hint
    (system / "dev" / "video2").unlink()
    (system / "dev" / "video10").unlink()
    assert "demo" in explain(system, 0).hint


def test_busy_camera_names_who_has_it(system):
    process = system / "proc" / "4242"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("meeting\n")
    (process / "fd" / "7").symlink_to(system / "dev" / "video2")
    (system / "proc" / "self").mkdir()
    error = explain(system, 2)
    assert "in use by meeting (process 4242)" in error.problem and "Close" in error.hint
    assert processes_using(system / "dev" / "video10", system / "proc") == []


def test_own_process_is_not_blamed(system):
    fd = system / "proc" / str(os.getpid()) / "fd"
    fd.mkdir(parents=True)
    (fd / "7").symlink_to(system / "dev" / "video2")
    assert processes_using(system / "dev" / "video2", system / "proc") == []


def test_camera_that_does_not_open_for_no_visible_reason(system):
    assert "another user's program" in explain(system, 2).problem


def test_permission_denied(system, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    error = explain(system, 2)
    assert "not have permission" in error.problem and "usermod" in error.hint


@pytest.mark.parametrize(("platform", "word"), [("darwin", "Privacy & Security"), ("win32", "Privacy")])
def test_other_systems_name_their_privacy_settings(platform, word):
    error = explain_webcam(0, [WebcamInfo(1, "camera 1", None, "1")], platform)
    assert word in error.hint and "1 (camera 1)" in error.problem
