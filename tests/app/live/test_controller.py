"""Start, stop, switch, pause, step, and every way in which a worker can fail."""

from __future__ import annotations

import threading
import time

import pytest

from app.live.state import ModelPhase, Phase
from app.notices import Action
from handdgp_core.errors import AssetError, CameraError, SourceError
from handdgp_core.geometry.camera import Camera
from tests.app.doubles import HEIGHT, WIDTH, ScriptedEstimator, ScriptedSource
from tests.patience import WAIT_MS, WAIT_S


def _running(rig) -> bool:
    return rig.controller.status.phase is Phase.RUNNING and rig.controller.status.model_phase is ModelPhase.READY


def test_results_come_and_shutdown_ends_every_thread(rig) -> None:
    rig.start()
    rig.until(lambda: _running(rig))
    result = rig.next_result()
    while result.preview:
        result = rig.next_result()
    assert [hand.handedness for hand in result.hands] == ["right"]
    assert rig.controller.status.model_name == "scripted"
    assert rig.controller.shutdown() == []
    assert rig.estimator.closed
    assert rig.settings.recent_sources == ("live",)


def test_a_frame_is_shown_before_the_model_is_loaded(rig) -> None:
    gate = threading.Event()
    load = rig.controller._make_estimator
    rig.controller._make_estimator = lambda settings: (gate.wait(WAIT_S), load(settings))[1]
    rig.start()
    result = rig.next_result()
    assert result.preview and not result.hands and result.picture.shape == (HEIGHT, WIDTH, 3)
    gate.set()
    rig.until(lambda: _running(rig))


def test_paused_shows_nothing_new_and_a_step_shows_one_frame_of_a_file(rig) -> None:
    rig.sources["file"] = lambda: ScriptedSource(count=500, live=False, period_s=0.01)
    rig.start("file")
    rig.until(lambda: _running(rig) and rig.estimator.calls > 2)
    rig.controller.pause()
    time.sleep(0.15)
    stood = rig.estimator.indices[-1]
    calls = rig.estimator.calls
    time.sleep(0.1)
    assert rig.estimator.calls == calls
    rig.controller.step()
    rig.until(lambda: rig.estimator.calls > calls)
    assert rig.estimator.indices[-1] == stood + 1
    time.sleep(0.1)
    assert rig.estimator.calls == calls + 1
    rig.controller.resume()
    rig.until(lambda: rig.estimator.calls > calls + 3)


def test_a_webcam_pauses_and_steps_too(rig) -> None:
    rig.start("live")
    rig.until(lambda: _running(rig) and rig.estimator.calls > 2)
    rig.playback.toggle_pause()
    time.sleep(0.15)
    calls = rig.estimator.calls
    rig.controller.step()
    rig.until(lambda: rig.estimator.calls == calls + 1)
    time.sleep(0.1)
    assert rig.estimator.calls == calls + 1
    rig.playback.toggle_pause()
    rig.until(lambda: rig.estimator.calls > calls + 3)


def test_switching_closes_the_old_source_first_and_forgets_tracks(rig) -> None:
    first = ScriptedSource(name="first")
    order: list[int] = []
    rig.sources["0"] = lambda: first
    rig.sources["1"] = lambda: (order.append(first.closes), ScriptedSource(name="second"))[1]
    rig.start("0")
    rig.until(lambda: _running(rig) and rig.estimator.calls > 0)
    resets = rig.estimator.resets
    rig.controller.open_source("1")
    rig.until(lambda: rig.controller.status.source_name == "second")
    assert order == [1]
    rig.until(lambda: rig.estimator.resets > resets)


def test_a_file_that_cannot_be_opened_leaves_the_running_source_alone(rig) -> None:
    live = ScriptedSource()
    rig.sources.update(live=lambda: live, bad=SourceError("Could not open bad.mp4: the file is empty."))
    rig.start()
    rig.until(lambda: _running(rig))
    rig.controller.pause()
    status, left = rig.controller.status, list[bool]()
    rig.controller.source_left.connect(lambda: left.append(True))
    rig.controller.open_source("bad")
    rig.until(lambda: bool(rig.notices))
    assert rig.notices[0].title == "Could not open bad.mp4: the file is empty."
    assert rig.controller.status == status and live.closes == 0 and not left
    rig.controller.resume()
    calls = rig.estimator.calls
    rig.until(lambda: rig.estimator.calls > calls)


def test_of_two_sources_asked_for_quickly_the_second_is_shown_and_the_first_closed(rig) -> None:
    gate = threading.Event()
    slow, quick = ScriptedSource(name="slow"), ScriptedSource(name="quick")
    rig.sources.update(slow=lambda: (gate.wait(), slow)[1], quick=lambda: quick)
    rig.start()
    rig.until(lambda: _running(rig))
    rig.controller.open_source("slow")
    rig.controller.open_source("quick")
    rig.until(lambda: rig.controller.status.source_name == "quick")
    gate.set()
    rig.until(lambda: slow.closes > 0)
    assert rig.controller.status.source_name == "quick" and quick.closes == 0


def test_the_end_of_a_file_is_told_and_space_plays_it_again(rig) -> None:
    rig.sources["file"] = lambda: ScriptedSource(count=3, live=False)
    rig.start("file")
    rig.until(lambda: rig.controller.status.phase is Phase.ENDED)
    rig.playback.toggle_pause()
    rig.until(lambda: rig.opened == ["file", "file"])
    rig.until(lambda: rig.controller.status.phase is Phase.ENDED)
    assert rig.notices == []


def test_unplugging_is_told_with_the_cure_and_retry_opens_again(rig) -> None:
    rig.sources["cam"] = lambda: ScriptedSource(lost_at=4)
    rig.start("cam")
    rig.until(lambda: rig.controller.status.phase is Phase.FAILED)
    notice = rig.notices[-1]
    assert "unplugged" in notice.title and "Connect it again" in notice.text
    assert notice.action is Action.RETRY and "SourceError" in notice.details
    rig.sources["cam"] = ScriptedSource
    rig.controller.retry()
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)


def test_a_source_that_cannot_be_opened_is_told(rig) -> None:
    rig.sources["gone"] = SourceError("Could not open gone.mp4: the file is empty.", hint="Copy the file again.")
    rig.start("gone")
    rig.until(lambda: rig.controller.status.phase is Phase.FAILED)
    assert rig.notices[-1].title == "Could not open gone.mp4: the file is empty."
    assert rig.settings.recent_sources == ()


def test_a_model_that_cannot_be_loaded_is_told_and_retried(rig) -> None:
    rig.estimator = AssetError("There is no detector model at assets/models.", hint="Install the program again.")
    rig.start()
    rig.until(lambda: rig.controller.status.model_phase is ModelPhase.FAILED)
    assert "Install the program again" in rig.notices[-1].text
    rig.estimator = ScriptedEstimator()
    rig.controller.retry()
    rig.until(lambda: _running(rig) and rig.estimator.calls > 0)


def test_an_exception_in_the_estimate_becomes_an_internal_error(rig) -> None:
    rig.estimator = ScriptedEstimator(fails_at=3)
    rig.start()
    rig.until(lambda: rig.controller.status.model_phase is ModelPhase.FAILED)
    notice = rig.notices[-1]
    assert "RuntimeError: the network broke" in notice.title and "This is a bug" in notice.text
    assert "in estimate" in notice.details
    assert rig.estimator.closed


def test_options_reach_the_estimator(rig) -> None:
    rig.start()
    rig.until(lambda: _running(rig) and rig.estimator.calls > 0)
    rig.store.change(hand_length_enabled=True, hand_length_mm=175.0, hand_length_percent=8.0, max_hands=1)
    rig.controller.set_muted(frozenset({4, 8}))
    rig.until(lambda: rig.estimator.muted == {4, 8})
    assert rig.estimator.hand_length_std == pytest.approx(0.04)
    assert rig.estimator.hand_length_m == pytest.approx(0.175) and rig.estimator.max_hands == 1
    assert rig.loads == 1


def test_another_device_loads_the_model_anew(rig) -> None:
    rig.start()
    rig.until(lambda: _running(rig))
    first, rig.estimator = rig.estimator, ScriptedEstimator()
    rig.store.change(device="cpu")
    rig.until(lambda: rig.estimator.calls > 0)
    assert first.closed and rig.loads == 2


def test_a_faster_engine_takes_over_between_frames_but_not_while_results_are_recorded(rig) -> None:
    rig.start()
    rig.until(lambda: _running(rig) and rig.controller.status.engine == "none, CPU")
    owner = object()
    rig.controller.tap(owner, on_result=lambda *_: None)
    rig.estimator.next_engine = "another, CPU"
    calls = rig.estimator.calls
    rig.until(lambda: rig.estimator.calls > calls + 3)
    assert rig.controller.status.engine == "none, CPU"
    rig.controller.untap(owner)
    rig.until(lambda: rig.controller.status.engine == "another, CPU")


def test_a_paused_picture_follows_the_options(rig) -> None:
    rig.start()
    rig.until(lambda: _running(rig) and rig.estimator.calls > 0)
    rig.controller.pause()
    time.sleep(0.15)
    rig.controller.take_result()
    rig.controller.set_muted(frozenset({0}))
    result = rig.next_result()
    assert result.hands[0].weights[0] == 0.0


def test_a_calibration_is_scaled_and_a_wrong_one_is_refused_aloud(rig, tmp_path) -> None:
    Camera.assumed(2 * WIDTH, 2 * HEIGHT, 70.0).save(tmp_path / "good.yaml")
    (tmp_path / "bad.yaml").write_text("no: camera")
    rig.store.change(calibration_path=str(tmp_path / "good.yaml"))
    rig.start()
    rig.until(lambda: bool(rig.estimator.cameras))
    assert rig.estimator.cameras[0].size == (WIDTH, HEIGHT)
    assert rig.estimator.cameras[0].focal_px[0] == pytest.approx(Camera.assumed(WIDTH, HEIGHT, 70.0).focal_px[0])
    rig.store.change(calibration_path=str(tmp_path / "bad.yaml"))
    assert rig.settings.calibration_path == ""
    assert len(rig.notices) == 1 and "bad.yaml" in rig.notices[0].title + rig.notices[0].text


def test_a_calibration_of_another_aspect_runs_as_uncalibrated_and_says_why(rig, tmp_path) -> None:
    Camera.assumed(WIDTH, WIDTH, 70.0).save(tmp_path / "square.yaml")
    rig.store.change(calibration_path=str(tmp_path / "square.yaml"))
    rig.start()
    result = rig.next_result()
    assert result.camera.source == "assumed" and isinstance(result.problem, CameraError)


def test_a_camera_that_hangs_does_not_hold_the_shutdown(rig) -> None:
    gate = threading.Event()
    source = ScriptedSource(gate=gate)
    rig.sources["hung"] = lambda: source
    rig.start("hung")
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING and source.hangs)
    assert rig.controller.shutdown(limit_s=0.3) == ["capture"]
    gate.set()


def test_a_hung_camera_does_not_hold_the_next_source(rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.workers.HANDOVER_S", 0.2)
    gate = threading.Event()
    rig.sources["hung"] = lambda: ScriptedSource(gate=gate)
    rig.start("hung")
    rig.until(lambda: rig.controller.status.phase is Phase.RUNNING)
    rig.controller.open_source("live")
    rig.until(lambda: _running(rig) and rig.estimator.calls > 0)
    gate.set()


def test_shutdown_while_the_estimator_is_busy(rig) -> None:
    rig.estimator = ScriptedEstimator(slow_s=0.2)
    rig.start()
    rig.until(lambda: _running(rig))
    assert rig.controller.shutdown() == []
    assert rig.controller.take_result() is None


def test_slow_inference_replaces_frames_instead_of_queueing(rig) -> None:
    rig.estimator = ScriptedEstimator(slow_s=0.05)
    rig.start()
    rig.until(lambda: rig.estimator.calls > 4)
    assert rig.controller.rates.skipped > 4
    gaps = [later - earlier for earlier, later in zip(rig.estimator.indices, rig.estimator.indices[1:], strict=False)]
    assert max(gaps) > 1


def test_what_a_source_skipped_is_told_once(rig) -> None:
    source = ScriptedSource(count=50, live=False)
    source.skipped = [("notes.txt", "not an image"), ("b.png", "truncated")]
    rig.sources["folder"] = lambda: source
    rig.start("folder")
    rig.until(lambda: bool(rig.notices))
    assert "2 files" in rig.notices[0].title and "notes.txt: not an image" in rig.notices[0].details


def test_jobs_report_their_end_and_their_failure(rig, qtbot) -> None:
    rig.start(None)
    with qtbot.waitSignal(rig.controller.job_done, timeout=WAIT_MS) as done:
        rig.controller.submit("sum", lambda: 1 + 1)
    assert done.args == ["sum", 2]
    rig.controller.submit("bad", lambda: 1 // 0)
    rig.until(lambda: bool(rig.notices))
    assert "ZeroDivisionError" in rig.notices[0].title
