"""`export`, `repair` and `replay` from the command line, on real files."""

from __future__ import annotations

import csv
import json
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pygltflib
import pytest
import trimesh

from app.cli.main import main
from app.cli.options import BAD_INPUT, CANCELLED, DONE
from handdgp_core.hands.palm import distance_std_m
from handdgp_core.sessions.codec import RecordedHands
from handdgp_core.sessions.reader import DamagedFrame, SessionReader
from tests.handdgp_core.sessions.conftest import hands_of, write_session

COUNT = 15


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return write_session(tmp_path / "take.mcap", count=COUNT)


def placed(number: int) -> int:
    """Hands with a mesh that `write_session` gave a frame."""
    return 0 if number % 7 == 6 else sum(hand.degenerate is None for hand in hands_of(number))


def test_every_format_opens_again(session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    formats = "obj,ply,glb,csv,npz,video,freihand,foxglove-scene"
    assert main(["export", str(session), "--format", formats, "--output", str(out)]) == DONE
    said = " ".join(capsys.readouterr().err.split())
    assert "2 frames without a recorded result" in said and "15 frames" in said
    meshes = {f"hand_{number:06d}" for number in range(COUNT) if placed(number)}
    assert {path.stem for path in (out / "obj").iterdir()} == {path.stem for path in (out / "ply").iterdir()} == meshes
    loaded = trimesh.load(out / "obj" / "hand_000001.obj", process=False, force="mesh")
    np.testing.assert_allclose(loaded.vertices, hands_of(1)[0].vertices_m, atol=1e-6)  # metres
    glb = pygltflib.GLTF2().load(str(out / "hands.glb"))
    assert {node.name for node in glb.nodes} == {"camera", "right hand", "left hand"}
    animation = glb.animations[0]
    shown = next(channel for channel in animation.channels if channel.target.path == "scale")
    times = glb.accessors[animation.samplers[shown.sampler].input]
    assert times.count == COUNT and times.max == pytest.approx([(COUNT - 1) * 0.033], abs=1e-4)
    with open(out / "hands.csv") as file:
        rows = list(csv.DictReader(file))
    recorded = [hand for n in range(COUNT) if n % 7 != 6 for hand in hands_of(n)]
    assert len(rows) == len(recorded)
    stds_m = np.array([distance_std_m(hand) for hand in recorded])
    assert np.isfinite(stds_m).any() and np.isnan(stds_m).any()
    np.testing.assert_allclose([float(row["distance_std_m"] or "nan") for row in rows], stds_m, rtol=1e-6)
    with np.load(out / "predictions.npz") as table:
        np.testing.assert_allclose(table["distance_std_m"], stds_m, rtol=1e-6)
        covariances_m2 = [hand.root_covariance_m2 for hand in recorded]
        np.testing.assert_allclose(table["root_covariance_m2"], covariances_m2, rtol=1e-6)
        np.testing.assert_array_equal(table["frame_index"][:3], [1, 2, 2])
    assert cv2.VideoCapture(str(out / "overlay.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == COUNT
    assert len(json.loads((out / "freihand" / "training_xyz.json").read_text())) == sum(map(placed, range(COUNT)))
    assert (out / "scene.mcap").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export", "{session}", "--format", "fbx", "--output", "{out}"], "fbx"),
        (["export", "{session}", "--format", "", "--output", "{out}"], "none"),
        (["export", "demo", "--format", "obj", "--output", "{out}"], "process"),
        (["export", "{session}", "--format", "obj", "--output", "{out}", "--hand-length-mm", "180"], "--model"),
        (["export", "missing.mcap", "--format", "obj", "--output", "{out}"], "missing.mcap"),
        (["repair", "missing.mcap.part"], "missing.mcap.part"),
        (["replay", "missing.mcap"], "missing.mcap"),
    ],
)
def test_bad_usage(
    arguments: list[str], said: str, session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert main([argument.format(session=session, out=tmp_path / "out") for argument in arguments]) == BAD_INPUT
    assert said in " ".join(capsys.readouterr().err.split())


def test_replay_without_a_display_says_what_to_do(
    session: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.cli.replay.has_display", lambda: False)
    assert main(["replay", str(session)]) == BAD_INPUT
    assert "export SESSION" in capsys.readouterr().err


def test_cancelling_keeps_what_is_done(session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.cli import export as command

    def cancel_after_four(source, stop, on_wait):
        assert isinstance(stop, threading.Event)
        for _ in range(4):
            yield source.read()
        stop.set()

    monkeypatch.setattr(command, "frames", cancel_after_four)
    assert main(["export", str(session), "--format", "npz,glb", "--output", str(tmp_path / "out")]) == CANCELLED
    with np.load(tmp_path / "out" / "predictions.npz") as table:
        assert table["frame_index"].max() == 2
    assert (tmp_path / "out" / "hands.glb").exists()


def test_repair_tells_what_was_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = write_session(tmp_path / "cut.mcap", count=20, finish=False)
    assert main(["repair", str(part)]) == DONE
    assert "20 frames are saved; nothing was lost" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "cut.mcap").exists() and not part.exists()


def test_a_damaged_result_costs_its_hands_alone(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = SessionReader.hands

    def damaged(reader: SessionReader, number: int) -> RecordedHands | None:
        if number == 3:
            raise DamagedFrame("Frame 3 is damaged.")
        return whole(reader, number)

    monkeypatch.setattr(SessionReader, "hands", damaged)
    assert main(["export", str(session), "--format", "npz", "--output", str(tmp_path / "out")]) == DONE
    with np.load(tmp_path / "out" / "predictions.npz") as predictions:
        found = set(predictions["frame_index"].tolist())
    assert 3 not in found and {2, 4} <= found
    assert "1 frame with a damaged result, exported without hands." in capsys.readouterr().err


def test_replay_refuses_a_pipe_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.cli.replay.has_display", lambda: True)
    os.mkfifo(tmp_path / "take.mcap")
    assert main(["replay", str(tmp_path / "take.mcap")]) == BAD_INPUT
    assert "it is a pipe" in capsys.readouterr().err
