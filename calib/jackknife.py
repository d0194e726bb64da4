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

_HARDLY_HELD = 0.04  # px^-2 on a difference between two groups of views, so that it is never undetermined
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

        Errors over a standard deviation that is itself known from few witnesses have Student's distribution, which is
        wider than the normal one. With W + 1 degrees of freedom (W - 1 of the jackknife, some of the classical part;
        chosen on ten real sets) its variance is (W + 1) / (W - 1).
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
        covariance = (count + 1) / max(1, count - 1) * (share * jackknife + (1.0 - share) * classical)
        return np.asarray(0.5 * (covariance + covariance.T), dtype=np.float64)

    def between(
        self, first: NDArray[np.bool_], labels: NDArray[np.intp], directions: Array
    ) -> tuple[Array, Array, Array]:
        """By how much the parameters of the others differ from those of the first, in some directions alone.

        Everything else is common to both, so a few views tell a difference that each part by itself could not.

        Args:
            first: (W,) which they are.
            labels: (W,) the same for those that are one witness together.
            directions: (K, M) of the difference, such that all that can be lies between -1 and 1.

        Returns:
            (M,) differences, their (M, M) covariance, and (2, W) half the sum of squares of each, px^2, as one of the
            first and as one of the others; less what it is at the common solution.
        """
        count, more = directions.shape
        of_others = np.where(first[:, None, None], 0.0, directions)
        seen_by = np.concatenate([np.broadcast_to(np.eye(count), (len(self), count, count)), of_others], axis=2)
        information = np.swapaxes(seen_by, 1, 2) @ self.information @ seen_by
        gradient = np.einsum("wij,wi->wj", seen_by, self.gradient)
        prior, prior_covariance = (np.pad(one, (0, more)) for one in (self.prior, self.prior_covariance))
        prior[count:, count:] = _HARDLY_HELD * np.eye(more)
        pull = np.pad(self.prior_gradient, (0, more))
        step = -np.linalg.solve(information.sum(axis=0) + prior, gradient.sum(axis=0) + pull).astype(np.float64)
        both = Witnesses(information, gradient + information @ step, prior, pull, prior_covariance, self.noise_px)
        covariance = both.merged(2 * labels + first).covariance()
        costs = [
            0.5 * np.einsum("i,wij,j->w", at, self.information, at) + self.gradient @ at
            for at in (step[:count], step[:count] + directions @ step[count:])
        ]
        return step[count:], covariance[count:, count:], np.stack(costs)

    def _whole(self) -> Array:
        return np.asarray(self.information.sum(axis=0) + self.prior, dtype=np.float64)
