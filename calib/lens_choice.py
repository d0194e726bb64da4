"""Which lens model do the views ask for? That which predicts best the views that it was not fitted to.

For each model a fifth of the views is left out in turn, the rest is solved, and the boards left out are put before that
camera. Coefficients that the views do not need make held-out views worse, so no penalty for their number has to be
chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calib.lens_models import LensModel
from handdgp_core.arrays import Array
from handdgp_core.geometry.camera import Camera

__all__ = ["LensTrial", "best_trial", "blind_share"]

_BETTER = 0.02  # part of the held-out cost: less is not worth another model than the usual one
_CLEARLY = 0.25  # of the held-out cost: half the held-out distance
_SIGMAS = 2.0  # of the mean gain over the views
_BLIND = 0.002  # share of the picture
# A lens that leaves less of the picture without an answer may be so many times as far off: hands that vanish weigh
# more.
_AS_GOOD, _FOR_THE_IMAGE = 1.02, 0.4
_GRID = (33, 25)


@dataclass(frozen=True)
class LensTrial:
    """One model on the views.

    Attributes:
        model: which.
        costs: (W,) half the robust sum of squares of each witness, held out, px^2.
        corners: how many corners that are.
        blind: share of the picture for which the fitted lens has no answer.
    """

    model: LensModel
    costs: Array
    corners: int
    blind: float

    @property
    def held_out_px(self) -> float:
        """Root of the mean squared distance of a held-out corner; far ones count linearly."""
        return float(np.sqrt(2.0 * max(0.0, self.costs.sum()) / self.corners))


def best_trial(trials: Sequence[LensTrial]) -> LensTrial:
    """The first, unless another predicts held-out views clearly better; nearly as well and more of the picture wins."""
    usual = trials[0]
    better = [trial for trial in trials[1:] if _is_better(usual, trial)]
    best = min(better, key=lambda trial: float(trial.costs.sum()), default=usual)
    if best.blind <= _BLIND:
        return best
    wider = [trial for trial in trials if trial.blind < 0.5 * best.blind and _is_as_good(trial, best)]
    return min(wider, key=lambda trial: float(trial.costs.sum()), default=best)


def blind_share(camera: Camera) -> float:
    """The share of the picture for which the lens has no answer, borders included."""
    across, down = (np.linspace(0, side - 1, count) for side, count in zip(camera.size, _GRID, strict=True))
    rays = camera.rays(np.stack(np.meshgrid(across, down), axis=-1))
    return float(1.0 - np.isfinite(rays).all(axis=-1).mean())


def _is_better(usual: LensTrial, other: LensTrial) -> bool:
    gain = usual.costs - other.costs
    # Half the distance is no chance, even where it comes from one view alone.
    if other.costs.sum() < _CLEARLY * usual.costs.sum():
        return True
    least = max(_BETTER * usual.costs.sum(), _SIGMAS * np.sqrt(gain.size) * gain.std())
    return bool(np.isfinite(other.costs).all() and gain.sum() > least)


def _is_as_good(wider: LensTrial, best: LensTrial) -> bool:
    most = _AS_GOOD + _FOR_THE_IMAGE * (best.blind - wider.blind)
    return bool(wider.held_out_px <= most * best.held_out_px)
