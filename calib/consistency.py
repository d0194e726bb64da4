"""Do the views of a solution agree with each other? The solution of some is compared with that of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.solve import MIN_VIEWS, Solution
from handdgp_core.arrays import Array

__all__ = ["SplitHalf", "split_half"]

_FOCAL_AGREES, _FOCAL_CONTRADICTS = 0.002, 0.02  # parts of the focal length
_CENTRE_AGREES, _CENTRE_CONTRADICTS = 0.0025, 0.01  # parts of the picture's width
_SIGMAS = 3.5  # for a split that does not look at the views; a false alarm in a thousand
_MOMENT_SIGMAS = 4.5  # for the worst of all moments
# For groups that are sorted by their own pull, which always finds some difference: by focal length, by principal point.
_SORTED_SIGMAS = (5.0, 8.0, 8.0)
_FIRST_GUESSES_PERCENT = (25, 33, 50, 67, 75)  # of the views in the first of two groups
_MOST_CHANGES = 20


@dataclass(frozen=True)
class SplitHalf:
    """One part of the views against the rest.

    Attributes:
        parts: which, for a sentence: "the first half of the views and the second".
        focal_difference: between their focal lengths, as a part of them; positive.
        expected: standard deviation of that difference if the views agree.
        centre_px, centre_expected_px: (2,) the same for the principal point, pixels.
        width: of the picture.
        limit: how many standard deviations are too many.
    """

    parts: str
    focal_difference: float
    expected: float
    centre_px: Array
    centre_expected_px: Array
    width: int
    limit: float = _SIGMAS

    @property
    def excess(self) -> float:
        """The largest difference over its standard deviation and the limit for that; above 1 is more than chance."""
        centre = float(np.max(np.abs(self.centre_px) / self.centre_expected_px))
        return max(self.focal_difference / self.expected, centre) / self.limit

    @property
    def focal_agrees(self) -> bool:
        """Whether noise alone explains the difference of the focal lengths, or it is too small to matter."""
        return self.focal_difference <= max(self.limit * self.expected, _FOCAL_AGREES)

    @property
    def agrees(self) -> bool:
        """The same for focal length and principal point."""
        limit = np.maximum(self.limit * self.centre_expected_px, _CENTRE_AGREES * self.width)
        return self.focal_agrees and bool((np.abs(self.centre_px) <= limit).all())

    @property
    def contradicts(self) -> bool:
        """Whether the difference is so large that the views cannot show one camera with one focus."""
        focal = not self.focal_agrees and self.focal_difference > _FOCAL_CONTRADICTS
        limit = np.maximum(self.limit * self.centre_expected_px, _CENTRE_CONTRADICTS * self.width)
        return focal or bool((np.abs(self.centre_px) > limit).any())

    @property
    def words(self) -> str:
        """The differences that are more than chance, for a sentence."""
        listed = []
        if not self.focal_agrees:
            listed.append(f"{100 * self.focal_difference:.1f} % in focal length")
        if self.focal_agrees or float(np.max(np.abs(self.centre_px) / self.centre_expected_px)) > self.limit:
            listed.append(f"{float(np.hypot(*self.centre_px)):.0f} px in the principal point")
        return " and ".join(listed)


def split_half(solution: Solution) -> SplitHalf | None:
    """The split that shows the worst contradiction; None with fewer than six distinct views.

    The views before some moment against those after it (the camera refocused, or a second one follows), every other
    one against the rest (the board moved or bent), and the two groups that differ most (two cameras, or turned images,
    mixed in any order), against a stricter limit. What differs is the focal length or the principal point alone.
    """
    count = len(solution.views)
    if solution.distinct_count < 2 * MIN_VIEWS:
        return None
    order = np.arange(count)
    splits = [_split(solution, order % 2 == 0, "every other view and the rest", _SIGMAS)]
    for later in range(MIN_VIEWS, count - MIN_VIEWS + 1):
        last = solution.views[later - 1].name or f"view {later}"
        splits.append(_split(solution, order < later, f"the views up to {last} and those after it", _MOMENT_SIGMAS))
    for direction, limit in zip(_directions(solution).T, _SORTED_SIGMAS, strict=True):
        apart = _most_different(solution, direction)
        if apart is not None:
            splits.append(_split(solution, apart, "some of the views and the rest", limit))
    return max(splits, key=lambda split: (split.contradicts, not split.agrees, split.excess))


def _split(solution: Solution, first: NDArray[np.bool_], parts: str, limit: float) -> SplitHalf:
    directions, focal, known = _directions(solution), float(np.mean(solution.camera.focal_px)), solution.by_view
    zoomed, zoomed_covariance, _ = known.between(first, solution.labels, directions[:, :1])
    moved, moved_covariance, _ = known.between(first, solution.labels, directions[:, 1:])
    return SplitHalf(
        parts,
        abs(float(zoomed[0])),
        float(np.sqrt(zoomed_covariance[0, 0])),
        focal * moved,
        focal * np.sqrt(np.diag(moved_covariance)),
        solution.camera.width,
        limit,
    )


def _directions(solution: Solution) -> Array:
    """(K, 3) what changes the shared parameters: the focal length, and both ways of the principal point, by as much."""
    directions = np.zeros((len(solution.covariance), 3))
    directions[:2, 0] = solution.camera.focal_px
    directions[2, 1] = directions[3, 2] = np.mean(solution.camera.focal_px)
    return directions


def _most_different(solution: Solution, direction: Array) -> NDArray[np.bool_] | None:
    """(V,) the first of two groups of views that differ most in one direction (K,) of the shared parameters.

    From several first guesses every view goes to the group that it fits, until none changes; those that explain
    most win. None where no two groups of enough views do.
    """
    known = solution.by_view
    stiffness = np.einsum("i,wij,j->w", direction, known.information, direction)
    pull = -(known.gradient @ direction) / np.maximum(stiffness, 1e-9 * stiffness.max())
    found: list[tuple[float, NDArray[np.bool_]]] = []
    for percent in _FIRST_GUESSES_PERCENT:
        first = pull < np.percentile(pull, percent)
        for _ in range(_MOST_CHANGES):
            if min(first.sum(), (~first).sum()) < MIN_VIEWS:
                break
            costs = known.between(first, solution.labels, direction[:, None])[2]
            before, first = first, np.asarray(costs[0] <= costs[1])
            if (first == before).all():
                found.append((float(costs.min(axis=0).sum()), first))
                break
    return min(found, key=lambda one: one[0])[1] if found else None
