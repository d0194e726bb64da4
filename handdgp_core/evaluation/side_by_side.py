"""Other models on the same frames under the same camera, and by how much their hands differ from the first model's."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from handdgp_core.errors import UsageError
from handdgp_core.evaluation.differences import MEASURES, Difference, differences
from handdgp_core.export.exporter import ExporterGroup
from handdgp_core.files import write_text
from handdgp_core.pipeline import EstimatedFrame, Follower

if TYPE_CHECKING:
    from handdgp_core.estimation.estimator import HandEstimator

__all__ = ["OtherModel", "SideBySide", "short_names"]

HEADER = ("frame_index", "image", "model", "handedness", *MEASURES)


def short_names(models: Sequence[str]) -> list[str]:
    """A name for each model, of a file its stem.

    Raises:
        UsageError: two of them have the same.
    """
    names = [Path(model).stem for model in models]
    if len(set(names)) < len(names):
        raise UsageError(f"Two of these models have the same name: {', '.join(names)}.", hint="Rename a file.")
    return names


class OtherModel:
    """A model that is run beside the first.

    Args:
        name: unique among the models of a run.
        estimator: not closed here.
        exporters: take its hands; not closed here.
    """

    def __init__(self, name: str, estimator: HandEstimator, exporters: ExporterGroup) -> None:
        self.name = name
        self.hands = 0
        self.differences: list[Difference] = []
        self._follower = Follower(estimator)
        self._exporters = exporters

    def add(self, first: EstimatedFrame) -> list[Difference]:
        """Estimate the frame; how its hands differ from the first model's."""
        result = self._follower.estimate(first.frame)
        self._exporters.add(result.frame, result.hands, result.camera)
        self.hands += len(result.hands)
        found = differences(first.hands, result.hands)
        self.differences += found
        return found

    def summary(self) -> dict[str, object]:
        """Hands found, and median and 90th percentile of the differences over hands that both placed."""
        columns = {key: np.array([getattr(entry, key) for entry in self.differences]) for key in MEASURES}
        finite = {key: values[np.isfinite(values)] for key, values in columns.items()}
        return {
            "hands": self.hands,
            "compared": len(finite["root_mm"]),
            **{
                key: {"median": float(np.median(values)), "percentile_90": float(np.percentile(np.abs(values), 90))}
                for key, values in finite.items()
                if len(values)
            },
        }


class SideBySide:
    """The other models of a run, and the table of differences.

    Args:
        models: run in this order.
    """

    def __init__(self, models: Sequence[OtherModel]) -> None:
        self.models = models
        self._rows: list[tuple[object, ...]] = []

    def add(self, first: EstimatedFrame) -> None:
        """Run every other model on a frame. Raises OutputError."""
        frame = first.frame
        for model in self.models:
            for found in model.add(first):
                numbers = (getattr(found, key) for key in MEASURES)
                cells = [f"{number:.4f}" if np.isfinite(number) else "" for number in numbers]
                self._rows.append((frame.index, frame.name or "", model.name, found.side, *cells))

    def write(self, path: Path) -> None:
        """The table as CSV, millimetres, depth as other minus first; empty where one has no place.

        Raises:
            OutputError: it cannot be written.
        """
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEADER, *self._rows])
        write_text(path, text.getvalue())

    def summary(self) -> dict[str, dict[str, object]]:
        """`OtherModel.summary` by name."""
        return {model.name: model.summary() for model in self.models}
