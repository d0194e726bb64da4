"""Recorded results against those of a model that is re-run: over all frames of a session, and as images. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.live.frame_result import Estimator, PipelineOptions
from app.live.replay_view import ReplayView
from app.live.workers import Worker
from app.notices import count_of
from handdgp_core.drawing.examples import Example
from handdgp_core.drawing.qualitative import draw_example
from handdgp_core.errors import SourceError
from handdgp_core.evaluation.differences import Difference, differences
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame, Hand

SIDES = ("left", "right")
RECORDED = (235, 140, 30)  # the orange of recorded hands in the 3D view
QUANTITIES = {
    "root_mm": "Distance of the roots",
    "depth_mm": "Depth: re-run − recorded",
    "keypoints_mm": "Keypoints, mean distance",
    "shape_mm": "Shape: keypoints from the root",
}


class DifferenceTable:
    """Differences by frame, side and quantity; NaN where nothing is known.

    Attributes:
        values: (N, 2, 4) millimetres; sides as `SIDES`, quantities as `QUANTITIES`.
    """

    def __init__(self, count: int) -> None:
        self.values = np.full((count, len(SIDES), len(QUANTITIES)), np.nan)

    def put(self, index: int, found: list[Difference]) -> None:
        """What is known about a frame now."""
        self.values[index] = np.nan
        for entry in found:
            self.values[index, SIDES.index(entry.side)] = [getattr(entry, name) for name in QUANTITIES]

    def summary(self) -> str:
        """Medians and worst of what is known, as text; empty where nothing is."""
        roots, depths, keypoints, _ = np.moveaxis(self.values, 2, 0)
        known = np.isfinite(roots)
        if not known.any():
            return ""
        count = int(known.any(axis=1).sum())
        return (
            f"{count_of(count, 'frame')}: roots {np.median(roots[known]):.1f} mm apart (worst "
            f"{roots[known].max():.0f}), depth {np.median(depths[known]):+.1f} mm, keypoints "
            f"{np.median(keypoints[known]):.1f} mm (medians)"
        )


@dataclass(frozen=True)
class RerunProgress:
    """How a run over all frames goes.

    Attributes:
        worker: whose.
        done, count: frames.
        ended: whether it is over.
        error: why it ended early, or None.
    """

    worker: RerunWorker
    done: int
    count: int
    ended: bool = False
    error: Exception | None = None


class RerunWorker(Worker):
    """Runs a model over every frame of a session, in order, and compares it with what was recorded.

    Args:
        view: the session.
        make_estimator: loads the model; in this thread.
        options: calibration, hand length and so on.
        report_progress: called in this thread.

    Attributes:
        table: differences so far; read it when `RerunProgress` comes.
    """

    def __init__(
        self,
        view: ReplayView,
        make_estimator: Callable[[], Estimator],
        options: PipelineOptions,
        report_progress: Callable[[RerunProgress], None],
    ) -> None:
        super().__init__("compare", lambda event: None)
        self._view, self._make, self._tell = view, make_estimator, report_progress
        self._options = replace(options, replay=view)
        self.count = view.session.frame_count
        self.table = DifferenceTable(self.count)

    def _run(self) -> None:
        done, error = 0, None
        try:
            estimator = self._make()
            try:
                done = self._compare_all(estimator)
            finally:
                estimator.close()
        except Exception as problem:  # shown to the user by the receiver
            error = problem
        self._tell(RerunProgress(self, done, self.count, True, error))

    def _compare_all(self, estimator: Estimator) -> int:
        options, cameras = self._options, self._options.cameras()
        options.configure(estimator)
        estimator.reset()
        for index in range(self.count):
            if self.stopping:
                return index
            try:
                frame = cameras.choose_or_assume(self._view.session.frame(index))
            except SourceError:  # damaged: nothing to compare
                continue
            rerun = estimator.estimate(frame, frame.used_camera)
            recorded = self._view.recorded(frame)
            if recorded is not None:
                self.table.put(index, differences(recorded.hands, rerun))
            if index % 10 == 9:
                self._tell(RerunProgress(self, index + 1, self.count))
        return self.count


def comparison_picture(
    frame: Frame, camera: Camera, recorded: list[Hand], rerun: list[Hand], size: int = 300
) -> NDArray[np.uint8] | None:
    """One row for each side that both have: image, projection, and 3D from three sides with the roots as balls.

    Blue is re-run, orange is recorded. None where there is nothing to compare.
    """
    old = {hand.handedness: hand for hand in recorded if hand.degenerate is None}
    pairs = [(old[hand.handedness], hand) for hand in rerun if hand.handedness in old and hand.degenerate is None]
    if not pairs:
        return None
    rows = []
    for before, after in pairs:
        same_mesh = len(before.vertices_m) == len(after.vertices_m) and np.array_equal(before.faces, after.faces)
        example = Example(
            frame.image, camera, after.faces, after.vertices_m, after.root_m, before.root_m,
            after.keypoints_px, after.weights, before.vertices_m if same_mesh else None,
        )  # fmt: skip
        rows.append(draw_example(example, size, RECORDED))
    return np.concatenate(rows, axis=0)
