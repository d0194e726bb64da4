"""Bones over views: true proportions of simulated hands come back, sizes do not matter, a strange view is named."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from handdgp_core.arrays import Array
from handdgp_core.estimation.hand_bones import (
    NAMED_BONES,
    _BonedHand,
    _JointFitter,
    _total,
    bones_over_views,
)
from handdgp_core.estimation.hand_fit import FitSettings, FittedPose, HandFitter, Observation, moved
from handdgp_core.hands.keypoints import BONES
from handdgp_core.hands.open_hand.open_hand import OpenHand

MATRIX = np.array([[300.0, 0, 112], [0, 300, 112], [0, 0, 1]])
MEAN = OpenHand.load()


def seen(logs: Array, views: int, seed: int = 0, noise_px: float = 0.5, size: float = 1.0) -> Observation:
    """Views of a hand whose bones are exp(logs) times those of the mean hand."""
    random, hand = np.random.default_rng(seed), _BonedHand(MEAN)
    dof = MEAN.dof_mean_rad + 0.8 * MEAN.dof_sd_rad * random.normal(size=(views, MEAN.dof_count))
    points, _ = hand.keypoints_and_jacobian(dof, np.repeat(logs[None] / 0.06, views, 0), np.full(views, size))
    turn = Rotation.from_rotvec(0.7 * random.normal(size=(views, 3))).as_matrix() @ np.diag([1.0, -1, -1])
    turned = np.einsum("hij,hkj->hki", turn, points)
    placed = turned - turned.mean(axis=1, keepdims=True) + (0, 0, 0.4 * size)
    pixels = 300 * placed[..., :2] / placed[..., 2:] + 112 + random.normal(0, noise_px, (views, 21, 2))
    return Observation(
        turned, pixels, np.repeat(MATRIX[None], views, 0), None, np.full(views, 0.181), np.full(views, 0.05)
    )


def of_hand(logs: Array) -> Array:
    """At the mean hand's length."""
    points = MEAN.keypoints
    lengths = np.array([np.linalg.norm(points[child] - points[parent]) for parent, child in BONES])
    chain = [BONES.index(pair) for pair in ((0, 9), (9, 10), (10, 11), (11, 12))]
    return logs - np.log((lengths[chain] * np.exp(logs[chain])).sum() / lengths[chain].sum())


def proportions(seed: int) -> Array:
    return of_hand(np.random.default_rng(seed).normal(0, 0.06, 20))


@pytest.mark.parametrize("size", [0.85, 1.0])
def test_the_proportions_come_back_whatever_the_size(size: float) -> None:
    logs = proportions(3)
    found = bones_over_views(seen(logs, 10, size=size))
    true = np.array([logs[at] for at in NAMED_BONES.values()])
    error = np.log([bone.ratio for bone in found.bones]) - true
    assert np.sqrt(np.mean(error**2)) < 0.5 * np.sqrt(np.mean(true**2))
    assert np.mean(np.abs(error) < 2 * np.array([bone.std for bone in found.bones])) > 0.9
    assert [bone.name for bone in found.bones] == list(NAMED_BONES) and "index_proximal" in NAMED_BONES


def test_a_view_of_another_hand_is_named() -> None:
    views, other = seen(proportions(3), 10), seen(of_hand(np.linspace(-0.5, 0.5, 20)), 1, seed=5)
    mixed = [None if part is None else part.copy() for part in views]
    for part, strange in zip(mixed, other, strict=True):
        if part is not None and strange is not None:
            part[4] = strange[0]
    assert bones_over_views(Observation(*mixed)).disagreeing == [4]


def test_the_joint_fit_is_that_of_a_slow_solver() -> None:
    views = seen(proportions(7), 3)
    fitter = _JointFitter(_BonedHand(MEAN), FitSettings())
    shape, costs = fitter.fit_shared(views)
    start = HandFitter(_BonedHand(MEAN), FitSettings()).fit(views)
    start = start._replace(shape=np.zeros_like(start.shape))
    own = 7 + MEAN.dof_count

    def residuals(unknowns: Array) -> Array:
        step = unknowns[:-20].reshape(3, own)
        pose = moved(start, np.concatenate([step[:, :-1], np.tile(unknowns[-20:], (3, 1)), step[:, -1:]], axis=1))
        residual = fitter._linearise(pose, views)[0]
        prior = slice(21 * 5 + MEAN.dof_count, 21 * 5 + MEAN.dof_count + 20)
        kept = np.delete(residual, np.r_[prior], axis=1)
        return np.concatenate([kept.ravel(), unknowns[-20:]])

    slow = least_squares(residuals, np.zeros(3 * own + 20), method="trf", max_nfev=30)
    assert 2 * slow.cost == pytest.approx(costs.sum() + (shape**2).sum(), rel=2e-3)
    np.testing.assert_allclose(slow.x[-20:], shape, atol=0.05)


def test_the_derivative_by_bones_is_that_of_differences() -> None:
    random, hand, step = np.random.default_rng(1), _BonedHand(MEAN), 1e-6
    dof, shape, scale = 0.2 * random.normal(size=(1, MEAN.dof_count)), random.normal(size=(1, 20)), np.array([1.1])
    points, jacobian = hand.keypoints_and_jacobian(dof, shape, scale)
    for bone in (0, 7, 19):
        moved = shape.copy()
        moved[0, bone] += step
        difference = (hand.keypoints_and_jacobian(dof, moved, scale)[0] - points) / step
        np.testing.assert_allclose(jacobian[..., MEAN.dof_count + bone], difference, atol=1e-6)


def test_the_prior_of_the_shape_counts_once() -> None:
    pose = FittedPose(*(np.zeros(shape) for shape in ((4, 3, 3), (4, 3), (4, 2), (4, 20), (4,))))
    pose = pose._replace(shape=np.ones((4, 20)))
    assert _total(np.ones((4, 20)), pose) == pytest.approx(20.0)
