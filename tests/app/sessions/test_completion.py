"""Results that are made afterwards, for the frames of a recording that the model never saw."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pytest
from mcap.reader import make_reader

from app.sessions.completion import complete_results
from handdgp_core.errors import OutputError, SourceError, UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.sessions import SessionReader
from handdgp_core.types import Frame, Hand
from tests.handdgp_core.sessions.conftest import CAMERA, hands_of, make_hand, number_of, write_session
from tests.handdgp_core.sessions.foreign import write_foreign


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A finished recording of 30 frames, of which four have no result."""
    return write_session(tmp_path / "take.mcap")


class Counting:
    """An estimator that notes what it is given, and predicts a hand that tells the frame."""

    model_name = "/somewhere/counting.safetensors"

    def __init__(self) -> None:
        self.hand_length_m: float | None = None
        self.max_hands = 2
        self.muted: frozenset[int] = frozenset()
        self.stage_ms: dict[str, float] = {}
        self.beyond_lens = 0
        self.seen: list[tuple[int, float | None, frozenset[int]]] = []

    def estimate(self, frame: Frame, camera: Camera) -> list[Hand]:
        assert np.array_equal(camera.matrix, CAMERA.matrix)
        number = number_of(frame.image)
        self.seen.append((number, self.hand_length_m, self.muted))
        return [make_hand(100 + number, vertices=50)]

    def reset(self) -> None:
        self.seen.clear()


def test_frames_without_a_result_get_one_and_the_others_keep_theirs(session: Path) -> None:
    estimator, shares = Counting(), []
    before = session.read_bytes()
    with SessionReader(session) as read:
        done = complete_results(read, estimator, progress=shares.append)
    assert (done.frames, done.before, done.added, done.damaged, done.is_cancelled) == (30, 26, 4, 0, False)
    assert done.path == session.with_name("take-completed.mcap") and session.read_bytes() == before
    assert [number for number, _, _ in estimator.seen] == list(range(30))
    assert estimator.seen[6][1:] == (0.18, frozenset({3}))  # as it was in use
    assert shares == sorted(shares) and shares[-1] == 1
    with SessionReader(done.path) as read:
        assert read.finished and not read.warnings and not read.verify() and read.result_count == 30
        for number in range(30):
            found = read.hands(number)
            assert found is not None and found.camera == CAMERA
            expected = [make_hand(100 + number, vertices=50)] if number % 7 == 6 else hands_of(number)
            assert found.model == ("counting.safetensors" if number % 7 == 6 else "test")
            roots_m = [[hand.root_m for hand in hands] for hands in (found.hands, expected)]
            np.testing.assert_array_equal(*roots_m)
    with done.path.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        names = {record.name: record.metadata for record in reader.iter_metadata()}
        assert names["completed"] == {"model": "counting.safetensors", "results_before": "26"}
        assert len(list(reader.iter_messages(topics=["/hands"]))) == 30


def test_cancelling_keeps_what_is_done(session: Path) -> None:
    cancelled = Event()

    def stop(share: float) -> None:
        if share > 0.5:
            cancelled.set()

    with SessionReader(session) as read:
        done = complete_results(read, Counting(), progress=stop, cancelled=cancelled)
    assert done.is_cancelled and done.added == 2
    with SessionReader(done.path) as read:
        assert read.result_count == 28


def test_an_error_of_the_model_leaves_no_file(session: Path) -> None:
    class Broken(Counting):
        def estimate(self, frame: Frame, camera: Camera) -> list[Hand]:
            raise SourceError("Could not estimate: broken.")

    with SessionReader(session) as read, pytest.raises(SourceError, match="broken"):
        complete_results(read, Broken())
    assert [path.name for path in session.parent.iterdir()] == [session.name]


def test_other_recordings_and_files_in_the_way(tmp_path: Path, session: Path) -> None:
    other = write_foreign(tmp_path / "other.mcap")
    with SessionReader(other) as read, pytest.raises(UsageError, match="no recording of"):
        complete_results(read, Counting())
    (tmp_path / "take-completed.mcap").write_text("somebody's")
    with SessionReader(session) as read:
        assert complete_results(read, Counting()).path == tmp_path / "take-completed-2.mcap"
        with pytest.raises(OutputError):
            complete_results(read, Counting(), tmp_path / "missing" / "take.mcap")
    assert (tmp_path / "take-completed.mcap").read_text() == "somebody's"


def test_an_unfinished_recording_is_completed_into_a_finished_one(tmp_path: Path) -> None:
    part = write_session(tmp_path / "cut.mcap", count=20, finish=False)
    with SessionReader(part) as read:
        done = complete_results(read, Counting())
    assert done.path == tmp_path / "cut-completed.mcap"
    with SessionReader(done.path) as read:
        assert read.finished and read.result_count == read.frame_count == 20
