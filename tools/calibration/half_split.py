"""Is the stated ± of a calibration honest? Random halves of real sets of pictures against each other.

`python -m tools.calibration.half_split FOLDER BOARD [FOLDER BOARD ...]`: the difference of the focal lengths of two
halves over the standard deviation that both state; a normal distribution has a median of 0.67 and an rms of 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from calib.boards import Board
from calib.solve import Solution, solve
from calib.views import View
from handdgp_core.arrays import Array
from handdgp_core.errors import CalibrationError
from tools.calibration.held_out import views_in

__all__ = ["main"]

_HALVINGS = 40
_LEAST_VIEWS = 4  # in a half


def _z(one: Solution, other: Solution) -> Array:
    """(2,) of fx and fy."""
    variance = np.diag(one.covariance)[:2] + np.diag(other.covariance)[:2]
    return np.asarray((one.camera.pinhole[:2] - other.camera.pinhole[:2]) / np.sqrt(variance), dtype=np.float64)


def _measured(board: Board, views: list[View], random: np.random.Generator) -> Array:
    """(N,) of all halvings that could be solved."""
    found = []
    for _ in range(_HALVINGS):
        order = random.permutation(len(views))
        halves = order[: len(views) // 2], order[len(views) // 2 :]
        try:
            found.append(_z(*(solve(board, [views[i] for i in half]) for half in halves)))
        except CalibrationError:
            continue
    return np.ravel(found)


def main() -> None:
    """Print a line for every set, and one for all."""
    arguments = sys.argv[1:]
    if not arguments or len(arguments) % 2:
        raise SystemExit(__doc__)
    every = []
    for folder, spec in zip(arguments[::2], arguments[1::2], strict=True):
        board = Board.parse(spec)
        views = views_in(Path(folder), board)
        if len(views) >= 2 * _LEAST_VIEWS:
            every.append(_measured(board, views, np.random.default_rng(1)))
            print(f"{Path(folder).name:26} {_told(every[-1])}", flush=True)
    print(f"{'all':26} {_told(np.concatenate(every))}")


def _told(z: Array) -> str:
    size = np.abs(z)
    near = 100 * np.mean(size < 2.0)
    return f"z of {len(z)}: median {np.median(size):.2f}, rms {np.sqrt(np.mean(size**2)):.2f}, below 2: {near:.0f} %"


if __name__ == "__main__":
    main()
