"""How often a check of a calibration is right, on real pictures of boards.

`python -m tools.calibration.check_rates FOLDER BOARD [FOLDER BOARD ...]` calibrates with one random half of the views
and checks with the others, one after the other until there is an answer: the calibration as it is, and with focal
lengths that are 3 % too long and too short.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from calib.boards import Board
from calib.check import WRONG_BY, CalibrationCheck
from calib.quality import judge
from calib.solve import Solution, solve
from calib.views import View
from handdgp_core.errors import CalibrationError
from tools.calibration.held_out import views_in

__all__ = ["main"]

_HALVINGS = 12
_LIMITS_PERCENT = (1.0, 2.0)  # two standard deviations of the focal length: the classes that are told apart


@dataclass
class _Rates:
    honest: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    views: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        told = [f"{sum(one.values()):3} {name}: {_listed(one)}" for name, one in vars(self).items() if name != "views"]
        return "; ".join(told) + f"; views used {np.mean(self.views or [0]):.1f}"


def _listed(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())


def _off_by(part: float, solution: Solution) -> Solution:
    matrix = solution.camera.matrix.copy()
    matrix[:2, :2] *= 1 + part
    return replace(solution, camera=replace(solution.camera, matrix=matrix))


def _checked(solution: Solution, views: Sequence[View]) -> tuple[str, int]:
    check, outcome = CalibrationCheck(solution.board, solution.camera, solution), "cannot tell"
    for number, view in enumerate(views, start=1):
        outcome = check.add(view).outcome
        if outcome != "cannot tell":
            return outcome, number
    return outcome, len(views)


def _measure(board: Board, views: list[View], rates: dict[float, _Rates], random: np.random.Generator) -> None:
    for _ in range(_HALVINGS):
        order = random.permutation(len(views))
        half = len(views) // 2
        chosen, rest = [views[i] for i in order[:half]], [views[i] for i in order[half:]]
        try:
            solution = solve(board, chosen)
        except CalibrationError:
            continue
        verdict = judge(solution)
        limit = next((limit for limit in _LIMITS_PERCENT if verdict.focal_percent <= limit), None)
        if not verdict.usable or limit is None:
            continue
        for part in (0.0, WRONG_BY, -WRONG_BY):
            outcome, count = _checked(_off_by(part, solution), rest)
            (rates[limit].wrong if part else rates[limit].honest)[outcome] += 1
            rates[limit].views.append(count)


def main() -> None:
    """Print a line for every set, and one for all."""
    arguments = sys.argv[1:]
    if not arguments or len(arguments) % 2:
        raise SystemExit(__doc__)
    every = {limit: _Rates() for limit in _LIMITS_PERCENT}
    for folder, spec in zip(arguments[::2], arguments[1::2], strict=True):
        board, rates = Board.parse(spec), {limit: _Rates() for limit in _LIMITS_PERCENT}
        _measure(board, views_in(Path(folder), board), rates, np.random.default_rng(0))
        for limit, one in rates.items():
            every[limit].honest += one.honest
            every[limit].wrong += one.wrong
            every[limit].views += one.views
            if one.views:
                print(f"{Path(folder).name:26} known to {limit:g} %: {one}", flush=True)
    for limit, one in every.items():
        print(f"{'all':26} known to {limit:g} %: {one}", flush=True)


if __name__ == "__main__":
    main()
