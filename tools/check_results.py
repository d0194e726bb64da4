"""Whether what `process` wrote holds hands in metres: python tools/check_results.py FOLDER [--same-as OTHER]."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np


def main() -> None:
    """Ends with a sentence and exit code 1 at the first thing that does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, help="how many frames were asked for")
    parser.add_argument("--same-as", type=Path, help="another folder, whose hands must be the same to the last bit")
    arguments = parser.parse_args()
    hands = check(arguments.folder, arguments.frames)
    if arguments.same_as is not None:
        compare(hands, check(arguments.same_as, arguments.frames))
    print(f"{arguments.folder.name}: {len(hands['root_m'])} hands, the first {hands['root_m'][0, 2] * 100:.1f} cm away")


def check(folder: Path, frames: int | None) -> dict[str, np.ndarray]:
    """The predictions of a folder, if they and the summary are whole and plausible."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    with np.load(folder / "predictions.npz", allow_pickle=False) as file:
        hands = {name: file[name] for name in file.files}
    expect(not summary["cancelled"] and summary["frames"] > 0, "frames were processed")
    expect(frames is None or summary["frames"] == frames, f"{frames} frames were processed")
    expect(summary["hands"] == len(hands["root_m"]) > 0, "the summary counts the hands of the table")
    expect(summary["frames_with_hands"] >= 0.4 * summary["frames"], "hands in a good part of the demo")
    expect(hands["vertices_m"].shape[1:] == (1609, 3), "a mesh of 1609 vertices")
    near = np.isfinite(hands["root_m"]).all(axis=1) & (hands["root_m"][:, 2] > 0.1) & (hands["root_m"][:, 2] < 1.5)
    expect(bool(near.mean() > 0.95), "hands between 10 cm and 1.5 m")
    return hands


def compare(hands: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> None:
    """Every table equal to the last bit."""
    expect(hands.keys() == others.keys(), "the same tables")
    for name, values in hands.items():
        expect(np.array_equal(values, others[name], equal_nan=values.dtype.kind == "f"), f"the same {name}")


def expect(holds: bool, what: str) -> None:
    """End here unless it holds."""
    if not holds:
        raise SystemExit(f"Wanted: {what}. That is not so.")


if __name__ == "__main__":
    main()
