"""The covariance of a solution from how much each view moves it, which holds where a view's corners err together.

Residuals of real images are correlated within a view: the paper flexes, light and focus move all corners alike. A
covariance from their size alone takes every corner for a witness of its own and is two to three times too small.
Leaving a view out, and looking at how far the solution goes, takes each view for one witness.
"""

from __future__ import annotations

import numpy as np

from calib.normal_equations import NormalEquations
from handdgp_core.arrays import Array

__all__ = ["delete_a_view_steps", "honest_covariance"]

_PRIOR_VIEWS = 6  # the weight, in views, of the shape that the information gives to the covariance


def delete_a_view_steps(information: Array, view_information: Array, view_gradient: Array) -> Array:
    """(V, K) how far the shared parameters move when a view is left out, by one Gauss-Newton step.

    Args:
        information: (K, K) of the shared parameters, poses eliminated, priors included.
        view_information: (V, K, K) the part of each view.
        view_gradient: (V, K) the gradient that each view contributes at the solution.
    """
    steps = np.linalg.solve(information - view_information, view_gradient[..., None])
    return np.asarray(steps[..., 0], dtype=np.float64)


def honest_covariance(equations: NormalEquations, noise_px: float, prior_gradient: Array) -> Array:
    """(12, 12) covariance of the shared parameters at a solution.

    The jackknife's covariance has as many independent terms as there are views less one, so with few views its single
    entries are a lottery. It is therefore averaged with the classical covariance, scaled to the mean pull of the views;
    that one counts as much as six views do.

    Args:
        equations: at the solution, without weights, priors included.
        noise_px: standard deviation of a corner's coordinate.
        prior_gradient: (12,) variance of the priors' own pull, the diagonal of a (12, 12) matrix.
    """
    information, (view_information, view_gradient) = equations.reduced()[0], equations.by_view()
    count = len(view_gradient)
    inverse = np.linalg.inv(information)
    steps = delete_a_view_steps(information, view_information, view_gradient)
    steps = steps - steps.mean(axis=0)
    # What a prior holds does not move with the views: the prior's own uncertainty is added.
    jackknife = (count - 1) / count * steps.T @ steps + inverse @ (prior_gradient[:, None] * inverse)
    pull = np.einsum("vi,ij,vj->", view_gradient, inverse, view_gradient) * count / (count - 1)
    classical = max(noise_px**2, float(pull) / len(information)) * inverse
    share = count / (count + _PRIOR_VIEWS)
    covariance = share * jackknife + (1.0 - share) * classical
    return np.asarray(0.5 * (covariance + covariance.T), dtype=np.float64)
