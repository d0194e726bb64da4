"""What a process of a batch does: it holds the model, and turns a part of an input into a table."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.batch.parts import Part
from handdgp_core.errors import HandDGPError
from handdgp_core.estimation.hand_size import MeasuredLength
from handdgp_core.export.exporter import ExportOptions, open_exporters
from handdgp_core.export.tables import spool_path
from handdgp_core.files import prepare_output, remove
from handdgp_core.geometry.camera import Camera
from handdgp_core.pipeline import estimated_frames
from handdgp_core.sources.open import open_source
from handdgp_core.sources.session import cameras_of, length_of

if TYPE_CHECKING:
    from handdgp_core.estimation.estimator import EstimatorState, HandEstimator

__all__ = ["TABLE", "Job", "JobResult", "ModelOptions", "Worker"]

TABLE = "predictions.npz"


@dataclass(frozen=True)
class ModelOptions:
    """How hands are found; names as on the command line."""

    model: str = "open"
    device: str = "auto"
    engine: str = "auto"
    calibration: Path | None = None
    horizontal_fov_deg: float | None = None
    hand_length_m: float | None = None
    hand_length_std: float = 0.0
    max_hands: int = 2


@dataclass(frozen=True)
class Job:
    """A part of an input, and the folder that its table goes to."""

    input_name: str
    source: str
    part: Part
    folder: Path


@dataclass(frozen=True)
class JobResult:
    """What became of a job.

    Attributes:
        frames, hands: in the table, those of the overlap included.
        elapsed_s: without loading the model.
        error: None where it is done.
        is_final: of an error: trying again would give it again.
    """

    frames: int = 0
    hands: int = 0
    elapsed_s: float = 0.0
    error: str | None = None
    is_final: bool = False


class Worker:
    """Runs jobs one after the other. The model is loaded with the first, and again where the hand's length changes."""

    def __init__(self, options: ModelOptions) -> None:
        self._options = options
        self._estimator: HandEstimator | None = None
        self._unused: EstimatorState | None = None  # as it was loaded
        self._length = MeasuredLength(None, 0.0)

    def run(self, job: Job) -> JobResult:
        """The part's table; an error comes back as a result, so that it says the same on every machine."""
        try:
            return self._run(job)
        except HandDGPError as error:
            return JobResult(error=error.message, is_final=True)
        except Exception as error:  # one input must not end the others
            return JobResult(error=f"Internal error: {type(error).__name__}: {error}.")

    def _run(self, job: Job) -> JobResult:
        options = self._options
        calibration = Camera.load(options.calibration) if options.calibration else None
        frames = hands = 0
        with open_source(job.source) as source, ExitStack() as opened:
            length = length_of(source, MeasuredLength(options.hand_length_m, options.hand_length_std))
            estimator = self._estimator_for(length)
            begun_s = time.perf_counter()
            export = ExportOptions(faces=estimator.faces, vertex_count=int(estimator.faces.max()) + 1)
            folder = prepare_output(job.folder)
            remove(spool_path(folder / TABLE))  # of a process that died
            exporters = opened.enter_context(open_exporters(["npz"], folder, export))
            if job.part.first:
                source.seek(job.part.first)
            count = None if job.part.end is None else job.part.end - job.part.first
            chooser = cameras_of(source, calibration, options.horizontal_fov_deg)
            for result in estimated_frames(source, estimator, chooser, limit=count):
                exporters.add(result.frame, result.hands, result.camera)
                frames, hands = frames + 1, hands + len(result.hands)
        return JobResult(frames, hands, time.perf_counter() - begun_s)

    def _estimator_for(self, length: MeasuredLength) -> HandEstimator:
        from handdgp_core.estimation.estimator import HandEstimator
        from handdgp_core.estimation.models import limit_threads

        if self._estimator is None or length != self._length:
            options = self._options
            if self._estimator is not None:
                self._estimator.close()
            limit_threads(options.model)
            self._estimator = HandEstimator.from_weights(
                options.model, options.device, length.length_m, options.max_hands,
                hand_length_std=length.std, engine=options.engine,
            )  # fmt: skip
            self._length, self._unused = length, self._estimator.snapshot()
        assert self._unused is not None
        self._estimator.restore(self._unused)  # `reset` alone would go on numbering tracks
        return self._estimator
