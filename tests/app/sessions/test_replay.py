"""Replay in the window: recorded, re-run, both; the transport bar; settings of the time of capture; comparison."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt

from app.live.frame_result import PipelineOptions
from app.live.pipeline import HandPipeline
from app.live.replay_view import ReplayMode, ReplayView
from app.live.state import Phase
from app.sessions.rerun import DifferenceTable, RerunWorker, comparison_picture
from app.settings import load_settings, save_settings
from app.viewport.protocol import SceneState
from handdgp_core.evaluation.differences import differences
from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions import RecordedHands, SessionInfo, SessionReader, SessionWriter
from handdgp_core.sources.pacing import PacedSource
from handdgp_core.sources.session import SessionSource
from handdgp_core.types import Hand
from tests.app.doubles import HEIGHT, WIDTH, ScriptedEstimator, degenerate_hand, frame, hand
from tests.handdgp_core.sessions.conftest import OPTIONS
from tests.patience import WAIT_S

COUNT = 30
CAMERA = Camera.assumed(WIDTH, HEIGHT, 75.0)
MEASURED = replace(CAMERA, source="calibrated", name="measured")


def write(path: Path, camera: Camera = CAMERA, **settings: object) -> Path:
    """A session whose recorded hand is 1 mm farther in each frame; each tenth frame has no result."""
    kept = {"steadiness": 80, "hand_length_enabled": True, "hand_length_mm": 200.0, "assumed_fov_deg": 75.0, **settings}
    with SessionWriter(path, SessionInfo(source="test", model="other", settings=kept), OPTIONS) as writer:
        for index in range(COUNT):
            shown = frame(index, shade=60 + index)
            writer.add_frame(shown, camera)
            if index % 10 != 9:
                writer.add_hands(shown, RecordedHands([hand(0.3 + 0.001 * index)], camera, "other", 7.0))
            if index == 15:
                writer.add_settings({**kept, "steadiness": 20})
    return path


@pytest.fixture
def player(rig, tmp_path: Path):
    """The rig with a session that can be opened as "take"; smoothing off, so that numbers can be compared."""
    path = write(tmp_path / "take.mcap", smoothing_enabled=False)
    rig.sources["take"] = lambda: SessionSource(path)
    return rig


def opened(rig):
    window = rig.show()
    rig.start("take")
    rig.until(lambda: window.result is not None and rig.controller.status.phase is Phase.RUNNING)
    rig.until(lambda: not window.result.preview)
    return window


def show_frame(rig, window, index: int):
    """Stand still at this frame."""
    rig.controller.pause()
    rig.playback.seek(index)
    rig.until(lambda: window.result is not None and window.result.frame.index == index)
    return window.result


def test_recorded_results_are_shown_without_asking_the_model(player) -> None:
    window = opened(player)
    result = show_frame(player, window, 12)
    np.testing.assert_array_equal(result.raw_hands[0].vertices_m, hand(0.312).vertices_m)
    assert result.camera == CAMERA and result.inference_ms == 7.0 and result.recorded is None
    assert player.estimator.calls == 0


def test_a_frame_that_the_model_skipped_shows_the_last_result_and_says_so(player) -> None:
    window = opened(player)
    kept = show_frame(player, window, 19)  # nothing was recorded there
    assert kept.frames_ago == 1
    np.testing.assert_array_equal(kept.raw_hands[0].vertices_m, hand(0.318).vertices_m)
    player.until(lambda: window.status_line.inference.text() == "result from 1 frame earlier")
    notice = window._saver.export_mesh(kept)
    assert notice is not None and "no recorded result" in notice.title
    window.motion.clear()
    window.motion.add(kept)
    assert not len(window.motion.history.motion["right"].rows)
    window.motion.add(show_frame(player, window, 18))
    assert len(window.motion.history.motion["right"].rows) == 1
    assert show_frame(player, window, 18).frames_ago == 0


def test_a_result_is_held_for_a_quarter_of_a_second_alone(tmp_path: Path) -> None:
    path = tmp_path / "gap.mcap"
    with SessionWriter(path, SessionInfo(source="test", model="other", settings={}), OPTIONS) as writer:
        for index in range(20):
            shown = frame(index)
            writer.add_frame(shown, CAMERA)
            if index == 1:
                writer.add_hands(shown, RecordedHands([hand(0.3)], CAMERA, "other", 7.0))
    with SessionReader(path) as session:
        view = ReplayView(session)
        ages = [view.latest(frame(index)) for index in range(20)]
    step_ns = frame(1).stamp_ns - frame(0).stamp_ns
    held = 250_000_000 // step_ns
    assert ages[0] == (None, 0)
    assert [ago for _, ago in ages[1 : 2 + held]] == list(range(1 + held))
    assert all(said is not None for said, _ in ages[1 : 2 + held])
    assert ages[2 + held :] and all(age == (None, 0) for age in ages[2 + held :])


def test_a_frame_without_any_result_is_not_called_one_without_a_hand(rig, tmp_path: Path) -> None:
    path = tmp_path / "gap.mcap"
    with SessionWriter(path, SessionInfo(source="test", model="other", settings={}), OPTIONS) as writer:
        for index in range(20):
            writer.add_frame(frame(index), CAMERA)
        writer.add_hands(frame(0), RecordedHands([], CAMERA, "other", 7.0))  # the model saw no hand here
    rig.sources["take"] = lambda: SessionSource(path)
    window = opened(rig)
    scenes: list[SceneState] = []
    window.scene._viewport.set_scene = scenes.append
    assert show_frame(rig, window, 19).unrecorded
    rig.until(lambda: window.camera.view.message[0] == "No result was recorded for this frame")
    assert "Complete results" in window.camera.view.message[1]
    assert scenes[-1].note == "No result was recorded for this frame"
    assert not show_frame(rig, window, 0).unrecorded
    rig.until(lambda: window.camera.view.message[0] == "Paused")
    assert scenes[-1].note == ""


def test_rerun_runs_the_model_on_the_recorded_pictures_with_the_recorded_camera(player) -> None:
    window = opened(player)
    player.playback.set_mode(ReplayMode.RERUN)
    show_frame(player, window, 12)
    player.until(lambda: window.result.raw_hands and window.result.raw_hands[0].root_m[2] == hand().root_m[2])
    assert player.estimator.hand_length_m == pytest.approx(0.2)  # as it was recorded
    np.testing.assert_allclose(player.estimator.cameras[-1].matrix, CAMERA.matrix)
    window.form.hand_length_mm.setValue(150.0)
    player.until(lambda: player.estimator.hand_length_m == 0.15)
    window.form.assumed_fov_deg.setValue(50.0)  # the recorded camera was a guess, so another may be tried
    player.until(lambda: player.estimator.cameras[-1] == Camera.assumed(WIDTH, HEIGHT, 50.0))


def test_another_calibration_goes_before_a_recorded_one(player, tmp_path: Path) -> None:
    player.sources["take"] = lambda: SessionSource(path)
    path = write(tmp_path / "measured.mcap", MEASURED)
    window = opened(player)
    player.playback.set_mode(ReplayMode.RERUN)
    show_frame(player, window, 3)
    player.until(lambda: bool(player.estimator.cameras) and player.estimator.cameras[-1] == MEASURED)
    assert window.form.calibration.placeholderText() == "as recorded: measured"
    other = Camera(WIDTH, HEIGHT, np.array([[99.0, 0, 80], [0, 99.0, 60], [0, 0, 1]]), name="other")
    other.save(tmp_path / "other.yaml")
    window.load_calibration(str(tmp_path / "other.yaml"))
    player.until(lambda: player.estimator.cameras[-1] == other)


def test_both_are_in_the_picture_the_scene_and_the_plot(player) -> None:
    from app.viewport.protocol import SceneState

    window = opened(player)
    plain = show_frame(player, window, 12).picture.copy()
    player.playback.set_mode(ReplayMode.BOTH)
    assert window.sessions.dock.isVisible()
    player.until(lambda: window.result.recorded is not None and window.result.frame.index == 12)
    result = window.result
    np.testing.assert_array_equal(result.recorded[0].vertices_m, hand(0.312).vertices_m)
    np.testing.assert_array_equal(result.raw_hands[0].vertices_m, hand().vertices_m)
    assert (result.picture != plain).any()
    scene = SceneState.from_hands(result.hands, result.camera, 0, recorded=result.recorded)
    assert [shown.recorded for shown in scene.hands] == [False, True]
    assert len(scene.hands[1].faces) == -(-len(result.recorded[0].faces) // 2)
    table = window.sessions.comparison.table.values
    assert table[12, 1, 0] == pytest.approx(2.0) and table[12, 1, 1] == pytest.approx(2.0)  # 314 against 312 mm
    assert np.isnan(table[12, 0]).all() and "roots 2.0 mm apart" in window.sessions.comparison.caption.text()
    player.until(lambda: window.sessions.comparison.picture is not None)
    window.sessions.comparison.save.click()
    player.until(lambda: window.notices.notice is not None and window.notices.notice.title == "Comparison saved.")
    assert (Path(player.settings.snapshot_folder) / "take-comparison-000012.png").read_bytes().startswith(b"\x89PNG")
    panel = window.sessions.comparison
    assert panel.named.text() == "Frame 12"
    for index in (14, 15, 17):  # faster than pictures are made
        show_frame(player, window, index)
    player.until(lambda: panel.named.text() == "Frame 17" and panel.picture is not None)
    assert panel.frame == 17
    show_frame(player, window, 19)
    player.until(lambda: panel.named.text() == "Frame 19: no recorded result beside a re-run one.")
    assert panel.picture is None and not panel.save.isEnabled(), "nothing of another frame is left"
    player.controller.open_source("live")
    player.until(lambda: not window.sessions.dock.isVisible())


def test_the_form_shows_the_settings_of_the_time_of_capture_and_gives_ones_own_back(player) -> None:
    player.store.change(steadiness=33, hand_length_mm=170.0)
    window = opened(player)
    show_frame(player, window, 3)
    player.until(lambda: window.form.steadiness.value() == 80)
    assert window.form.hand_length_enabled.isChecked() and window.form.hand_length_mm.value() == 200.0
    show_frame(player, window, 20)
    player.until(lambda: window.form.steadiness.value() == 20)
    window.open_source("live")
    player.until(lambda: player.controller.status.spec == "live" and player.controller.status.phase is Phase.RUNNING)
    assert window.form.steadiness.value() == 33 and not window.form.hand_length_enabled.isChecked()
    assert player.controller.options.hand_length_m is None and player.controller.options.replay is None
    assert window.form.calibration.placeholderText() == "none"


def test_the_settings_file_never_holds_what_a_recording_brought(player) -> None:
    player.store.change(hand_length_mm=170.0)
    own = player.store.own
    save_settings(own, player.path)
    before = player.path.read_bytes()
    window = opened(player)
    player.until(lambda: window.form.hand_length_mm.value() == 200.0)
    assert player.settings.steadiness == 80
    assert player.path.read_bytes() == before  # what a killed program leaves
    window.form.steadiness.setValue(11)  # tried out on the recording
    window.form.mesh_opacity.setValue(30)  # no matter of the recording
    assert (player.settings.steadiness, player.settings.mesh_opacity) == (11, 30)
    window.close()
    kept, warnings = load_settings(player.path)
    places = {name: getattr(kept, name) for name in ("window_geometry", "window_layout", "recent_sources")}
    assert not warnings and kept == own.changed(mesh_opacity=30, **places)


def test_a_recorded_value_that_is_out_of_range_is_not_laid_over(player, tmp_path: Path) -> None:
    path = write(tmp_path / "odd.mcap", max_hands=9, assumed_fov_deg="wide", window_layout="AAAA")
    player.sources["take"] = lambda: SessionSource(path)
    player.store.change(max_hands=1, assumed_fov_deg=66.0)
    opened(player)
    assert (player.settings.max_hands, player.settings.assumed_fov_deg) == (1, 66.0)
    assert player.settings.hand_length_mm == 200.0 and player.settings.window_layout == ""


def test_a_recording_that_cannot_be_taken_over_is_stopped_and_told(player, monkeypatch) -> None:
    def broken(session: SessionReader, index: int) -> dict[str, object]:
        raise RuntimeError("no settings there")

    player.store.change(steadiness=33)
    monkeypatch.setattr(SessionReader, "settings_at", broken)
    controller, window = player.controller, player.show()
    player.start("take")
    player.until(lambda: controller.status.phase is Phase.FAILED)
    assert controller.source is None and controller.options.replay is None and player.playback.session is None
    assert player.settings == player.store.own and player.settings.steadiness == 33
    assert "no settings there" in window.notices.notice.title + window.notices.notice.details
    player.until(lambda: "capture" not in {thread.name for thread in threading.enumerate()})
    monkeypatch.undo()
    controller.retry()
    player.until(lambda: controller.status.phase is Phase.RUNNING and player.playback.session is not None)
    assert player.settings.steadiness == 80


def test_playing_stepping_and_repeating_a_part(player) -> None:
    window = opened(player)
    replay, actions, bar = player.playback, window.actions_by_name, window.sessions.transport
    assert bar.isVisible() and replay.count == COUNT
    show_frame(player, window, 10)
    actions["step_back"].trigger()
    player.until(lambda: window.result.frame.index == 9)
    actions["step"].trigger()
    actions["step"].trigger()
    player.until(lambda: window.result.frame.index == 11)
    actions["mark_b"].trigger()
    show_frame(player, window, 8)
    actions["mark_a"].trigger()
    assert replay.part == (8, 11) and actions["loop"].isChecked() and replay.player.loop == (8, 11)
    bar.speed.setCurrentIndex(bar.speed.findData(8.0))
    bar.speed.activated.emit(bar.speed.currentIndex())
    assert replay.player.speed == 8.0
    seen = set()
    window.camera.view.shown.connect(lambda: seen.add(window.result.frame.index if window.result else -1))
    actions["pause"].trigger()
    player.until(lambda: len(seen) >= 3)
    actions["pause"].trigger()
    assert seen <= {8, 9, 10, 11}
    bar.clear.click()
    assert replay.part == (None, None) and replay.player.loop == (0, COUNT - 1)
    actions["loop"].trigger()
    assert replay.player.loop is None


def test_a_recording_stands_at_its_end_and_plays_again(player, tmp_path: Path) -> None:
    path = write(tmp_path / "short.mcap")
    controller = player.controller
    controller._open_source = lambda spec, settings: PacedSource(SessionSource(path), hold_at_end=True)
    window = opened(player)
    player.playback.seek(COUNT - 2)
    player.until(lambda: controller.status.phase is Phase.PAUSED)  # found by the window's own timer
    assert window.result.frame.index == COUNT - 1 and window.actions_by_name["pause"].text().replace("&", "") == "Play"
    window.actions_by_name["pause"].trigger()
    player.until(lambda: window.result.frame.index < COUNT - 2)
    assert controller.status.phase is Phase.RUNNING


def test_dragging_seeks_and_hovering_shows_a_small_picture(player, qtbot) -> None:
    window = opened(player)
    bar = window.sessions.transport
    player.controller.pause()
    for index in (20, 5):
        place = QPoint(round(bar.track.x_of(index)), 15)
        assert bar.track.index_at(place.x()) == index
        qtbot.mousePress(bar.track, Qt.MouseButton.LeftButton, pos=place)
        qtbot.mouseRelease(bar.track, Qt.MouseButton.LeftButton, pos=place)
        player.until(lambda index=index: window.result.frame.index == index)
    player.until(lambda: f"frame 5 of {COUNT}" in bar.time.text())
    bar.track.hovered.emit(17, bar.track.x_of(17))
    empty = bar.popup.pixmap().height()
    player.until(lambda: bar.popup.pixmap().height() > empty)
    bar.track.left.emit()
    assert not bar.popup.isVisible()


def test_a_recording_cannot_be_recorded_again(player) -> None:
    window = opened(player)
    assert not window.actions_by_name["record"].isEnabled() and not player.record.can_record
    assert window.actions_by_name["step"].isEnabled()


def test_all_frames_are_compared_in_the_background_and_it_can_be_cancelled(player) -> None:
    player.estimator = ScriptedEstimator()
    window = opened(player)
    panel = window.sessions.comparison
    panel.run.click()
    assert panel.cancel.isVisibleTo(panel)
    player.until(lambda: not panel.cancel.isVisibleTo(panel))
    roots = panel.table.values[:, 1, 0]
    wanted = [abs(14.0 - index) if index % 10 != 9 else np.nan for index in range(COUNT)]
    np.testing.assert_allclose(roots, wanted, atol=1e-9)
    assert "27 frames:" in panel.caption.text()
    window.form.hand_length_mm.setValue(111.0)  # another question: what was found no longer holds
    assert np.isnan(panel.table.values).all()
    player.estimator = ScriptedEstimator(slow_s=0.2)
    panel.run.click()
    panel.cancel.click()
    assert panel.run.isVisibleTo(panel)


def test_a_model_that_cannot_be_loaded_is_told(player) -> None:
    window = opened(player)
    player.estimator = RuntimeError("no such model")
    window.sessions.comparison.run.click()
    player.until(lambda: window.notices.notice is not None and "no such model" in window.notices.notice.title)


def test_a_damaged_result_is_none_and_a_damaged_setting_is_skipped(tmp_path: Path, monkeypatch) -> None:
    path = write(tmp_path / "take.mcap")
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xd8\xff") + 40] ^= 1
    path.write_bytes(data)
    with SessionReader(path) as session:
        assert ReplayView(session).recorded(frame(0)) is None


def test_a_seek_backwards_starts_tracking_again(tmp_path: Path) -> None:
    path = write(tmp_path / "take.mcap")
    estimator = ScriptedEstimator()
    pipeline = HandPipeline(estimator)
    with SessionReader(path) as session:
        options = PipelineOptions(replay=ReplayView(session, ReplayMode.RERUN))
        for index in (3, 4, 4, 2, 3):  # the same frame again is a redraw
            pipeline.process(options.cameras().choose(session.frame(index)), options)
    assert estimator.resets == 1


def turned(side: str, shift_m: float) -> Hand:
    made = hand(0.4, side)
    shift = np.array([0.0, 0.0, shift_m])
    return replace(
        made, vertices_m=made.vertices_m + shift, keypoints_m=made.keypoints_m + shift, root_m=made.root_m + shift
    )


def test_differences_pair_sides_and_flag_what_has_no_place() -> None:
    found = differences([turned("right", 0.0), turned("left", 0.0)], [turned("left", 0.01)])
    assert [entry.side for entry in found] == ["left"]
    assert (found[0].root_mm, found[0].depth_mm, found[0].keypoints_mm) == pytest.approx((10, 10, 10))
    assert found[0].shape_mm == pytest.approx(0.0, abs=1e-9)
    table = DifferenceTable(3)
    assert table.summary() == ""
    table.put(1, differences([hand()], [degenerate_hand()]))
    assert np.isnan(table.values).all() and table.summary() == ""


def test_pictures_of_a_comparison_have_one_row_a_side() -> None:
    camera = Camera(160, 120, np.array([[140.0, 0, 80], [0, 140.0, 60], [0, 0, 1]]), [-0.2, 0.05, 0, 0, 0])
    pair = [turned("right", 0.0), turned("left", 0.0)]
    picture = comparison_picture(frame(), camera, pair, [turned("right", 0.02), turned("left", 0.02)], 120)
    assert picture is not None and picture.shape[0] == 240
    assert comparison_picture(frame(), camera, pair, [degenerate_hand()]) is None
    assert comparison_picture(frame(), camera, [], pair) is None


def test_a_run_over_all_frames_stops_when_asked(tmp_path: Path) -> None:
    told = []
    with SessionReader(write(tmp_path / "take.mcap")) as session:
        slow = ScriptedEstimator(slow_s=0.02)
        worker = RerunWorker(ReplayView(session), lambda: slow, PipelineOptions(), told.append)
        worker.start()
        worker.request_stop()
        assert worker.join(WAIT_S)
    assert told[-1].ended and told[-1].error is None and told[-1].done < COUNT
