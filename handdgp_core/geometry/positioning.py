"""Differentiable Global Positioning (DGP): where the root is, from keypoints in 3D (root-relative) and in the image.

Two solves, both weighted per keypoint (weights multiply rows, so they enter the normal equations squared):

- published: the linear least squares of the HandDGP paper, [-1, 0, x] t = X - Z x and [0, -1, y] t = Y - Z y. It
  minimises depth times reprojection error, so noise in the image pulls the root towards the camera.
- refined: from there, minimise the reprojection error itself; never a higher one than at the start, every weighted
  keypoint in front of the camera.

`position_published` and `position_refined` are for torch: batched, on any device, differentiable. `position` does the
same in NumPy for live use. All three run the same formulas.

**Covariance.** First-order propagation of image noise through the solve. The noise of a keypoint is taken to be
independent and isotropic with standard deviation sigma * max(w) / w. sigma^2 is the sum of weighted squared residuals
over 2 n - 3, n being the number of keypoints with weight, and at least noise_floor^2. For the refined solve this is
sigma^2 (J^T W^2 J)^-1; for the published one, whose rows are not scaled by depth, the sandwich
sigma^2 (A^T W^2 A)^-1 (A^T W^2 D^2 A) (A^T W^2 A)^-1 with D the depths. Its bias is not in it, nor is any error in the
hand's shape or size that projects well: 5 % of hand size is 5 % of depth. It carries no gradient.

**Degenerate** samples get NaN and a reason, and gradients of exactly 0; other samples of the batch do not notice. With
`singular_only`, for training, these are the systems without a finite solution alone (seed document, section 2): a root
behind the camera, or a depth that is not determined, is wrong, and its gradient is what puts it right.
Keypoints of weight 0 take no part, whatever they hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.geometry import positioning_formulas as formulas

if TYPE_CHECKING:  # whoever positions hands in NumPy need not wait for it
    import torch

__all__ = ["NOISE_FLOOR", "Method", "Positioning", "position", "position_published", "position_refined"]

ArrayT = TypeVar("ArrayT", "torch.Tensor", NDArray[Any])
Method = Literal["published", "refined"]

# Nobody finds a knuckle better than this, on the plane z = 1: one pixel at a focal length of 1000 px.
NOISE_FLOOR = 1e-3


@dataclass(frozen=True)
class Positioning(Generic[ArrayT]):
    """Where the roots are. B batch; NumPy's `position` leaves the batch out where its input had none.

    Attributes:
        root_m: (B, 3) camera frame. NaN where degenerate.
        covariance_m2: (B, 3, 3) of `root_m`, see the module's docstring; no gradient. NaN where degenerate.
        unchecked_root_m: (B, 3) the bare solution, also where degenerate (then it means nothing: it is for comparing
            implementations); no gradient.
        reason_code: (B,) int64, 0 or an index into `positioning_formulas.REASONS`.
    """

    root_m: ArrayT
    covariance_m2: ArrayT
    unchecked_root_m: ArrayT
    reason_code: ArrayT

    @property
    def degenerate(self) -> ArrayT:
        """(B,) bool: there is no root."""
        return self.reason_code != 0

    @property
    def reasons(self) -> list[str | None]:
        """Why there is no root, for each sample; None where there is one. Waits for the GPU."""
        return [formulas.REASONS[code] for code in np.atleast_1d(self.reason_code.tolist())]


def position_published(
    points_m: torch.Tensor,
    keypoints_normalised: torch.Tensor,
    weights: torch.Tensor,
    noise_floor: float | torch.Tensor = NOISE_FLOOR,
    singular_only: bool = False,
) -> Positioning[torch.Tensor]:
    """The paper's linear solve, in closed form.

    Args:
        points_m: (B, K, 3) keypoints relative to the root, metres, axes of the (virtual) camera.
        keypoints_normalised: (B, K, 2) the same keypoints in the image, on the plane z = 1: the x, y of K^-1 (u, v, 1).
        weights: (B, K) at least 0. Only ratios within a sample count.
        noise_floor: scalar or (B,), least standard deviation of a keypoint on the plane z = 1, for the covariance.
        singular_only: reject singular systems and no others, see the module.

    Returns:
        In the inputs' type, at least float32. `root_m` is differentiable with respect to the first three arguments.

    Raises:
        ShapeError: shapes that do not belong together.
    """
    return _position(points_m, keypoints_normalised, weights, noise_floor, False, singular_only)


def position_refined(
    points_m: torch.Tensor,
    keypoints_normalised: torch.Tensor,
    weights: torch.Tensor,
    noise_floor: float | torch.Tensor = NOISE_FLOOR,
    singular_only: bool = False,
) -> Positioning[torch.Tensor]:
    """The published solve, then damped Newton steps on the reprojection error. Arguments as in `position_published`.

    Differentiated implicitly at the optimum, once (second derivatives are not those of the solve).
    """
    return _position(points_m, keypoints_normalised, weights, noise_floor, True, singular_only)


def position(
    points_m: ArrayLike,
    keypoints_normalised: ArrayLike,
    weights: ArrayLike,
    method: Method = "refined",
    noise_floor: ArrayLike = NOISE_FLOOR,
) -> Positioning[NDArray[Any]]:
    """Both solves in NumPy, float64, for one hand or a batch.

    Args:
        points_m: (K, 3) or (B, K, 3), as in `position_published`.
        keypoints_normalised: (K, 2) or (B, K, 2).
        weights: (K,) or (B, K).
        method: which solve.
        noise_floor: scalar or (B,), as in `position_published`.

    Returns:
        Without batch dimension where none of the first three arguments has one; several weights for one hand make a
        batch (to compare muted with unmuted).

    Raises:
        ShapeError: shapes that do not belong together.
        UsageError: another method.
    """
    if method not in ("published", "refined"):
        raise UsageError(f'The method must be "published" or "refined", not {method!r}.')
    points, plane, factors = (np.asarray(a, dtype=np.float64) for a in (points_m, keypoints_normalised, weights))
    alone = points.ndim == plane.ndim == 2 and factors.ndim == 1
    points, plane, factors = _batched(points, plane, factors)
    _check_shapes(points.shape, plane.shape, factors.shape)
    with np.errstate(all="ignore"):
        relative = _relative(np, factors, np.amax(factors, -1))
        floor = np.asarray(noise_floor, dtype=np.float64)
        result = formulas.position(np, _parts(points), _parts(plane), relative, floor, method == "refined")
    bad = result.code != 0
    root = np.where(bad[:, None], np.nan, result.root)
    covariance = np.where(bad[:, None, None], np.nan, result.covariance)
    found = (root, covariance, result.root, result.code)
    return Positioning(*(part[0] for part in found)) if alone else Positioning(*found)


def _position(
    points: torch.Tensor,
    plane: torch.Tensor,
    weights: torch.Tensor,
    noise_floor: float | torch.Tensor,
    refined: bool,
    singular_only: bool,
) -> Positioning[torch.Tensor]:
    import torch

    _check_shapes(points.shape, plane.shape, weights.shape)
    kind = torch.promote_types(torch.promote_types(points.dtype, plane.dtype), weights.dtype)
    kind = torch.promote_types(kind, torch.float32)
    points, plane, weights = points.to(kind), plane.to(kind), weights.to(kind)
    floor = torch.as_tensor(noise_floor, dtype=kind, device=points.device)
    weights = _relative(torch, weights, weights.detach().amax(-1))
    with torch.no_grad():
        result = formulas.position(torch, _parts(points), _parts(plane), weights, floor, refined)
    code = torch.where(result.singular, result.code, 0) if singular_only else result.code
    good = code == 0
    root = result.root
    if torch.is_grad_enabled() and (points.requires_grad or plane.requires_grad or weights.requires_grad):
        root = _implicit(points, plane, weights, root, good & result.refined) if refined else root
        if singular_only or not refined:
            linear = good & ~result.refined
            root = torch.where(linear[:, None], _linear(points, plane, weights, linear), root)
    return Positioning(
        torch.where(good[:, None], root, torch.nan),
        torch.where(good[:, None, None], result.covariance, torch.nan),
        result.root,
        code,
    )


def _linear(points: torch.Tensor, plane: torch.Tensor, weights: torch.Tensor, used: torch.Tensor) -> torch.Tensor:
    """The published roots of the samples to use again, this time with a graph."""
    import torch

    return torch.stack(formulas.published_root(*_safe_inputs(points, plane, weights, used)), dim=-1)


def _implicit(
    points: torch.Tensor, plane: torch.Tensor, weights: torch.Tensor, root: torch.Tensor, used: torch.Tensor
) -> torch.Tensor:
    """The refined roots, with a graph for the samples to use."""
    import torch

    inputs = _safe_inputs(points, plane, weights, used)
    front = torch.tensor([0.0, 0.0, 1.0], dtype=points.dtype, device=points.device)
    optimum = torch.where(used[:, None], root, front)
    stepped = torch.stack(formulas.implicit_root(torch, *inputs, _parts(optimum)), dim=-1)
    return torch.where(used[:, None], optimum + (stepped - stepped.detach()), root)


def _safe_inputs(
    points: torch.Tensor, plane: torch.Tensor, weights: torch.Tensor, used: torch.Tensor
) -> tuple[Any, Any, torch.Tensor]:
    """The solve's inputs, in which a harmless stand-in replaces the other samples."""
    import torch

    ramp = torch.linspace(-0.05, 0.05, points.shape[1], dtype=points.dtype, device=points.device)
    flat = torch.stack([ramp, ramp, 0 * ramp], dim=-1)
    here = used[:, None, None]
    points, plane = torch.where(here, points, flat), torch.where(here, plane, flat[:, :2])
    weights = torch.where(used[:, None], weights, 1.0)
    return formulas.used_only(torch, _parts(points), _parts(plane), weights)


def _parts(array: Any) -> Any:
    return tuple(array[..., i] for i in range(array.shape[-1]))


def _relative(xp: Any, weights: Any, largest: Any) -> Any:
    return weights / xp.where(largest > 0, largest, 1.0)[..., None]


def _batched(points: NDArray[Any], plane: NDArray[Any], weights: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    points = points[None] if points.ndim == 2 else points
    plane = plane[None] if plane.ndim == 2 else plane
    weights = weights[None] if weights.ndim == 1 else weights
    batch = max(part.shape[0] if part.ndim else 0 for part in (points, plane, weights))
    return tuple(
        np.broadcast_to(part, (batch, *part.shape[1:])) if part.ndim and part.shape[0] == 1 else part
        for part in (points, plane, weights)
    )


def _check_shapes(points: tuple[int, ...], plane: tuple[int, ...], weights: tuple[int, ...]) -> None:
    expected = (*weights, 3), (*weights, 2)
    if len(weights) != 2 or weights[1] < 1 or (tuple(points), tuple(plane)) != expected:
        actual = f"{tuple(points)}, {tuple(plane)}, {tuple(weights)}"
        raise ShapeError(
            f"Points must be (B, K, 3), keypoints (B, K, 2) and weights (B, K) with K of at least 1, not {actual}."
        )
