"""The covariance of a solution from how much each view moves it, which holds where a view's corners err together.

Residuals of real images are correlated within a view: the paper flexes, light and focus move all corners alike. A
covariance from their size alone takes every corner for a witness of its own and is two to three times too small.
Dropping a view, and looking at how far the solution goes, takes each view for one witness; views that look alike
are one witness together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array

__all__ = ["Witnesses"]

_PRIOR_COUNT = 6  # the weight, in witnesses, of the shape that the information gives to the covariance


@dataclass(frozen=True)
class Witnesses:
    """What each view, or several that look alike, contribute to the shared parameters near a solution.

    Attributes:
        information: (W, K, K) of each, poses eliminated.
        gradient: (W, K) of each at the solution.
        prior: (K, K) information of the priors.
        prior_gradient: (K,) of the priors at the solution.
        prior_covariance: (K, K) of the priors' own gradient.
        noise_px: standard deviation of a corner's coordinate.
    """

    information: Array
    gradient: Array
    prior: Array
    prior_gradient: Array
    prior_covariance: Array
    noise_px: float

    def __len__(self) -> int:
        return len(self.gradient)

    def merged(self, labels: NDArray[np.intp]) -> Witnesses:
        """Those with the same label (W,) taken for one."""
        labels = np.unique(labels, return_inverse=True)[1]
        count = int(labels.max()) + 1
        information, gradient = (
            np.zeros((count, *self.information.shape[1:])),
            np.zeros((count, self.gradient.shape[1])),
        )
        np.add.at(information, labels, self.information)
        np.add.at(gradient, labels, self.gradient)
        return replace(self, information=information, gradient=gradient)

    def without_each(self) -> Array:
        """(W, K) how far the parameters move when a witness is dropped, by one Gauss-Newton step."""
        steps = np.linalg.solve(self._whole() - self.information, self.gradient[..., None])
        return np.asarray(steps[..., 0], dtype=np.float64)

    def covariance(self) -> Array:
        """(K, K) covariance of the parameters.

        The jackknife's covariance has as many independent terms as there are witnesses less one, so with few of them
        its single entries are a lottery. It is therefore averaged with the classical covariance, scaled to the mean
        pull of the witnesses; that one counts as much as six witnesses do.
        """
        count, inverse = len(self), np.linalg.inv(self._whole())
        steps = self.without_each()
        steps = steps - steps.mean(axis=0)
        # What a prior holds does not move with the views: the prior's own uncertainty is added.
        held = inverse @ self.prior_covariance @ inverse
        jackknife = (count - 1) / count * steps.T @ steps + held
        pull = float(np.einsum("wi,ij,wj->", self.gradient, inverse, self.gradient)) / len(inverse)
        classical = max(self.noise_px**2, pull * count / max(1, count - 1)) * inverse
        share = count / (count + _PRIOR_COUNT)
        covariance = share * jackknife + (1.0 - share) * classical
        return np.asarray(0.5 * (covariance + covariance.T), dtype=np.float64)

    def alone(self, chosen: NDArray[np.intp], labels: NDArray[np.intp]) -> tuple[Array, Array]:
        """The solution of some of them without the others, by one Gauss-Newton step.

        Args:
            chosen: (N,) indices.
            labels: (N,) the same for those that are one witness together.

        Returns:
            (K,) by which the parameters move, and their (K, K) covariance.
        """
        information, gradient = self.information[chosen], self.gradient[chosen]
        whole = information.sum(axis=0) + self.prior
        step = -np.linalg.solve(whole, gradient.sum(axis=0) + self.prior_gradient)
        moved = replace(self, information=information, gradient=gradient + information @ step)
        return np.asarray(step, dtype=np.float64), moved.merged(labels).covariance()

    def _whole(self) -> Array:
        return np.asarray(self.information.sum(axis=0) + self.prior, dtype=np.float64)
