"""Long videos in parts that overlap, and one table of theirs again, whose hands are followed across the seams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handdgp_core.files import whole_file

__all__ = ["Part", "join", "split"]

Table = dict[str, NDArray[Any]]

_SAME_HAND_M = 0.05  # a hand that two parts saw in one frame: no farther apart than this, in the median
_LEAST_SHARE = 0.5  # of the shared frames of the shorter of both tracks
_WHOLE = ("faces", "faces_left")  # arrays that are not a row a hand


@dataclass(frozen=True)
class Part:
    """Frames of an input.

    Attributes:
        number: 0 for the first part.
        first: frame that estimation starts at, to be in step at `begin`.
        begin, end: frames whose hands count; `end` is not one of them, None for the end of the input.
    """

    number: int
    first: int
    begin: int
    end: int | None


def split(frame_count: int | None, part_frames: int | None, overlap_frames: int) -> list[Part]:
    """The parts of an input: one where it is short, or nobody knows how long it is.

    Args:
        frame_count: of the input; None where it cannot be told, or where no frame can be sought.
        part_frames: of a part; None for all.
        overlap_frames: before the beginning of every part but the first, which are estimated in both.
    """
    if part_frames is None or frame_count is None or frame_count <= part_frames + overlap_frames:
        return [Part(0, 0, 0, None)]
    begins = list(range(0, frame_count, part_frames))
    if frame_count - begins[-1] <= overlap_frames and len(begins) > 1:
        begins.pop()  # too short to be worth it
    ends: list[int | None] = [*begins[1:], None]
    return [
        Part(number, max(0, begin - overlap_frames), begin, end)
        for number, (begin, end) in enumerate(zip(begins, ends, strict=True))
    ]


def join(parts: Sequence[tuple[Part, Path]], output: Path) -> None:
    """Write one predictions.npz of those of the parts. A hand keeps its `track_id` across a seam where it is the same.

    Args:
        parts: in order, each with its table, which still has the hands of the overlap.
        output: the file.

    Raises:
        OutputError: it cannot be written.
    """
    tables = []
    before: Table | None = None
    next_id = 0
    for part, path in parts:
        with np.load(path, allow_pickle=False) as stored:
            table: Table = dict(stored)
        names = _renamed(before, table, part.begin, next_id) if before is not None else None
        if names is not None:
            table["track_id"] = np.array([names[int(track)] for track in table["track_id"]], dtype=np.int64)
        next_id = max(next_id, int(table["track_id"].max(initial=-1)) + 1)
        before = table
        own = table["frame_index"] >= part.begin
        tables.append({name: values if name in _WHOLE else values[own] for name, values in table.items()})
    columns: Table = {}
    for name in dict.fromkeys(name for table in tables for name in table):
        values = [table[name] for table in tables if name in table]
        columns[name] = values[0] if name in _WHOLE else np.concatenate(values)
    with whole_file(output) as part_path, open(part_path, "wb") as file:
        np.savez(file, allow_pickle=False, **columns)


def _renamed(before: Table, table: Table, begin: int, next_id: int) -> dict[int, int]:
    """What the tracks of a part are called in the whole: as in the part before where they are the same hand."""
    pairs: list[tuple[float, int, int]] = []
    early = _tracks(table, table["frame_index"] < begin)
    late = _tracks(before, np.isin(before["frame_index"], table["frame_index"]))
    for track, rows in early.items():
        for other, other_rows in late.items():
            gap = _gap_m(table, rows, before, other_rows)
            if gap is not None and gap <= _SAME_HAND_M:
                pairs.append((gap, track, other))
    names: dict[int, int] = {}
    for _, track, other in sorted(pairs):
        if track not in names and other not in names.values():
            names[track] = other
    for track in np.unique(table["track_id"]).tolist():
        if track not in names:
            names[track], next_id = next_id, next_id + 1
    return names


def _tracks(table: Table, chosen: NDArray[np.bool_]) -> dict[int, NDArray[np.intp]]:
    rows = np.flatnonzero(chosen & np.isfinite(table["root_m"]).all(axis=1))
    return {int(track): rows[table["track_id"][rows] == track] for track in np.unique(table["track_id"][rows])}


def _gap_m(table: Table, rows: NDArray[np.intp], before: Table, others: NDArray[np.intp]) -> float | None:
    """Median distance in the frames that both are in; None where they share too few, or are of different sides."""
    if set(table["handedness"][rows]) != set(before["handedness"][others]):
        return None
    _, here, there = np.intersect1d(table["frame_index"][rows], before["frame_index"][others], return_indices=True)
    if len(here) < max(1, _LEAST_SHARE * min(len(rows), len(others))):
        return None
    apart = table["root_m"][rows[here]] - before["root_m"][others[there]]
    return float(np.median(np.linalg.norm(apart, axis=1)))
