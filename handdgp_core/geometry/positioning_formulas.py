"""DGP's formulas, written once for torch and NumPy (`xp` is the module): see `positioning` for what they mean.

Shapes: B batch, K keypoints. `points` is a tuple X, Y, Z of (B, K); `plane` a tuple x, y of (B, K): keypoints on the
plane z = 1; `weights` (B, K) relative to each sample's largest. Roots are tuples of (B,).

Both solves have one structure. A row pair [-1, 0, x] t, [0, -1, y] t gives the normal matrix [[S, 0, -Sx], [0, S, -Sy],
[-Sx, -Sy, Sxx + Syy]] of weighted sums, and eliminating the lateral unknowns leaves the depth alone, divided by the
weighted scatter of the keypoints about their mean. Centred like this nothing cancels, and the system is singular
exactly where that scatter is 0: where all keypoints coincide (seed document, section 2).
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["REASONS", "Outcome", "implicit_root", "position", "published_root", "used_only"]

# Tensors of torch or arrays of NumPy; nothing here tells them apart.
Tensor = Any
Triple = tuple[Tensor, Tensor, Tensor]
Pair = tuple[Tensor, Tensor]

REASONS: tuple[str | None, ...] = (
    None,
    "input not finite, or a negative weight",
    "fewer than 3 keypoints with weight",
    "keypoints nearly coincide in the image",
    "a point behind the camera",
    "result not finite",
    "depth not determined: its standard deviation is more than half of it",
)
_INPUT, _TOO_FEW, _COINCIDENT, _BEHIND, _RESULT, _UNDETERMINED = range(1, 7)

# Two keypoints would fix the three unknowns, but with one equation to spare a single wrong keypoint could not show.
LEAST_KEYPOINTS = 3
# A keypoint counts as one from this part of the largest weight on: below it, it adds a millionth to the equations.
LEAST_WEIGHT = 1e-3
# Root mean square distance from the mean, relative to the length of the mean's ray: one pixel of a webcam.
LEAST_SPREAD = 1e-3
LEAST_DEPTH_M = 1e-3
# Standard deviation of the depth over the depth. Beyond it, keypoints and points have nothing to do with each other.
MOST_RELATIVE_STD = 0.5
MAX_STEPS = 12
_DONE = 1e-11  # relative change of depth


class Outcome(NamedTuple):
    """Solution of a batch: `root` and `covariance` of every sample, also where `code` says not to use them."""

    root: Tensor  # (B, 3)
    covariance: Tensor  # (B, 3, 3)
    code: Tensor  # (B,) index into REASONS
    singular: Tensor  # (B,) bool: the system has no solution, or not one in finite numbers (seed document, section 2)
    refined: Tensor  # (B,) bool: `root` minimises the reprojection error; else it is the published solve's


class _Fit(NamedTuple):
    """What there is to know at one depth of the root, with the lateral position that is best at that depth."""

    root: Triple  # (B,) each
    nearest: Tensor  # (B,) depth of the nearest keypoint
    cost: Tensor  # (B,) sum of weighted squares
    slope: Tensor  # (B,) minus half the derivative of the cost over depth
    curvature: Tensor  # (B,) half its second derivative
    bound: Tensor  # (B,) positive, not below the curvature


def position(xp: Any, points: Triple, plane: Pair, weights: Tensor, noise_floor: Tensor, refined: bool) -> Outcome:
    """Solve, check, and say how sure the solution is."""
    broken = _broken(xp, points, plane, weights)
    points, plane, weights = used_only(xp, points, plane, weights)
    few = (weights > LEAST_WEIGHT).sum(-1) < LEAST_KEYPOINTS
    coincident = _spread_squared(plane, weights * weights) < LEAST_SPREAD**2
    unsolvable = broken | few | coincident

    root = published_root(points, plane, weights)
    behind = ~_in_front(xp, points, weights, root[2])
    refinable = xp.zeros_like(few)
    if refined:
        refinable = ~(unsolvable | behind)
        root = _refined_root(xp, points, plane, weights, root, ~refinable)
        behind = behind | ~_in_front(xp, points, weights, root[2])
    covariance, relative = _covariance(xp, points, plane, weights, root, noise_floor, refined)

    stacked = xp.stack(root, -1)
    finite = xp.isfinite(stacked).all(-1) & xp.isfinite(covariance).all(-1).all(-1)
    reasons = (few, coincident, ~finite, behind, ~(relative < MOST_RELATIVE_STD))
    code = xp.where(broken, _INPUT, 0)
    for number, found in zip((_TOO_FEW, _COINCIDENT, _RESULT, _BEHIND, _UNDETERMINED), reasons, strict=True):
        code = xp.where((code == 0) & found, number, code)
    return Outcome(stacked, covariance, code, broken | coincident | ~finite, refinable)


def used_only(xp: Any, points: Triple, plane: Pair, weights: Tensor) -> tuple[Triple, Pair, Tensor]:
    """Zeros in place of keypoints without weight, so that they take no part whatever they hold."""
    used = weights > 0
    x, y, z = (xp.where(used, part, 0.0) for part in points)
    u, v = (xp.where(used, part, 0.0) for part in plane)
    return (x, y, z), (u, v), xp.where(used, weights, 0.0)


def published_root(points: Triple, plane: Pair, weights: Tensor) -> Triple:
    """The weighted least-squares solution of [-1, 0, x] t = X - Z x, [0, -1, y] t = Y - Z y, in closed form."""
    (x3, y3, z3), (x, y) = points, plane
    squared = weights * weights
    mean_x, mean_y = _mean(x, squared), _mean(y, squared)
    from_x, from_y = x - mean_x[..., None], y - mean_y[..., None]
    right_x, right_y = x3 - z3 * x, y3 - z3 * y
    scatter = (squared * (from_x * from_x + from_y * from_y)).sum(-1)
    depth = (squared * (from_x * right_x + from_y * right_y)).sum(-1) / scatter
    return mean_x * depth - _mean(right_x, squared), mean_y * depth - _mean(right_y, squared), depth


def implicit_root(xp: Any, points: Triple, plane: Pair, weights: Tensor, optimum: Triple) -> Triple:
    """One Newton step from the optimum (constants): its value changes nothing, its derivative is the optimum's.

    With g = 0 the condition at the optimum, dt/dinput = -H^-1 dg/dinput (implicit function theorem), H = dg/dt.
    """
    (x3, y3, z3), (x, y) = points, plane
    depth = z3 + optimum[2][..., None]
    observed_x, observed_y = (x3 + optimum[0][..., None]) / depth, (y3 + optimum[1][..., None]) / depth
    pull = weights * weights / depth
    miss_x, miss_y = observed_x - x, observed_y - y
    slope_x, slope_y = (pull * miss_x).sum(-1), (pull * miss_y).sum(-1)
    slope_z = -(pull * (observed_x * miss_x + observed_y * miss_y)).sum(-1)
    row = _constant(pull / depth)
    doubled = _constant(observed_x + miss_x), _constant(observed_y + miss_y)
    total, mean_x, mean_y = row.sum(-1), _mean(doubled[0], row), _mean(doubled[1], row)
    bound = _scatter(row, doubled)
    curvature = bound - (row * _constant(miss_x * miss_x + miss_y * miss_y)).sum(-1)
    curvature = xp.where(curvature > 0, curvature, bound)
    step_z = (slope_z + mean_x * slope_x + mean_y * slope_y) / curvature
    return (
        optimum[0] - slope_x / total - mean_x * step_z,
        optimum[1] - slope_y / total - mean_y * step_z,
        optimum[2] - step_z,
    )


def _refined_root(xp: Any, points: Triple, plane: Pair, weights: Tensor, start: Triple, skip: Tensor) -> Triple:
    """Minimise the weighted squared reprojection error, from `start`; samples to `skip` stay there.

    At a given depth the best lateral position is linear, so one unknown is left: the root's depth. It takes damped
    Newton steps, which bring the nearest keypoint at most half way to the camera, and only where they lower the cost
    (or, at rounding, the slope). Where the curvature is not safely positive, an upper bound takes its place.
    """
    used, squared = weights > 0, weights * weights
    rounding = 1 + 8 * xp.finfo(weights.dtype).eps
    best = _fit_at(xp, points, plane, squared, used, start[2])
    damping = 0 * best.cost
    for _ in range(MAX_STEPS):
        curvature = xp.where(best.curvature > 0.1 * best.bound, best.curvature, best.bound) * (1 + damping)
        step = xp.maximum(xp.minimum(best.slope / curvature, best.nearest), -0.5 * best.nearest)
        tried = _fit_at(xp, points, plane, squared, used, best.root[2] + step)
        better = (tried.cost <= best.cost) | (
            (tried.cost <= rounding * best.cost) & (abs(tried.slope) < abs(best.slope))
        )
        better = better & ~skip
        best = _where(xp, better, tried, best)
        damping = xp.where(better, xp.where(damping > 0.1, 0.1 * damping, 0.0), 4 * damping + 1)
        if xp.__name__ == "numpy" and not (abs(step) > _DONE * best.nearest)[~skip].any():
            break  # on a GPU, looking would cost more than stepping on
    x, y, z = (xp.where(skip, old, new) for old, new in zip(start, best.root, strict=True))
    return x, y, z


def _fit_at(xp: Any, points: Triple, plane: Pair, squared: Tensor, used: Tensor, root_depth: Tensor) -> _Fit:
    (x3, y3, z3), (x, y) = points, plane
    depth = z3 + root_depth[..., None]
    pull = squared / depth
    row = pull / depth
    total = row.sum(-1)
    root_x = (row * (depth * x - x3)).sum(-1) / total
    root_y = (row * (depth * y - y3)).sum(-1) / total
    observed_x, observed_y = (x3 + root_x[..., None]) / depth, (y3 + root_y[..., None]) / depth
    miss_x, miss_y = observed_x - x, observed_y - y
    missed = miss_x * miss_x + miss_y * miss_y
    slope = (pull * (observed_x * miss_x + observed_y * miss_y)).sum(-1)
    bound = _scatter(row, (observed_x + miss_x, observed_y + miss_y))
    nearest = xp.amin(xp.where(used, depth, float("inf")), -1)
    curvature = bound - (row * missed).sum(-1)
    return _Fit((root_x, root_y, root_depth), nearest, (squared * missed).sum(-1), slope, curvature, bound)


def _covariance(
    xp: Any, points: Triple, plane: Pair, weights: Tensor, root: Triple, noise_floor: Tensor, refined: bool
) -> tuple[Tensor, Tensor]:
    """(B, 3, 3), and the standard deviation of the depth relative to the mean depth (B,)."""
    (x3, y3, z3), (x, y) = points, plane
    depth = z3 + root[2][..., None]
    observed_x, observed_y = (x3 + root[0][..., None]) / depth, (y3 + root[1][..., None]) / depth
    squared = weights * weights
    count = (weights > LEAST_WEIGHT).sum(-1)
    spare = xp.where(count >= LEAST_KEYPOINTS, 2 * count - 3, 1)
    variance = (squared * ((observed_x - x) ** 2 + (observed_y - y) ** 2)).sum(-1) / spare
    variance = xp.maximum(variance, noise_floor * noise_floor)

    # How far the root moves when a keypoint moves by its standard deviation: (B, K) for x, then for y.
    row, plane = (squared / (depth * depth), (observed_x, observed_y)) if refined else (squared, plane)
    noise = xp.where(weights > 0, row * depth / xp.where(weights > 0, weights, 1.0), 0.0)
    mean_x, mean_y = (_mean(part, row)[..., None] for part in plane)
    scatter = _scatter(row, plane)[..., None]
    total = row.sum(-1)[..., None]
    by_x, by_y = noise * (plane[0] - mean_x) / scatter, noise * (plane[1] - mean_y) / scatter
    across = noise / total
    moves = (
        (mean_x * by_x - across, mean_x * by_y),
        (mean_y * by_x, mean_y * by_y - across),
        (by_x, by_y),
    )
    rows = [xp.stack([_sum_of_products(a, b) * variance for b in moves], -1) for a in moves]
    covariance = xp.stack(rows, -2)
    return covariance, xp.sqrt(covariance[..., 2, 2]) / _mean(depth, squared)


def _sum_of_products(a: Pair, b: Pair) -> Tensor:
    return (a[0] * b[0] + a[1] * b[1]).sum(-1)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (weights * values).sum(-1) / weights.sum(-1)


def _scatter(row: Tensor, plane: Pair) -> Tensor:
    x, y = (part - _mean(part, row)[..., None] for part in plane)
    return (row * (x * x + y * y)).sum(-1)


def _spread_squared(plane: Pair, squared: Tensor) -> Tensor:
    mean_x, mean_y = _mean(plane[0], squared), _mean(plane[1], squared)
    return _scatter(squared, plane) / squared.sum(-1) / (1 + mean_x * mean_x + mean_y * mean_y)


def _broken(xp: Any, points: Triple, plane: Pair, weights: Tensor) -> Tensor:
    finite = xp.isfinite(points[0]) & xp.isfinite(points[1]) & xp.isfinite(points[2])
    finite = finite & xp.isfinite(plane[0]) & xp.isfinite(plane[1])
    return (~xp.isfinite(weights) | (weights < 0) | ((weights > 0) & ~finite)).any(-1)


def _in_front(xp: Any, points: Triple, weights: Tensor, root_depth: Tensor) -> Tensor:
    depth = xp.where(weights > 0, points[2] + root_depth[..., None], float("inf"))
    return xp.amin(depth, -1) > LEAST_DEPTH_M


def _where(xp: Any, choose: Tensor, new: _Fit, old: _Fit) -> _Fit:
    if xp.__name__ == "numpy" and choose.all():
        return new
    x, y, z = (xp.where(choose, a, b) for a, b in zip(new.root, old.root, strict=True))
    return _Fit((x, y, z), *(xp.where(choose, a, b) for a, b in zip(new[1:], old[1:], strict=True)))


def _constant(value: Tensor) -> Tensor:
    return value.detach() if hasattr(value, "detach") else value
