"""How often a change of focus during a calibration is noticed, and how often an honest session is called changed.

`python -m tools.calibration.refocus_rates FOLDER BOARD [FOLDER BOARD ...]` takes random views of real pictures and
enlarges some of them by 5 % about the middle, as a zoom would: the later ones from the middle of the session on, from
any moment on, or half of them in any order. A calibration that is not refused, and not said to contradict itself, has
passed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calib.boards import Board
from calib.quality import calibrate
from calib.views import View
from handdgp_core.errors import CalibrationError
from tools.calibration.held_out import views_in

__all__ = ["main"]

_ZOOM = 1.05
_TRIALS = 10
_LEAST_VIEWS, _MOST_VIEWS = 8, 16
_Which = Callable[[int, np.random.Generator], NDArray[np.bool_]]


def _none(count: int, _: np.random.Generator) -> NDArray[np.bool_]:
    return np.zeros(count, dtype=np.bool_)


def _late(count: int, _: np.random.Generator) -> NDArray[np.bool_]:
    return np.arange(count) >= count // 2


def _from_any_moment(count: int, random: np.random.Generator) -> NDArray[np.bool_]:
    return np.arange(count) >= random.integers(3, count - 2)


def _mixed(count: int, random: np.random.Generator) -> NDArray[np.bool_]:
    return np.asarray(random.permutation(count) < count // 2)


_SESSIONS: dict[str, _Which] = {
    "honest": _none,
    "zoomed from the middle": _late,
    "from any moment": _from_any_moment,
    "mixed": _mixed,
}


def _zoomed(view: View) -> View:
    middle = 0.5 * (np.array(view.size) - 1)
    return replace(view, corners_px=middle + _ZOOM * (view.corners_px - middle))


def _outcome(board: Board, views: list[View]) -> str:
    try:
        _, verdict = calibrate(board, views)
    except CalibrationError:
        return "not solved"
    if verdict.halves is not None and verdict.halves.contradicts:
        return "called"
    return "refused otherwise" if not verdict.usable else verdict.grade


def _measure(board: Board, views: list[View], which: _Which) -> Counter[str]:
    random, outcomes = np.random.default_rng(0), Counter[str]()
    for _ in range(_TRIALS):
        count = int(random.integers(min(_LEAST_VIEWS, len(views)), min(_MOST_VIEWS, len(views)) + 1))
        chosen = [views[i] for i in sorted(random.permutation(len(views))[:count])]
        outcomes[
            _outcome(board, [_zoomed(v) if z else v for v, z in zip(chosen, which(count, random), strict=True)])
        ] += 1
    return outcomes


def main() -> None:
    """Print a line for every set and kind of session, and one for all sets."""
    arguments = sys.argv[1:]
    if not arguments or len(arguments) % 2:
        raise SystemExit(__doc__)
    every = {name: Counter[str]() for name in _SESSIONS}
    for folder, spec in zip(arguments[::2], arguments[1::2], strict=True):
        board = Board.parse(spec)
        views = views_in(Path(folder), board)
        for name, which in _SESSIONS.items():
            outcomes = _measure(board, views, which)
            every[name] += outcomes
            print(f"{Path(folder).name:26} {name:24} {_listed(outcomes)}", flush=True)
    for name, outcomes in every.items():
        print(f"{'all':26} {name:24} {_listed(outcomes)}")


def _listed(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())


if __name__ == "__main__":
    main()
