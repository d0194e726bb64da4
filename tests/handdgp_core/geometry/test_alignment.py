"""Alignment: exact recovery, a slow twin on noisy weighted data, reflections, and when there is no answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from handdgp_core.errors import ShapeError
from handdgp_core.geometry.alignment import (
    align_rigid,
    align_similarity,
    matrix_from_rotation_vector,
    rotation_vector_from_matrix,
)

PROPERTIES = settings(deadline=None, derandomize=True, max_examples=40)


def moved(seed: int, count: int = 12, scale: float = 1.0, noise: float = 0.0):
    rng = np.random.default_rng(seed)
    source, rotation, shift = rng.normal(size=(count, 3)), Rotation.random(rng=rng).as_matrix(), rng.normal(size=3)
    target = scale * source @ rotation.T + shift + noise * rng.normal(size=(count, 3))
    return source, target, rng.uniform(0.1, 1, count), rotation, shift


@PROPERTIES
@given(seed=st.integers(0, 2**31), count=st.integers(3, 30), scale=st.floats(0.1, 10))
def test_exact_motion_is_found(seed, count, scale):
    source, target, weights, rotation, shift = moved(seed, count, scale)
    found = align_similarity(source, target, weights)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-6)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-6)
    np.testing.assert_allclose(found.translation, shift, atol=1e-5)
    np.testing.assert_allclose(found.apply(source), target, atol=1e-8 * max(1, scale))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_slow_twin_on_noisy_weighted_data(scaled, seed):
    source, target, weights, rotation, shift = moved(seed, scale=1.3, noise=0.2)

    def residuals(parameters):
        turn = Rotation.from_rotvec(parameters[:3]).as_matrix()
        size = np.exp(parameters[6]) if scaled else 1.0
        return (weights[:, None] * (size * source @ turn.T + parameters[3:6] - target)).ravel()

    start = np.concatenate([Rotation.from_matrix(rotation).as_rotvec(), shift, [0.0]])
    slow = least_squares(residuals, start, xtol=1e-15, ftol=1e-15, gtol=1e-15).x
    found = (align_similarity if scaled else align_rigid)(source, target, weights)
    np.testing.assert_allclose(found.rotation, Rotation.from_rotvec(slow[:3]).as_matrix(), atol=1e-6)
    np.testing.assert_allclose(found.translation, slow[3:6], atol=1e-6)
    np.testing.assert_allclose(found.scale, np.exp(slow[6]) if scaled else 1.0, rtol=1e-6)


def test_a_mirror_image_is_met_by_a_rotation_all_the_same():
    source, target, *_ = moved(1)
    found = align_similarity(source, target * [-1, 1, 1])
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    miss = found.apply(source) - target * [-1, 1, 1]
    assert np.abs(miss).max() > 0.1
    # The scale is the best one for this rotation: the rest has no part along the turned source.
    turned = (source - source.mean(axis=0)) @ found.rotation.T
    assert abs(np.sum(miss * turned)) < 1e-9 * np.sum(turned**2)


def test_flat_points_have_a_rotation():
    source, _, _, rotation, shift = moved(2)
    source[:, 2] = 0
    found = align_rigid(source, source @ rotation.T + shift)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)


def test_points_without_weight_take_no_part():
    source, target, weights, rotation, _ = moved(3)
    weights[:4] = 0
    source[:2], target[2:4] = np.nan, 1e9
    found = align_rigid(source, target, weights)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)


def test_batches_are_aligned_one_by_one():
    samples = [moved(seed, noise=0.1)[:3] for seed in range(6)]
    source, target, weights = (np.stack(parts).reshape(2, 3, *parts[0].shape) for parts in zip(*samples, strict=True))
    found = align_similarity(source, target, weights)
    for i, sample in enumerate(samples):
        alone = align_similarity(*sample)
        np.testing.assert_allclose(found.rotation[i // 3, i % 3], alone.rotation, atol=1e-12)
        np.testing.assert_allclose(found.apply(source)[i // 3, i % 3], alone.apply(sample[0]), atol=1e-12)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s, t, w: s.__setitem__((0, 0), np.nan), "not finite"),
        (lambda s, t, w: t.__setitem__((0, 0), np.inf), "not finite"),
        (lambda s, t, w: w.__setitem__(0, -1), "negative"),
        (lambda s, t, w: w.__setitem__(slice(2, None), 0), "fewer than 3"),
        (lambda s, t, w: s.__setitem__(slice(None), np.linspace(0, 1, 12)[:, None] * [1, 2, 3]), "one line"),
        (lambda s, t, w: s.__setitem__(slice(None), 0.3), "one line or in one place"),
        (lambda s, t, w: t.__setitem__(slice(None), 0.3), "one line or in one place"),
    ],
)
@pytest.mark.parametrize("align", [align_rigid, align_similarity])
def test_degenerate_with_its_reason_and_good_neighbours(align, change, reason):
    source, target, weights = (np.stack([part, part]) for part in moved(4)[:3])
    change(source[0], target[0], weights[0])
    found = align(source, target, weights)
    assert reason in str(found.reasons[0])
    assert found.degenerate.tolist() == [True, False]
    assert np.isnan(found.rotation[0]).all()
    assert np.isnan(found.translation[0]).all()
    assert np.isnan(found.scale[0])
    np.testing.assert_allclose(found.apply(source)[1], target[1], atol=1e-9)


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(ShapeError, match=r"\(..., N, 3\)"):
        align_rigid(np.ones((4, 3)), np.ones((5, 3)))
    with pytest.raises(ShapeError, match="weights"):
        align_rigid(np.ones((4, 3)), np.ones((4, 3)), np.ones(3))


@PROPERTIES
@given(seed=st.integers(0, 2**31), angle=st.floats(0, np.pi - 1e-6))
def test_rotation_vectors_and_matrices(seed, angle):
    axis = np.random.default_rng(seed).normal(size=(2, 4, 3))
    vectors = angle * axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    matrices = matrix_from_rotation_vector(vectors)
    assert matrices.shape == (2, 4, 3, 3)
    np.testing.assert_allclose(rotation_vector_from_matrix(matrices), vectors, atol=1e-8)


def test_known_rotation():
    quarter = matrix_from_rotation_vector([0, 0, np.pi / 2])
    np.testing.assert_allclose(quarter @ [1, 0, 0], [0, 1, 0], atol=1e-15)
