"""Recording from the window: never by itself, always visible, complete, and finished however it ends."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader

from app.live.state import Phase, Status
from app.notices import Action, Severity
from app.sessions.session_tap import PRIVATE_SETTINGS, known_settings, model_hash, recorded_settings, session_info
from app.settings import Settings, describe, load_settings
from app.window import file_dialogs as questions
from handdgp_core.sessions import SessionReader
from handdgp_core.sources.session import SessionSource
from tests.app.doubles import ScriptedEstimator, ScriptedSource, hand
from tests.handdgp_core.sessions.conftest import write_session


@pytest.fixture
def recorder(rig, tmp_path: Path):
    """The rig, recording into a folder of the test."""
    rig.store.change(recordings_folder=str(tmp_path / "takes"))
    return rig


def takes(rig) -> list[Path]:
    return sorted(Path(rig.settings.recordings_folder).glob("*"))


def record_some(rig, frames: int = 20) -> Path:
    """Record until so many frames and a result are in, then stop; the finished file."""
    window = rig.window
    window.actions_by_name["record"].trigger()
    rig.until(lambda: rig.record.recording is not None)
    recorder = rig.record.recording.recorder
    rig.until(lambda: recorder.status.frames >= frames and recorder.status.results > 0)
    window.actions_by_name["record"].trigger()
    rig.until(lambda: rig.record.recording is None)
    return recorder.path  # two of the same second do not sort by their age


def test_nothing_is_recorded_unless_asked(recorder) -> None:
    window = recorder.show()
    recorder.start()
    recorder.until(lambda: window.result is not None)
    assert not window.sessions.mark.isVisible() and not window.actions_by_name["record"].isChecked()
    window.close()
    assert takes(recorder) == []
    switches = [name for name, value in Settings() if "record" in name and isinstance(value, bool)]
    assert switches == []  # there is no setting that could start one


def test_a_recording_holds_every_frame_and_the_results_before_smoothing(recorder) -> None:
    window = recorder.show()
    recorder.start()
    recorder.until(lambda: window.result is not None and recorder.controller.status.phase is Phase.RUNNING)
    window.actions_by_name["record"].trigger()
    assert window.sessions.mark.isVisible() and "REC" in window.sessions.mark.text()
    assert window.actions_by_name["record"].text().replace("&", "") == "Stop"
    window.actions_by_name["record"].trigger()
    recorder.until(lambda: recorder.record.recording is None)
    assert not window.sessions.mark.isVisible()
    path = record_some(recorder)
    with SessionReader(path) as session:
        numbers = [session.facts_of(place).index for place in range(session.frame_count)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and len(numbers) >= 20
        assert session.closing["missed_by_source"] == "0"
        found = [session.hands(place) for place in range(session.frame_count)]
        results = [recorded for recorded in found if recorded is not None]
        assert results and results[0].model == "scripted"
        np.testing.assert_array_equal(results[0].hands[0].vertices_m, hand().vertices_m)
        assert session.facts["source"] == "scripted" and session.facts["is_live"] == "true"
        assert session.frame(0).camera is not None
    notice = window.notices.notice
    assert notice is not None and notice.action is Action.REPLAY and notice.path == path
    assert "no frame was lost" in notice.title


def test_the_file_tells_the_settings_but_nothing_private(recorder) -> None:
    recorder.store.change(
        recent_sources=("/home/somebody/private.mp4",), hand_length_enabled=True, hand_length_mm=191.0
    )
    window = recorder.show()
    recorder.start()
    recorder.until(lambda: window.result is not None)
    window.actions_by_name["record"].trigger()
    recording = recorder.record.recording
    recorder.until(lambda: recording.recorder.status.frames > 3)
    window.form.steadiness.setValue(77)
    frames = recording.recorder.status.frames
    recorder.until(lambda: recording.recorder.status.frames > frames + 3)
    window.actions_by_name["record"].trigger()
    recorder.until(lambda: recorder.record.recording is None)
    path = takes(recorder)[0]
    with SessionReader(path) as session:
        assert session.hand_length_m == pytest.approx(0.191)
        assert session.settings_at(0)["steadiness"] == 50
        assert session.settings_at(session.frame_count - 1)["steadiness"] == 77
        assert not PRIVATE_SETTINGS & session.settings_at(0).keys()
        assert session.facts["model_sha256"] == model_hash("landmarks")
    assert b"somebody" not in path.read_bytes()


def test_another_source_ends_the_recording_with_a_whole_file(recorder) -> None:
    recorder.sources["second"] = lambda: ScriptedSource(name="second")
    window = recorder.show()
    recorder.start()
    recorder.until(lambda: window.result is not None)
    window.actions_by_name["record"].trigger()
    recording = recorder.record.recording
    recorder.until(lambda: recording.recorder.status.frames > 0)
    window.open_source("second")
    recorder.until(lambda: recorder.record.recording is None)
    with SessionReader(takes(recorder)[0]) as session:
        assert session.finished and session.facts["source"] == "scripted"


def test_closing_the_window_finishes_the_file(recorder) -> None:
    window = recorder.show()
    recorder.start()
    recorder.until(lambda: window.result is not None)
    window.actions_by_name["record"].trigger()
    recording = recorder.record.recording
    recorder.until(lambda: recording.recorder.status.frames > 0)
    window.close()
    assert window.stuck_threads == []
    (path,) = takes(recorder)
    with SessionReader(path) as session:
        assert session.finished


def test_a_lossless_burst_ends_by_itself(recorder) -> None:
    recorder.store.change(burst_s=1)
    window = recorder.show()
    recorder.start()
    recorder.until(lambda: window.result is not None)
    window.actions_by_name["burst"].trigger()
    recorder.until(lambda: recorder.record.recording is None)
    with SessionReader(takes(recorder)[0]) as session:
        assert session.facts["lossless"] == "true"
        shade = 60 + (session.facts_of(0).index + 1) % 100
        assert (session.frame(0).image[:, 10:] == shade).all()
    assert "Stopped: the take of 1 s is complete" in window.notices.notice.text


def test_without_a_source_there_is_nothing_to_record(recorder) -> None:
    window = recorder.show()
    recorder.start(None)
    assert not window.actions_by_name["record"].isEnabled()
    recorder.record.start()
    assert window.notices.notice.title == "Nothing to record." and takes(recorder) == []


def test_a_folder_that_cannot_be_made_is_told(recorder, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    recorder.store.change(recordings_folder=str(tmp_path / "file" / "takes"))
    window = recorder.show()
    recorder.start()
    recorder.until(lambda: window.result is not None)
    window.actions_by_name["record"].trigger()
    assert window.notices.notice.severity is Severity.ERROR and recorder.record.recording is None
    assert not window.actions_by_name["record"].isChecked()


def test_an_unfinished_recording_is_offered_and_repaired(recorder) -> None:
    folder = Path(recorder.settings.recordings_folder)
    folder.mkdir()
    part = write_session(folder / "cut.mcap", count=20, finish=False)
    fresh = write_session(folder / "fresh.mcap", count=20, finish=False)  # another window may be writing it
    os.utime(part, (time.time() - 3600,) * 2)
    recorder.sources[str(folder / "cut.mcap")] = lambda: SessionSource(folder / "cut.mcap")
    window = recorder.show()
    recorder.start()
    window.sessions.find_unfinished()
    recorder.until(lambda: window.notices.notice is not None and window.notices.notice.action is Action.REPAIR)
    assert "cut.mcap.part" in window.notices.notice.title and window.notices.notice.path == part
    window.notices.action.click()
    recorder.until(lambda: window.notices.notice.action is Action.REPLAY)
    assert "20 frames are saved; nothing was lost" in window.notices.notice.title
    assert not part.exists() and fresh.exists()
    window.notices.action.click()
    recorder.until(lambda: recorder.playback.session is not None)
    assert recorder.playback.count == 20


def test_the_folder_and_quality_are_remembered(recorder, tmp_path: Path, monkeypatch, qtbot) -> None:
    window = recorder.show()
    recorder.start()
    monkeypatch.setattr(questions, "ask_output_folder", lambda parent, folder: str(tmp_path / "elsewhere"))
    window.actions_by_name["recordings_folder"].trigger()
    window.form.record_quality.setValue(75)
    window.close()
    kept, _ = load_settings(recorder.path)
    assert (kept.recordings_folder, kept.record_quality) == (str(tmp_path / "elsewhere"), 75)


def test_live_results_are_the_same_with_a_recording(recorder) -> None:
    """The recorder takes references and changes nothing."""
    recorder.estimator = ScriptedEstimator([replace(hand(), score=0.5)])
    window = recorder.show()
    recorder.start()
    recorder.until(lambda: window.result is not None)
    path = record_some(recorder, 5)
    assert window.result.raw_hands[0].score == 0.5
    with SessionReader(path) as session:
        place = next(place for place in range(session.frame_count) if session.hands(place))
        assert session.hands(place).hands[0].score == 0.5


# What tells about the person, or where things are on the computer: written out, not read from the program.
NEVER_RECORDED = (
    "recent_sources", "window_geometry", "window_layout", "export_folder", "snapshot_folder", "recordings_folder",
    "calibration_path", "calibration_camera", "person",
)  # fmt: skip
MAY_BE_RECORDED = {"board"}  # a text without a list of choices that belongs to a session


def everything_in(path: Path) -> bytes:
    """The bytes of a session as they lie on the disk, then all that it holds, unpacked."""
    with path.open("rb") as stream:
        reader = make_reader(stream)
        parts = [path.read_bytes()]
        parts += [message.data for _, _, message in reader.iter_messages()]
        parts += [str(entry.metadata).encode() for entry in reader.iter_metadata()]
        parts += [entry.name.encode() + entry.data for entry in reader.iter_attachments()]
    return b"\n".join(parts)


@pytest.mark.parametrize("name", NEVER_RECORDED)
def test_private_settings_are_neither_recorded_nor_taken_from_a_recording(name: str) -> None:
    assert name not in recorded_settings(Settings())
    assert name not in known_settings({name: "x", "steadiness": 5})


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("open", "open"), ("0", "0"), ("/home/ada/net.safetensors", "net.safetensors"), ("takes/", "takes"),
        (r"C:\Users\ada\net.safetensors", "net.safetensors"), ("rtsp://ada:secret@cam.local/a?key=1", "cam.local"),
    ],
)  # fmt: skip
def test_a_recording_names_files_and_hosts_without_their_places(spec: str, shown: str) -> None:
    assert recorded_settings(Settings(model=spec))["model"] == shown
    info = session_info(Settings(model=spec), Status(spec=spec, model_name=spec))
    assert (info.source, info.model) == (shown, shown)
    assert session_info(Settings(model=spec), Status(source_name="named")).source == "named"


def test_the_name_of_a_checkpoint_comes_into_no_result(recorder, tmp_path: Path) -> None:
    recorder.estimator.model_name = str(tmp_path / "secret" / "net.safetensors")
    recorder.show()
    recorder.start()
    recorder.until(lambda: recorder.window.result is not None and not recorder.window.result.preview)
    held = everything_in(record_some(recorder, 5))
    assert b"net.safetensors" in held and b"secret" not in held


def test_no_text_of_a_private_setting_is_anywhere_in_the_file(recorder, tmp_path: Path) -> None:
    texts = [
        name for name, value in Settings()
        if isinstance(value, str | tuple) and not describe(name)["choices"] and name != "scene_view"  # numbers
    ]  # fmt: skip
    private = [name for name in texts if name not in MAY_BE_RECORDED]
    for name in private:
        value = str(tmp_path / f"secret-{name}-value" / "net.safetensors")
        recorder.store.change(**{name: (value,) if isinstance(getattr(Settings(), name), tuple) else value})
    window = recorder.show()
    recorder.start()
    recorder.until(lambda: window.result is not None)
    window.actions_by_name["record"].trigger()
    recording = recorder.record.recording
    recorder.until(lambda: recording.recorder.status.frames > 3 and recording.recorder.status.results > 0)
    for name in private:  # a change while recording is written, too
        value = str(tmp_path / f"secret-{name}-later" / "net-2.safetensors")
        if name != "recordings_folder":
            recorder.store.change(**{name: (value,) if isinstance(getattr(Settings(), name), tuple) else value})
    window.form.steadiness.setValue(77)
    frames = recording.recorder.status.frames
    recorder.until(lambda: recording.recorder.status.frames > frames + 3)
    window.actions_by_name["record"].trigger()
    recorder.until(lambda: recorder.record.recording is None)
    held = everything_in(takes(recorder)[-1])
    assert b'"steadiness": 77' in held, "the test must see into the file's settings"
    assert b'"model": "net.safetensors"' in held and b'"model": "net-2.safetensors"' in held
    assert [name for name in private if f"secret-{name}".encode() in held] == []
    assert str(tmp_path).encode() not in held
