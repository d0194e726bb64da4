"""`stream` end to end: a clip of a painted hand, read by a client at the other end."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.cli.main import main
from app.cli.options import BAD_INPUT, DONE
from handdgp_core.geometry.camera import Camera
from tests.painted_hand import paint_hand, write_clip
from tests.patience import WAIT_S

CAMERA = Camera.assumed(640, 480, 60)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    painted = [paint_hand(CAMERA, "right", (0.0, 0.09, 0.4 + 0.01 * step))[0] for step in range(6)]
    return write_clip(tmp_path_factory.mktemp("clip") / "hand.avi", painted)


def test_the_hands_of_a_clip_arrive_with_camera_and_times(clip: Path, tmp_path: Path) -> None:
    replace(CAMERA, source="calibrated", name="desk").save(tmp_path / "camera.yaml")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.settimeout(WAIT_S)
        to = f"udp://127.0.0.1:{client.getsockname()[1]}"
        arguments = ["stream", str(clip), "--to", to, "--calibration", str(tmp_path / "camera.yaml"), "--limit", "4"]
        assert main([*arguments, "--hand-length-mm", "180"]) == DONE
        lines = []
        client.settimeout(0.2)
        while True:
            try:
                lines.append(json.loads(client.recv(65536)))
            except TimeoutError:
                break
    assert lines and {line["camera"]["state"] for line in lines} == {"calibrated"}
    assert all(line["hand"]["side"] == "right" and 0.2 < line["hand"]["distance_m"] < 0.8 for line in lines)
    assert lines[0]["hand_length"] == {"measured": True, "mm": pytest.approx(180)}
    assert all(0 < line["sent_unix_ns"] - line["captured_unix_ns"] < WAIT_S * 1e9 for line in lines)
    assert np.isfinite(lines[-1]["hand"]["wrist"]["position_m"]).all()


def test_without_a_destination_or_with_a_wrong_one_nothing_is_opened(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "demo"]) == BAD_INPUT
    assert "--to" in capsys.readouterr().err
    assert main(["stream", "demo", "--to", "tcp://127.0.0.1:1"]) == BAD_INPUT
    assert "ws://" in capsys.readouterr().err
