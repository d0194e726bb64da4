"""Rotations in torch, against scipy's and against a decomposition."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from handdgp_core.geometry.rotations import best_rotation, rotation_from_vector


def test_rotation_vectors_are_scipys_and_smooth_at_zero():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 3)) * rng.uniform(0, 2, (200, 1))
    vectors[:3] = [[0, 0, 0], [1e-5, 0, 0], [0, 9.9e-4, 0]]
    found = rotation_from_vector(torch.tensor(vectors)).numpy()
    np.testing.assert_allclose(found, Rotation.from_rotvec(vectors).as_matrix(), atol=1e-14)
    inputs = torch.tensor(vectors[:5], requires_grad=True)
    assert torch.autograd.gradcheck(rotation_from_vector, inputs)


def test_the_best_rotation_is_that_of_a_decomposition_where_noise_is_large_too():
    rng = np.random.default_rng(1)
    ours = rng.normal(size=(6, 3)) * [1.0, 0.5, 0.01]  # nearly flat, as a palm
    theirs = (
        ours @ Rotation.random(500, random_state=2).as_matrix().transpose(0, 2, 1) + rng.normal(size=(500, 6, 3)) * 0.2
    )
    spread = (theirs - theirs.mean(1, keepdims=True)).transpose(0, 2, 1) @ (ours - ours.mean(0))
    found = best_rotation(torch.tensor(spread)).numpy()
    for one, points in zip(found, theirs, strict=True):
        expected = Rotation.align_vectors(points - points.mean(0), ours - ours.mean(0))[0].as_matrix()
        np.testing.assert_allclose(one, expected, atol=1e-7)


def test_a_palm_of_one_point_is_no_rotation_and_finite():
    found = best_rotation(torch.zeros(2, 3, 3, dtype=torch.float64))
    assert found.isfinite().all()
