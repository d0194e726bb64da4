"""Other models beside the one in use: off at first, on the newest frame, with the right differences, and gone again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from app.live import beside_worker
from app.live.beside_worker import BesideShown, BesideWorker
from app.live.frame_result import PipelineOptions
from app.live.workers import WorkerFailed
from handdgp_core.types import Hand
from tests.app.doubles import ScriptedEstimator, hand, result
from tests.patience import WAIT_S

SHIFT_M = np.array([0.003, 0.0, 0.004])


def moved(first: Hand) -> Hand:
    """The same hand 5 mm further, 4 of them in depth."""
    return replace(
        first,
        root_m=first.root_m + SHIFT_M,
        keypoints_m=first.keypoints_m + SHIFT_M,
        vertices_m=first.vertices_m + SHIFT_M,
    )


class Told:
    """What a worker reports, and a way to wait for it."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self._changed = threading.Condition()

    def __call__(self, event: object) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify()

    def until(self, there: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(there, WAIT_S)

    @property
    def last(self) -> BesideShown:
        event = self.events[-1]
        assert isinstance(event, BesideShown), event
        return event


def worker_of(models: dict[str, ScriptedEstimator], told: Told) -> BesideWorker:
    return BesideWorker(list(models), lambda name: models[name], PipelineOptions, told)


def test_differences_and_a_picture_of_three_models() -> None:
    told, models = (
        Told(),
        {"same": ScriptedEstimator([hand()]), "folder/far.safetensors": ScriptedEstimator([moved(hand())])},
    )
    worker = worker_of(models, told)
    worker.offer(result([hand()]), "first")
    worker.start()
    told.until(lambda: bool(told.events))
    worker.request_stop()
    assert worker.join(WAIT_S)
    shown = told.last
    assert shown.models == ("first", "same", "far") and shown.picture is not None
    far, same = shown.rows
    assert (far.model, far.side, far.frames, same.model) == ("far", "right", 1, "same")
    for measure, expected in zip(beside_worker.MEASURES, (5.0, 4.0, 5.0, 0.0, 5.0), strict=True):
        assert far.values[measure] == pytest.approx(expected, abs=1e-9)
        assert same.values[measure] == pytest.approx(0.0, abs=1e-9)
    assert all(model.closed for model in models.values())
    assert models["same"].cameras == [result().camera]


@pytest.mark.parametrize("asked", [False, True])
def test_inputs_of_the_networks_are_shown_on_request(asked: bool) -> None:
    told = Told()
    models = {name: ScriptedEstimator([hand()]) for name in ("a", "b")}
    worker = worker_of(models, told)
    worker.shows_inputs = asked
    worker.offer(result(), "first")
    worker.start()
    told.until(lambda: bool(told.events))
    worker.request_stop()
    assert worker.join(WAIT_S)
    picture = told.last.picture
    assert picture is not None and (picture == 200).all(axis=2).any() == asked


def test_the_newest_frame_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the models work, frames come and go; nothing queues."""
    begun, go_on = threading.Event(), threading.Event()

    class Waiting(ScriptedEstimator):
        def estimate(self, frame, camera):
            begun.set()
            assert go_on.wait(WAIT_S)
            return super().estimate(frame, camera)

    monkeypatch.setattr(beside_worker, "PUBLISH_EVERY_S", 0.0)
    told, model = Told(), Waiting([hand()])
    worker = worker_of({"other": model}, told)
    worker.start()
    worker.offer(result(index=0), "first")
    assert begun.wait(WAIT_S)
    for index in range(1, 6):
        worker.offer(result(index=index), "first")
    go_on.set()
    told.until(lambda: len(told.events) == 2)
    worker.request_stop()
    assert worker.join(WAIT_S)
    assert model.indices == [0, 5]


def test_a_frame_from_before_starts_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside_worker, "PUBLISH_EVERY_S", 0.0)
    told, model = Told(), ScriptedEstimator([hand()])
    worker = worker_of({"other": model}, told)
    worker.start()
    for count, index in enumerate((4, 5, 2), start=1):
        worker.offer(result(index=index), "first")
        told.until(lambda count=count: len(told.events) == count)
    worker.request_stop()
    assert worker.join(WAIT_S)
    assert model.resets == 2  # for the first frame, and for the one before it
    assert [event.rows[0].frames for event in told.events] == [1, 2, 1]


def test_a_model_that_breaks_is_reported() -> None:
    told = Told()
    worker = worker_of({"other": ScriptedEstimator(fails_at=1)}, told)
    worker.start()
    worker.offer(result(), "first")
    told.until(lambda: bool(told.events))
    assert worker.join(WAIT_S) and isinstance(told.events[0], WorkerFailed)


def test_two_files_of_one_name_are_refused_and_not_mixed_up() -> None:
    told = Told()
    worker = worker_of({"one/net.safetensors": ScriptedEstimator(), "two/net.safetensors": ScriptedEstimator()}, told)
    worker.start()
    assert worker.join(WAIT_S)
    (failed,) = told.events
    assert isinstance(failed, WorkerFailed) and "the same name: net, net" in str(failed.error)


def test_nothing_runs_until_a_model_is_chosen_in_the_open_panel(rig, qtbot) -> None:
    window = rig.show()
    rig.start()
    rig.until(lambda: window.result is not None and not window.result.preview)
    made: dict[str, ScriptedEstimator] = {}

    def make(settings):
        made[settings.model] = ScriptedEstimator([moved(hand())])
        return made[settings.model]

    rig.controller._make_estimator = make
    rig.until(lambda: window.beside.boxes[0].count() > 1)
    window.rail.open("beside")
    assert not window.side_by_side.active and not made
    window.beside.boxes[0].setCurrentIndex(1)
    assert window.side_by_side.active
    rig.until(lambda: "landmarks" in window.beside.table.text())
    assert "5.0" in window.beside.table.text() and not window.beside.view.pixmap().isNull()
    window.beside.boxes[1].setCurrentIndex(2)
    rig.until(lambda: "other" in window.beside.table.text())
    window.rail.open("weights")
    assert not window.side_by_side.active
    rig.until(lambda: all(model.closed for model in made.values()))


def test_a_model_chosen_while_the_source_stands_still_sees_the_frame_on_screen(rig) -> None:
    window = rig.show()
    rig.start()
    rig.until(lambda: window.result is not None and not window.result.preview)
    rig.controller.pause()
    rig.until(lambda: window.beside.boxes[0].count() > 1)
    window.rail.open("beside")
    window.beside.boxes[0].setCurrentIndex(1)
    rig.until(lambda: "landmarks" in window.beside.table.text())


def test_a_model_that_cannot_be_loaded_is_told_once(rig) -> None:
    window = rig.show()
    rig.start()
    rig.until(lambda: window.result is not None and window.beside.boxes[0].count() > 1)

    def broken(settings):
        raise ValueError("no such model")

    rig.controller._make_estimator = broken
    window.rail.open("beside")
    window.beside.boxes[0].setCurrentIndex(1)
    rig.until(lambda: bool(rig.notices))
    assert not window.side_by_side.active and "could not be run" in window.beside.note.text()
    rig.store.change(mesh_opacity=40)  # no second try
    assert not window.side_by_side.active and len(rig.notices) == 1
