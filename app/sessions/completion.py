"""Results for the frames of a recording that the model never saw, made afterwards. No Qt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from app.live.frame_result import Estimator
from handdgp_core.privacy import public_name
from handdgp_core.sessions import DamagedFrame, RecordedHands, SessionReader, add_results
from handdgp_core.sources.cameras import DEFAULT_FOV_DEG, CameraChooser


@dataclass(frozen=True)
class Completion:
    """What became of a recording.

    Attributes:
        path: the new file; the old one is as it was.
        frames: in it.
        before, added: results that there were, and that were added.
        damaged: frames that cannot be read and so have no result.
        is_cancelled: whether the rest was left.
    """

    path: Path
    frames: int
    before: int
    added: int
    damaged: int
    is_cancelled: bool


def complete_results(
    session: SessionReader,
    estimator: Estimator,
    output: Path | None = None,
    progress: Callable[[float], None] = lambda share: None,
    cancelled: Event | None = None,
    fov_deg: float = DEFAULT_FOV_DEG,
) -> Completion:
    """Run a model over a recording, and keep its results for the frames that have none.

    It sees every frame in order, as its tracking goes from one to the next; what was recorded stays as it is. Hand
    length and muted keypoints are those of the recording.

    Args:
        session: a recording of this program.
        estimator: the model; its attributes are changed.
        output: the new file; by default beside the old one, with "-completed".
        progress: gets the share that is done, 0 to 1.
        cancelled: set it to end: the results until then are kept.
        fov_deg: field of view that is assumed where the recording has no camera.

    Raises:
        UsageError: it is no recording of this program.
        OutputError: the file cannot be written.
    """
    stop = cancelled or Event()
    run = _Run(session, estimator, CameraChooser(horizontal_fov_deg=fov_deg), progress, stop)
    target = output or session.path.with_name(f"{session.path.name.partition('.mcap')[0]}-completed.mcap")
    before = session.result_count
    note = {"model": public_name(estimator.model_name), "results_before": str(before)}
    path = add_results(session, target, run.results(), note)
    return Completion(path, session.frame_count, before, run.added, run.damaged, stop.is_set())


@dataclass
class _Run:
    """One way through a recording."""

    session: SessionReader
    estimator: Estimator
    cameras: CameraChooser
    progress: Callable[[float], None]
    stop: Event
    added: int = 0
    damaged: int = 0

    def results(self) -> Iterator[tuple[int, RecordedHands]]:
        """Numbers of frames without a result, and theirs."""
        estimator, session, count = self.estimator, self.session, self.session.frame_count
        estimator.hand_length_m, estimator.hand_length_std = session.hand_length_m, session.hand_length_std
        estimator.muted = frozenset()
        estimator.reset()
        for number in range(count):
            if self.stop.is_set():
                return
            try:
                recorded = self._next(number)
            except DamagedFrame:
                self.damaged += 1
                continue
            if not session.has_result(number):
                self.added += 1
                yield number, recorded
            self.progress((number + 1) / count)

    def _next(self, number: int) -> RecordedHands:
        estimator = self.estimator
        before = self.session.hands(number)
        if before is not None:
            estimator.hand_length_m, estimator.muted = before.hand_length_m, before.muted
        frame = self.cameras.choose_or_assume(self.session.frame(number))
        began_s = time.perf_counter()
        hands = estimator.estimate(frame, frame.used_camera)
        spent_ms = 1e3 * (time.perf_counter() - began_s)
        name = public_name(estimator.model_name)
        return RecordedHands(hands, frame.used_camera, name, spent_ms, estimator.hand_length_m, estimator.muted)
