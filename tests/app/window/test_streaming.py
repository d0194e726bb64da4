"""The window's stream: off until it is started, the model's hands at the other end, a light while it lasts."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from app.live.state import Phase
from app.notices import Severity
from app.window.main_window import MainWindow
from app.window.streaming import StreamDialog
from tests.patience import WAIT_MS, WAIT_S


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(WAIT_S)
        yield opened


def uri_of(client: socket.socket) -> str:
    return f"udp://127.0.0.1:{client.getsockname()[1]}"


def arrived(client: socket.socket) -> list[bytes]:
    """What is there, without waiting."""
    client.setblocking(False)
    found: list[bytes] = []
    while True:
        try:
            found.append(client.recv(65536))
        except BlockingIOError:
            return found


def showing(rig) -> MainWindow:
    window = rig.show()
    rig.start()
    rig.until(lambda: window.result is not None and bool(window.result.hands))
    return window


def test_nothing_is_sent_until_the_switch_and_then_what_the_model_said(rig, qtbot, client: socket.socket) -> None:
    window = showing(rig)
    window.actions_by_name["stream"].trigger()
    dialog = window.findChild(StreamDialog)
    dialog.to.setPlainText(uri_of(client))
    assert not window.streaming.active and not window.status_line.stream.text()
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    client.settimeout(WAIT_S)
    dialog.switch.click()
    line = json.loads(client.recv(65536))
    assert line["type"] == "hand" and line["source"] == rig.controller.status.source_name
    assert line["model"] == "scripted" and line["camera"]["state"] == "assumed"
    assert line["sent_unix_ns"] >= line["captured_unix_ns"]
    assert window.status_line.stream.text() == "Streaming to 1" and dialog.switch.text() == "Stop"
    qtbot.waitUntil(lambda: " sent" in dialog.state.text() and " 0 sent" not in dialog.state.text(), timeout=WAIT_MS)
    dialog.switch.click()
    assert not window.streaming.active and not window.status_line.stream.text() and dialog.switch.text() == "Start"
    assert rig.settings.stream_to == uri_of(client)


def test_a_destination_that_cannot_be_used_is_told_and_nothing_runs(rig) -> None:
    window = rig.show()
    dialog = StreamDialog(window.streaming, rig.store, window)
    for text, word in (("tcp://127.0.0.1:1", "ws://"), ("udp://192.0.2.1:9", "another computer")):
        dialog.to.setPlainText(text)
        assert word in dialog.state.text()
    dialog.to.setPlainText("tcp://127.0.0.1:1")
    assert not dialog.switch.isEnabled()
    told = []
    window.streaming.notice.connect(told.append)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        dialog.to.setPlainText(f"ws://127.0.0.1:{taken.getsockname()[1]}")
        dialog.switch.click()
    assert not window.streaming.active and dialog.switch.text() == "Start"
    assert [notice.severity for notice in told] == [Severity.ERROR] and "ws://" in told[0].title


def test_a_stream_goes_on_with_another_source_beside_a_recording_and_ends_with_the_window(
    rig, client: socket.socket
) -> None:
    window = showing(rig)
    assert window.streaming.start([uri_of(client)], 0.0)
    rig.record.start()
    assert json.loads(client.recv(65536))["type"] == "hand"
    rig.record.stop()  # unties the recording alone
    rig.until(lambda: rig.record.recording is None)
    rig.controller.open_source("live")
    rig.until(lambda: len(rig.opened) == 2 and rig.controller.status.phase is Phase.RUNNING)
    arrived(client)
    rig.until(lambda: bool(arrived(client)))  # the window's events go on meanwhile
    window.close()
    assert not window.streaming.active
