"""What a run that was killed left in its folder, and what can be made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handdgp_core.errors import SourceError
from handdgp_core.export import spool
from handdgp_core.export.csv_table import finish_table
from handdgp_core.export.tables import spool_path
from handdgp_core.files import locked_output, part_of, remove

__all__ = ["FinishedRun", "finish_run", "is_unfinished_run"]

_PREDICTIONS, _TABLE = "predictions.npz", "hands.csv"


@dataclass(frozen=True)
class FinishedRun:
    """The results that were saved.

    Attributes:
        path: the table that was made.
        rows, frames: hands in it, and the frames that they are of.
        lost: files of the run that can be of no use.
    """

    path: Path
    rows: int
    frames: int
    lost: tuple[Path, ...]


def is_unfinished_run(path: Path) -> bool:
    """Whether a file holds the rows of a run that did not end."""
    return spool.is_spool(path)


def finish_run(path: Path, output: Path | None = None) -> FinishedRun:
    """Make predictions.npz, and hands.csv where there was to be one, of what a killed run left.

    Args:
        path: the run's folder, or the rows in it.
        output: the file to make; None for predictions.npz beside the rows.

    Raises:
        SourceError: there is nothing to finish, or it is damaged. OutputError: the run goes on, or the file cannot be
        written; the rows stay.
    """
    rows = spool_path(path / _PREDICTIONS) if path.is_dir() else path
    if not rows.exists():
        raise SourceError(
            f"Could not find the results of a run that was killed in {path}.",
            hint="Give the folder that `process --output` named.",
        )
    with locked_output(rows.parent):
        target = output or rows.with_name(_PREDICTIONS)
        found = spool.finish(rows, target)
        with np.load(target, allow_pickle=False) as table:
            frames = len(np.unique(table["frame_index"]))
        remove(rows)
        table_part = part_of(rows.with_name(_TABLE))
        if table_part.exists():
            finish_table(table_part, rows.with_name(_TABLE))
        parts = sorted(other for other in rows.parent.rglob("*.part.*") if other.is_file())
        for part in parts:
            if part.name.startswith("."):  # of `whole_file`: no more than a copy in progress
                remove(part)
        lost = tuple(part for part in parts if not part.name.startswith("."))
        return FinishedRun(target, len(found.places), frames, lost)
