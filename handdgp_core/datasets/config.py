"""Which data set, and what of it: a part of a training's configuration, and what `evaluate` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handdgp_core.errors import UsageError

__all__ = ["DatasetConfig", "DatasetName"]

DatasetName = Literal["freihand", "ho3d", "h36m", "frames", "shards"]


@dataclass(frozen=True)
class DatasetConfig:
    """One labelled data set.

    Attributes:
        name: which reader.
        root: its folder.
        split: part of it, in the words of the data set; empty for the reader's own for training.
        repeat: how often its samples count in an epoch, to balance data sets of different size.
        limit: use the first samples only; null for all.
        fit_error_mm: of h36m alone: frames whose mesh is further off from the measured joints count as unlabelled, 25
            for the annotations' authors; null takes every fit.
    """

    name: DatasetName
    root: str
    split: str = ""
    repeat: int = 1
    limit: int | None = None
    fit_error_mm: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("repeat", self.repeat), ("limit", self.limit)):
            if value is not None and value < 1:
                raise UsageError(f"{name} of a data set cannot be {value}.", hint="Give 1 or more.")
        if self.fit_error_mm is not None and self.name != "h36m":
            raise UsageError(
                f"fit_error_mm says nothing about {self.name}.", hint="Give it for h36m alone, or drop it."
            )
