"""How one view fits the solution: its corners, how far off they are, and which of them were left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.solve import Solution
from calib.views import View
from handdgp_core.arrays import Array

__all__ = ["ViewFit", "view_fit"]

_FAR = 4.0  # standard deviations: such a corner is marked, though it took part


@dataclass(frozen=True)
class ViewFit:
    """One view.

    Attributes:
        view: the corners that took part.
        off_px: (N, 2) projected minus seen.
        far: (N,) whether that is more than noise explains.
        left_out: (M,) numbers of corners that were found and left out.
        left_out_px: (M, 2) where they are.
    """

    view: View
    off_px: Array
    far: NDArray[np.bool_]
    left_out: NDArray[np.int32]
    left_out_px: Array


def view_fit(solution: Solution, index: int, found: View) -> ViewFit:
    """Of the view with an index in the solution; `found` is the same with every corner that was found."""
    off = solution.residuals_px[index]
    out = np.isin(found.ids, [corner for view, corner in solution.dropped if view == index])
    far = np.abs(off).max(axis=1) > _FAR * solution.noise_px
    return ViewFit(solution.views[index], off, far, found.ids[out], found.corners_px[out])
