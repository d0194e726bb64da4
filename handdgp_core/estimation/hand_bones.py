"""The proportions of one hand from several views of it: joint least squares with shared bones, without a size.

Every view has its own pose, place and size; all views share twenty bone lengths, relative to the mean hand's. One
camera sees no size (docs/calibration.md), so bones are told at equal length of the hand. Residuals are those of the fit
of the open hand (`hand_fit`), the shared bones are eliminated last (Schur complement).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.estimation.bone_length import BONE_NAMES, bone_joints
from handdgp_core.estimation.hand_fit import FitSettings, FittedPose, HandFitter, Observation, moved
from handdgp_core.hands.keypoints import BONES, COUNT
from handdgp_core.hands.measure import KNUCKLE_CHAIN
from handdgp_core.hands.open_hand.open_hand import OpenHand

__all__ = ["NAMED_BONES", "BoneRatio", "HandBones", "bones_over_views", "joined"]

# How far adults of one hand length differ in a bone, one standard deviation: the prior of each bone.
_PRIOR_STD = 0.06
# What views leave wrong together, one standard deviation: the rms difference between bones by ten views and those of
# the labels was 8 % on one person and 5 % on another (docs/calibration.md).
_COMMON_STD = 0.07
_MISFIT_RATIO = 2.0  # taken: a view that fits so many times worse than the median disagrees
_STEPS, _TOLERANCE = 15, 1e-4
_PARENTS, _CHILDREN = np.array(BONES).T


def _paths() -> Array:
    """(21, 20) 1 where a bone lies between the wrist and a keypoint."""
    paths = np.zeros((COUNT, len(BONES)))
    for bone, (parent, child) in enumerate(BONES):
        paths[child] = paths[parent]
        paths[child, bone] = 1.0
    return paths


_PATHS = _paths()
_CHAIN = [BONES.index(pair) for pair in pairwise(KNUCKLE_CHAIN)]
# Bones that a ruler can measure, too; and which of the twenty they are.
NAMED_BONES: dict[str, int] = {
    name: BONES.index((bone_joints(name)[0], bone_joints(name)[-1]))
    for name in BONE_NAMES
    if len(bone_joints(name)) == 2
}


class BoneRatio(NamedTuple):
    """A bone beside that of the mean hand of the same length: their ratio, and its relative standard deviation."""

    name: str
    ratio: float
    std: float


class HandBones(NamedTuple):
    """What N views say together.

    Attributes:
        bones: of `NAMED_BONES`.
        misfit: (N,) how badly each view fits to bones that all share, over the median view's.
    """

    bones: tuple[BoneRatio, ...]
    misfit: Array

    @property
    def disagreeing(self) -> list[int]:
        """Indices of views that do not fit to the others."""
        return [int(view) for view in np.flatnonzero(self.misfit > _MISFIT_RATIO)]


class _BonedHand:
    """What the fit needs of a model: the mean open hand whose shape is the logarithm of each bone, in prior stds."""

    def __init__(self, hand: OpenHand) -> None:
        self._hand = hand
        self.dof_mean_rad, self.dof_sd_rad = hand.dof_mean_rad, hand.dof_sd_rad
        self.shape_count = len(BONES)

    def keypoints_and_jacobian(self, dof_rad: Array, shape: Array, scale: Array) -> tuple[Array, Array]:
        """As `OpenHand.keypoints_and_jacobian`: each bone keeps its direction and is lengthened."""
        unshaped = np.zeros((len(dof_rad), self._hand.shape_count))
        points, jacobian = self._hand.keypoints_and_jacobian(dof_rad, unshaped, scale)
        factor = np.exp(_PRIOR_STD * shape)
        bones = points[:, _CHILDREN] - points[:, _PARENTS]
        derivative = jacobian[:, _CHILDREN] - jacobian[:, _PARENTS]
        moved = np.einsum("kb,hb,hbxp->hkxp", _PATHS, factor, derivative)
        by_bone = np.einsum("kb,hb,hbx->hkxb", _PATHS, _PRIOR_STD * factor, bones)
        dofs = dof_rad.shape[1]
        lengthened = np.einsum("kb,hb,hbx->hkx", _PATHS, factor, bones)
        return lengthened, np.concatenate([moved[..., :dofs], by_bone, moved[..., -1:]], axis=-1)


class _JointFitter(HandFitter):
    """The fit of several views at once; their shape is one."""

    def fit_shared(self, observation: Observation) -> tuple[Array, Array]:
        """The shape (S,) of all views, and what each view costs (N,), priors of the shape left out."""
        pose = self.fit(observation)
        pose = pose._replace(shape=np.repeat(pose.shape.mean(axis=0)[None], len(pose.shape), axis=0))
        residual, jacobian = self._linearise(pose, observation)
        damping = 1e-3
        for _ in range(_STEPS):
            trial = moved(pose, self._step(pose, residual, jacobian, damping))
            trial_residual, trial_jacobian = self._linearise(trial, observation)
            before, after = _total(residual, pose), _total(trial_residual, trial)
            damping *= 0.3 if after <= before else 10.0
            if after <= before:
                pose, residual, jacobian = trial, trial_residual, trial_jacobian
                if before - after < _TOLERANCE * before:
                    break
        return pose.shape[0], _costs(residual, pose)

    @staticmethod
    def _step(pose: FittedPose, residual: Array, jacobian: Array, damping: float) -> Array:
        """(N, P) a damped Gauss-Newton step, whose part of the shape is the same for all views."""
        views, bones = pose.shape.shape
        last = jacobian.shape[-1] - 1
        shared = np.arange(last - bones, last)
        shape, own = jacobian[..., shared], np.delete(jacobian, shared, axis=-1)
        normal = np.einsum("hri,hrj->hij", own, own)
        diagonal = np.arange(own.shape[-1])
        normal[:, diagonal, diagonal] = (1 + damping) * normal[:, diagonal, diagonal] + 1e-9
        crossed = np.einsum("hri,hrj->hij", own, shape)
        gradient = np.einsum("hri,hr->hi", own, residual)
        solved = np.linalg.solve(normal, np.concatenate([crossed, gradient[..., None]], axis=-1))
        # Every view brings the prior of the shape along; it counts once.
        further = views - 1
        reduced = np.einsum("hri,hrj->ij", shape, shape) - further * np.eye(bones)
        reduced -= np.einsum("hij,hik->jk", crossed, solved[..., :-1])
        reduced += damping * np.diag(np.diag(reduced))
        right = np.einsum("hri,hr->i", shape, residual) - further * pose.shape[0]
        right -= np.einsum("hij,hi->j", crossed, solved[..., -1])
        by_shape = -np.linalg.solve(reduced, right)
        by_view = -solved[..., -1] - solved[..., :-1] @ by_shape
        return np.insert(by_view, [by_view.shape[1] - 1] * bones, by_shape, axis=1)


def joined(views: Sequence[Observation]) -> Observation:
    """Views of one hand as one batch; what the first one lacks is left out."""
    world_m, pixels, matrix = (np.concatenate(parts) for parts in zip(*(view[:3] for view in views), strict=True))
    known = [number for number, part in enumerate(views[0]) if number >= 3 and part is not None]
    optional = {Observation._fields[number]: np.concatenate([view[number] for view in views]) for number in known}
    return Observation(world_m, pixels, matrix, **optional)


def bones_over_views(observation: Observation, hand: OpenHand | None = None) -> HandBones:
    """Bones of one hand.

    Args:
        observation: N >= 3 views of it, as right hands; finite, of different poses.
        hand: the mean hand that bones are compared with; None for the program's.

    Returns:
        Ratios whose standard deviations hold how much the views disagree (jackknife) and what all have in common.
    """
    fitter = _JointFitter(cast(OpenHand, _BonedHand(hand or OpenHand.load())), FitSettings())
    lengths = _mean_lengths(fitter)
    shape, costs = fitter.fit_shared(observation)
    count = len(observation.world_m)
    without = [_logs(fitter.fit_shared(_left_out(observation, view))[0], lengths) for view in range(count)]
    spread = np.sqrt((count - 1) * np.var(without, axis=0))
    logs, std = _logs(shape, lengths), np.hypot(spread, _COMMON_STD)
    bones = tuple(BoneRatio(name, float(np.exp(logs[at])), float(std[at])) for name, at in NAMED_BONES.items())
    return HandBones(bones, costs / float(np.median(costs)))


def _mean_lengths(fitter: HandFitter) -> Array:
    """(20,) bones of the mean hand, metres."""
    shape = np.zeros((1, fitter.model.shape_count))
    points, _ = fitter.model.keypoints_and_jacobian(fitter.model.dof_mean_rad[None], shape, np.ones(1))
    return np.asarray(np.linalg.norm(points[0, _CHILDREN] - points[0, _PARENTS], axis=-1))


def _logs(shape: Array, lengths_m: Array) -> Array:
    """(20,) logarithms of the bones over the mean hand's, of a hand as long as that."""
    logs = _PRIOR_STD * shape
    longer = (lengths_m[_CHAIN] * np.exp(logs[_CHAIN])).sum() / lengths_m[_CHAIN].sum()
    return np.asarray(logs - np.log(longer))


def _left_out(observation: Observation, view: int) -> Observation:
    world_m, pixels, matrix = (np.delete(part, view, axis=0) for part in observation[:3])
    optional = (None if part is None else np.delete(part, view, axis=0) for part in observation[3:])
    return Observation(world_m, pixels, matrix, *optional)


def _costs(residual: Array, pose: FittedPose) -> Array:
    return np.asarray((residual**2).sum(axis=1) - (pose.shape**2).sum(axis=1))


def _total(residual: Array, pose: FittedPose) -> float:
    return float(_costs(residual, pose).sum() + (pose.shape[0] ** 2).sum())
