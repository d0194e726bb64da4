"""Settings: round trip, damage, ranges, reset; the store that replaces them, and its overlay."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app import logs
from app.live import settings_file
from app.live.settings_file import SettingsFile
from app.live.settings_store import SettingsStore
from app.settings import (
    RECENT_SOURCES_KEPT,
    Settings,
    default_path,
    describe,
    load_settings,
    reset_settings,
    save_changes,
    save_settings,
    usable,
)
from handdgp_core.errors import OutputError, UsageError
from tests.places import TESTS

STREAM = "rtsp://me:s3cret@door.lan/live?token=s3cret"
VERSION_1 = TESTS / "data" / "settings" / "version_1.json"


def test_no_file_gives_the_defaults_without_a_word(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "none.json") == (Settings(), [])


@given(
    length=st.floats(80, 260),
    steadiness=st.integers(0, 100),
    mirror=st.booleans(),
    sources=st.lists(st.text(max_size=12), max_size=RECENT_SOURCES_KEPT),
    path=st.text(max_size=20),
)
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_saved_is_loaded(
    tmp_path: Path, length: float, steadiness: int, mirror: bool, sources: list[str], path: str
) -> None:
    kept = Settings().changed(
        hand_length_mm=length,
        steadiness=steadiness,
        mirror_webcam=mirror,
        recent_sources=sources,
        calibration_path=path,
    )
    save_settings(kept, tmp_path / "s.json")
    assert load_settings(tmp_path / "s.json") == (kept, [])


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"\xff\xfe\x00", b'"text"', b"null"])
def test_damaged_file_is_set_aside_and_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    settings, warnings = load_settings(path)
    assert settings == Settings()
    assert len(warnings) == 1 and str(tmp_path / "settings.json.damaged") in warnings[0]
    assert (tmp_path / "settings.json.damaged").read_bytes() == content
    assert not path.exists()


def test_a_second_damaged_file_does_not_replace_the_first(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    for content in ("one", "two"):
        path.write_text(content)
        load_settings(path)
    assert (tmp_path / "settings.json.damaged").read_text() == "one"
    assert (tmp_path / "settings.json.damaged-2").read_text() == "two"


@pytest.mark.parametrize(
    ("kept", "meant"),
    [
        ((175.43, 4.0), (182.5, 4.0)),  # measured on the board: of the keypoints' chain
        ((182.5, 0.0), (182.5, 3.0)),  # typed, as it was documented
        ((182.5, 3.0), (182.5, 3.0)),  # by ruler
    ],
)
def test_a_hand_length_of_the_first_version_means_the_same_hand(tmp_path: Path, kept, meant) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"version": 1, "hand_length_mm": kept[0], "hand_length_percent": kept[1]}))
    for _ in range(2):
        settings, warnings = load_settings(path)
        assert (settings.hand_length_mm, settings.hand_length_percent) == pytest.approx(meant, abs=0.01)
        assert not warnings
        save_changes({"max_hands": 1}, path)  # writes what it read as this version has it


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steadiness", 101),
        ("steadiness", -1),
        ("steadiness", 5.5),
        ("steadiness", True),
        ("max_hands", "2"),
        ("assumed_fov_deg", 1000),
        ("assumed_fov_deg", float("nan")),
        ("assumed_fov_deg", float("inf")),
        ("mirror_webcam", 1),
        ("device", "tpu"),
        ("model", 3),
        ("recent_sources", "demo"),
        ("recent_sources", [1]),
        ("theme", None),
    ],
)
def test_one_bad_value_falls_back_alone(tmp_path: Path, name: str, value: object) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"plot_span_s": 30, name: value}))
    settings, warnings = load_settings(path)
    assert getattr(settings, name) == getattr(Settings(), name)
    assert settings.plot_span_s == 30
    assert len(warnings) == 1 and f"“{describe(name)['title']}” ({name}" in warnings[0]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steadiness", 101, "expected less than or equal to 100"),
        ("device", "tpu", "expected 'auto', 'cpu' or 'cuda'"),
        ("mirror_webcam", 1, "expected a valid boolean"),
    ],
)
def test_a_wrong_value_says_what_was_expected(name: str, value: object, expected: str) -> None:
    good, complaints = usable({name: value, "max_hands": 1})
    assert good == {"max_hands": 1}
    assert len(complaints) == 1 and repr(value) in complaints[0] and expected in complaints[0]
    with pytest.raises(UsageError, match=name):
        Settings().changed(**{name: value})


def test_unknown_keys_of_another_version_are_named_and_ignored(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"version": 99, "of_the_future": {"deep": 1}, "max_hands": 1.0}))
    settings, warnings = load_settings(path)
    assert settings == Settings(max_hands=1)
    assert warnings == ["There is no setting “of_the_future”. It is ignored."]


def test_a_file_of_the_first_version_loads_whole() -> None:
    settings, warnings = load_settings(VERSION_1)
    assert not warnings
    old = {**json.loads(VERSION_1.read_text()), "recent_sources": ("demo", "0", "/home/ada/clip.mp4")}
    assert {**dict(Settings()), **old} == {"version": 1, **dict(settings)}
    assert settings.hand_length_mm == 190.5 and settings.theme == "dark" and settings.max_hands == 1


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().max_hands = 1


def test_every_field_explains_itself_and_its_default_is_in_range() -> None:
    for name, value in Settings():
        about = describe(name)
        assert about["title"] and about["description"].endswith(".")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            assert about["low"] <= value <= about["high"]
        if about["choices"]:
            assert value in about["choices"]
    assert describe("device")["choices"] == ("auto", "cpu", "cuda") and describe("plot_span_s")["unit"] == "s"


def test_recent_sources_are_unique_newest_first_and_few() -> None:
    settings = Settings()
    for spec in ["a", "b", "a", *(str(number) for number in range(20))]:
        settings = settings.changed(recent_sources=settings.recent_with(spec))
    assert settings.recent_sources == tuple(str(number) for number in range(19, 19 - RECENT_SOURCES_KEPT, -1))
    recent = settings.recent_with("15")
    assert recent[:2] == ("15", "19") and len(set(recent)) == RECENT_SOURCES_KEPT


def test_what_opens_a_stream_is_not_kept() -> None:
    settings = Settings(recent_sources=("rtsp://door.lan/live", "0", "http://a:s3cret@b/c"))
    assert settings.recent_with(STREAM) == ("rtsp://door.lan/live", "0", "http://b/c")


def test_a_change_replaces_the_value_and_tells_once() -> None:
    store, told = SettingsStore(Settings()), list[Settings]()
    store.changed.connect(lambda: told.append(store.current))
    before = store.current
    store.change(max_hands=1, steadiness=80)
    store.change(max_hands=1)
    assert told == [store.own] and (store.own.max_hands, store.own.steadiness) == (1, 80) and before == Settings()


def test_a_refused_change_changes_nothing() -> None:
    store = SettingsStore(Settings())
    store.lay_over(max_hands=1)
    with pytest.raises(UsageError, match="Smoothing"):
        store.change(max_hands=2, steadiness=101)
    with pytest.raises(UsageError, match="nonsense"):
        store.lay_over(max_hands=2, nonsense=1)
    assert store.current == Settings(max_hands=1) and store.own == Settings()


def test_under_an_overlay_a_change_is_a_trial_and_any_other_setting_is_the_users_own() -> None:
    store = SettingsStore(Settings(steadiness=33))
    store.lay_over(steadiness=80, hand_length_mm=200.0)
    assert store.current == Settings(steadiness=80, hand_length_mm=200.0) and store.own == Settings(steadiness=33)
    store.change(steadiness=10, max_hands=1)
    assert store.current == Settings(steadiness=10, hand_length_mm=200.0, max_hands=1)
    store.lay_over(hand_length_mm=150.0)
    assert (store.current.steadiness, store.current.hand_length_mm) == (10, 150.0)
    store.drop_overlay()
    assert store.current == store.own == Settings(steadiness=33, max_hands=1)


def test_reset_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    assert reset_settings(path) is None
    save_settings(Settings(max_hands=1), path)
    kept = reset_settings(path)
    assert kept is not None and json.loads(kept.read_text())["max_hands"] == 1
    assert load_settings(path) == (Settings(), [])


def test_a_place_that_cannot_be_written_names_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="Move that file away"):
        save_settings(Settings(), tmp_path / "file" / "s.json")


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDDGP_SETTINGS", str(tmp_path / "mine.json"))
    assert default_path() == tmp_path / "mine.json"
    save_settings(Settings())
    assert (tmp_path / "mine.json").exists()


def test_a_change_is_written_soon_and_survives_a_kill(qtbot, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    store = SettingsStore(Settings())
    file = SettingsFile(store, path)
    store.change(max_hands=1)
    store.change(hand_length_mm=187.256)
    qtbot.waitUntil(lambda: load_settings(path)[0] == Settings(max_hands=1, hand_length_mm=187.256), timeout=60_000)
    file.save()
    assert list(tmp_path.iterdir()) == [path], "nothing is left beside it"


def test_a_slow_disk_never_holds_the_window_and_changes_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, written = threading.Event(), list[tuple[str, dict[str, object]]]()

    def slow(changed: dict[str, object], path: Path) -> None:
        disk.wait()
        written.append((threading.current_thread().name, dict(changed)))

    monkeypatch.setattr(settings_file, "save_changes", slow)
    store = SettingsStore(Settings())
    file = SettingsFile(store, tmp_path / "s.json")
    for steadiness in (60, 70, 80):
        store.change(steadiness=steadiness)
        file.begin()  # returns though the disk takes nothing
    assert not written
    disk.set()
    file.save()
    assert [changed for _, changed in written] == [{"steadiness": value} for value in (60, 70, 80)]
    assert threading.main_thread().name not in {name for name, _ in written}


def test_two_windows_keep_each_others_changes(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    one, other = (SettingsStore(Settings()) for _ in range(2))
    files = [SettingsFile(one, path), SettingsFile(other, path)]
    one.change(max_hands=1)
    files[0].save()
    other.change(steadiness=80, theme="dark")
    files[1].save()
    one.change(plot_span_s=30)
    files[0].save()
    assert load_settings(path)[0] == Settings(max_hands=1, steadiness=80, theme="dark", plot_span_s=30)


def test_a_setting_put_back_to_its_default_is_written_too(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    save_settings(Settings(max_hands=1), path)
    store = SettingsStore(Settings(max_hands=1))
    file = SettingsFile(store, path)
    store.change(max_hands=2)
    file.save()
    assert load_settings(path)[0] == Settings()


def test_what_a_recording_lays_over_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    store = SettingsStore(Settings())
    file = SettingsFile(store, path)
    store.lay_over(steadiness=80)
    store.change(steadiness=90, max_hands=1)
    file.save()
    assert load_settings(path)[0] == Settings(max_hands=1)


def test_what_the_command_line_gave_is_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    SettingsFile(SettingsStore(Settings(model="landmarks"), Settings()), path).save()
    assert load_settings(path)[0] == Settings(model="landmarks")


def test_settings_that_cannot_be_written_are_told_once_and_tried_again(qtbot, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store, told = SettingsStore(Settings()), list[Exception]()
    file = SettingsFile(store, tmp_path / "file" / "s.json")
    file.failed.connect(told.append)
    for count in (1, 2, 1):
        store.change(max_hands=count)
        file.save()
    qtbot.waitUntil(lambda: len(told) > 0)
    assert len(told) == 1 and isinstance(told[0], OutputError)
    (tmp_path / "file").unlink()
    file.save()
    assert load_settings(tmp_path / "file" / "s.json")[0] == Settings(max_hands=1)


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "[" * 100_000, "9" * 5000, '{"nonsense": 1, "max_hands": 7, "theme": "dark"}']
)
def test_changes_are_written_over_any_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(content)
    save_changes({"steadiness": 80}, path)
    settings, warnings = load_settings(path)
    assert settings.steadiness == 80 and not warnings
    assert (settings.theme == "dark") is ("theme" in content)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"board": ' + "[" * 900 + "1" + "]" * 900 + "}",
        '{"webcam_fps": ' + "9" * 5000 + "}",
        '{"webcam_fps": ' + "9" * 400 + "}",
        '{"webcam_width": 1e308, "webcam_fps": 1e999, "theme": NaN}',
        '{"person": "\\ud800", "recent_sources": ["\\ud800"]}',
        '{"\\ud800": 1}',
        '{"' + "x" * 2_000_000 + '": 1}',
        '{"recent_sources": [' + ",".join("1" * 100_000) + "]}",
    ],
    ids=range(10),
)
def test_settings_of_no_use_give_the_defaults_and_a_notice(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    found, notices = load_settings(path)
    assert found == Settings() and notices
    assert all(len(notice.encode()) < 600 for notice in notices)
    save_settings(found, path)
    assert load_settings(path) == (Settings(), [])


def test_a_folder_or_a_pipe_under_its_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "folder", tmp_path / "pipe"):
        found, notices = load_settings(path)
        assert found == Settings() and len(notices) == 1 and str(path) in notices[0]
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


def test_settings_and_logs_are_for_their_owner_alone(tmp_path: Path) -> None:
    save_settings(Settings(), tmp_path / "settings.json")
    save_changes({"max_hands": 1}, tmp_path / "settings.json")
    handler = logs.start_logging(tmp_path)
    logging.getLogger("app").warning("lost %s", STREAM)
    assert handler is not None
    logs.stop_logging(handler)
    for name in ("settings.json", "handdgp.log"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert (tmp_path / "handdgp.log").read_text().endswith("lost rtsp://door.lan/live\n")
