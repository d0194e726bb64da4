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
_SORTED_SIGMAS = 8.0  # for one that sorts the views by their own pull, which always finds some difference


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

    The first views against the last (the camera refocused, or a second one follows), every other one against the rest
    (the board moved or bent), and, against a stricter limit, the views sorted by their own pull (two cameras, or turned
    images, mixed in any order).
    """
    count = len(solution.views)
    if solution.distinct_count < 2 * MIN_VIEWS:
        return None
    order = np.arange(count)
    splits = [
        _split(solution, order < count // 2, "the first half of the views and the second", _SIGMAS),
        _split(solution, order % 2 == 0, "every other view and the rest", _SIGMAS),
    ]
    pull = -np.linalg.solve(solution.information, solution.by_view.gradient.T).T[:, [0, 2, 3]]
    for one in pull.T:
        above = one > 0
        if min(above.sum(), (~above).sum()) >= MIN_VIEWS:
            splits.append(_split(solution, above, "some of the views and the rest", _SORTED_SIGMAS))
    return max(splits, key=lambda split: (split.contradicts, not split.agrees, split.excess))


def _split(solution: Solution, first: NDArray[np.bool_], parts: str, limit: float) -> SplitHalf:
    moved, spread = solution.by_view.alone(np.flatnonzero(first), solution.labels[first])
    moved_rest, spread_rest = solution.by_view.alone(np.flatnonzero(~first), solution.labels[~first])
    pick = np.zeros((3, len(moved)))
    pick[0, :2] = 0.5 / np.array(solution.camera.focal_px)
    pick[1, 2] = pick[2, 3] = 1.0
    difference = pick @ (moved - moved_rest)
    expected = np.sqrt(np.diag(pick @ (spread + spread_rest) @ pick.T))
    return SplitHalf(
        parts, abs(float(difference[0])), float(expected[0]), difference[1:], expected[1:], solution.camera.width, limit
    )
