"""Parts of a long video, and their tables as one again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.batch.parts import Part, join, split


@given(st.integers(1, 500), st.integers(1, 100), st.integers(0, 40))
def test_parts_cover_every_frame_once(frames: int, part: int, overlap: int) -> None:
    parts = split(frames, part, overlap)
    assert [piece.number for piece in parts] == list(range(len(parts)))
    covered = [frame for piece in parts for frame in range(piece.begin, piece.end or frames)]
    assert covered == list(range(frames))
    assert all(piece.first == max(0, piece.begin - overlap) for piece in parts)


def test_what_nobody_knows_the_length_of_is_not_split() -> None:
    assert split(None, 10, 2) == split(100, None, 2) == split(11, 10, 2) == [Part(0, 0, 0, None)]


def table(path: Path, rows: list[tuple[int, int, str, float]]) -> Path:
    """Rows of frame, track, side, and x of the root."""
    frames, tracks, sides, places = zip(*rows, strict=True) if rows else ((), (), (), ())
    root = np.zeros((len(rows), 3), np.float32)
    root[:, 0] = places
    np.savez(
        path, frame_index=np.array(frames, np.int64), track_id=np.array(tracks, np.int64),
        handedness=np.array(sides, "<U5"), root_m=root, faces=np.zeros((2, 3), np.int32),
    )  # fmt: skip
    return path


def joined(tmp_path: Path, *tables: tuple[Part, list]) -> dict[str, np.ndarray]:
    parts = [(part, table(tmp_path / f"{part.number}.npz", rows)) for part, rows in tables]
    join(parts, tmp_path / "whole.npz")
    with np.load(tmp_path / "whole.npz", allow_pickle=False) as stored:
        return dict(stored)


def test_tracks_go_on_across_a_seam(tmp_path: Path) -> None:
    first = [
        (frame, track, side, x) for frame in range(10) for track, side, x in ((3, "right", 0.1), (5, "left", -0.1))
    ]
    second = [
        (frame, track, side, x) for frame in range(7, 20) for track, side, x in ((0, "left", -0.1), (1, "right", 0.11))
    ]
    second += [(15, 2, "right", 0.5)]
    whole = joined(tmp_path, (Part(0, 0, 0, 10), first), (Part(1, 7, 10, None), second))
    assert len(whole["frame_index"]) == 41 and whole["faces"].shape == (2, 3)
    by_side = {
        side: set(whole["track_id"][(whole["handedness"] == side) & (whole["root_m"][:, 0] < 0.4)])
        for side in ("right", "left")
    }
    assert by_side == {"right": {3}, "left": {5}}
    assert set(whole["track_id"]) == {3, 5, 6}, "a hand that came later has a number of its own"


@pytest.mark.parametrize("other", [("left", 0.1), ("right", 0.3)])
def test_another_hand_gets_another_number(other: tuple[str, float], tmp_path: Path) -> None:
    first = [(frame, 0, "right", 0.1) for frame in range(10)]
    second = [(frame, 0, *other) for frame in range(7, 14)]
    whole = joined(tmp_path, (Part(0, 0, 0, 10), first), (Part(1, 7, 10, None), second))
    assert whole["track_id"].tolist() == [0] * 10 + [1] * 4


def test_parts_without_hands(tmp_path: Path) -> None:
    rows = [(frame, 0, "right", 0.1) for frame in range(12, 15)]
    whole = joined(tmp_path, (Part(0, 0, 0, 10), []), (Part(1, 7, 10, None), rows))
    assert whole["track_id"].tolist() == [0, 0, 0]
