"""F-score, PCK and alignment against slow reference implementations, and the figures of a summary with meshes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from handdgp_core.evaluation import metrics
from handdgp_core.evaluation.summary import Pairs, summarise
from handdgp_core.hands.palm import palm_angle_rad


def slow_f_score(predicted: np.ndarray, true: np.ndarray, threshold_mm: float) -> float:
    def part(of: np.ndarray, near: np.ndarray) -> float:
        return sum(min(math.dist(p, q) for q in near) * 1000 < threshold_mm for p in of) / len(of)

    precision, recall = part(predicted, true), part(true, predicted)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), threshold=st.floats(1.0, 40.0))
def test_f_score_equals_its_reference_implementation(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    predicted, true = rng.normal(0, 0.02, (17, 3)), rng.normal(0, 0.02, (23, 3))
    assert metrics.f_score(predicted, true, threshold) == pytest.approx(slow_f_score(predicted, true, threshold))


def test_f_score_of_known_sets() -> None:
    points = np.array([[0.0, 0, 0], [0.1, 0, 0], [0.2, 0, 0], [0.3, 0, 0]])
    assert metrics.f_scores(points + [0, 0, 0.004], points, (5.0, 3.0)) == [1.0, 0.0]
    # Two of four true points are covered by two exact ones: precision 1, recall 1/2.
    assert metrics.f_score(points[:2], points, 5.0) == pytest.approx(2 / 3)
    assert math.isnan(metrics.f_score(points * np.nan, points, 5.0))


def test_pck_of_known_errors() -> None:
    errors = np.array([[0.0, 10.0], [20.0, 60.0]])
    assert metrics.pck(errors, np.array([0.0, 9.9, 10.0, 59.0, 60.0])).tolist() == [0.25, 0.25, 0.5, 0.75, 1.0]
    assert metrics.pck_auc(errors, (0.0, 50.0)) == pytest.approx((1 + 0.8 + 0.6 + 0) / 4)
    assert np.isnan(metrics.pck(np.zeros(0), np.array([1.0]))).all() and math.isnan(metrics.pck_auc([], (0, 50)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_area_is_that_of_a_finely_sampled_curve(seed: int) -> None:
    errors = np.random.default_rng(seed).gamma(2.0, 12.0, 40)
    thresholds = np.linspace(0, 50, 20_001)
    sampled = [float((errors <= threshold).mean()) for threshold in thresholds]
    assert metrics.pck_auc(errors, (0.0, 50.0)) == pytest.approx(np.trapezoid(sampled, thresholds) / 50, abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_aligned_is_the_least_squares_similarity(seed: int) -> None:
    """Against a search over rotation vector, log scale and shift that knows no closed form."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 0.05, (21, 3))
    predicted = 1.2 * (true + rng.normal(0, 0.01, true.shape)) @ Rotation.random(rng=rng).as_matrix() + 0.3
    start = Rotation.align_vectors(true - true.mean(0), predicted - predicted.mean(0))[0]

    def moved(v: np.ndarray) -> np.ndarray:
        turn = Rotation.from_rotvec(v[:3]) * start
        return np.exp(v[3]) * turn.apply(predicted - predicted.mean(0)) + v[4:7] + true.mean(0)

    best = minimize(lambda v: 1e4 * float(((moved(v) - true) ** 2).sum()), np.zeros(7), tol=1e-14)
    np.testing.assert_allclose(metrics.aligned(predicted[None], true[None])[0], moved(best.x), atol=2e-5)


def test_a_summary_with_meshes_equals_slow_sums() -> None:
    rng = np.random.default_rng(1)
    pairs, slow = Pairs(), []
    for _ in range(4):
        true, mesh = rng.normal(0, 0.05, (21, 3)) + [0, 0, 0.5], rng.normal(0, 0.05, (60, 3)) + [0, 0, 0.5]
        joints, vertices = true + rng.normal(0, 0.01, true.shape), mesh + rng.normal(0, 0.01, mesh.shape)
        pairs.add(true, joints, True, mesh, vertices)
        relative = [math.dist(v - joints[0], m - true[0]) for v, m in zip(vertices, mesh, strict=True)]
        camera = [math.dist(v, m) for v, m in zip(vertices, mesh, strict=True)]
        slow.append((1e3 * sum(camera) / 60, 1e3 * sum(relative) / 60, slow_f_score(vertices, mesh, 15.0)))
    figures = summarise(pairs, excluded=())
    wanted = np.mean(slow, axis=0)
    assert figures["vertices_camera_space_mm"]["mean"] == pytest.approx(wanted[0])
    assert figures["vertices_root_relative_mm"]["mean"] == pytest.approx(wanted[1])
    assert figures["f_score"]["raw"]["15 mm"] == pytest.approx(wanted[2])
    roots = [math.dist(p[0], t[0]) * 1e3 for p, t in zip(pairs.predicted_m, pairs.true_m, strict=True) if p is not None]
    assert figures["root_mm"]["mean"] == pytest.approx(np.mean(roots))


def test_palm_angles_of_known_hands() -> None:
    hand = np.zeros((1, 21, 3))
    hand[0, [0, 5, 17]] = [[0, 0.05, 0], [-0.03, -0.03, 0], [0.03, -0.02, 0]]
    edge = hand @ Rotation.from_euler("y", 90, degrees=True).as_matrix()
    assert palm_angle_rad(hand + [0, 0, 0.5])[0] == pytest.approx(0.0, abs=0.01)
    assert palm_angle_rad(edge + [0, 0, 0.5])[0] == pytest.approx(np.pi / 2, abs=0.02)
