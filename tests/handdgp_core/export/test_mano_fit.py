"""Fitting a model in MANO's layout; its forward pass against smplx."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handdgp_core.errors import ShapeError
from handdgp_core.export.mano_fit import ManoModel, fit_mano
from handdgp_core.geometry.alignment import matrix_from_rotation_vector
from tests.handdgp_core.hands.mano_like import write_mano_like
from tests.open_hands import open_hand


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mano_like(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def model(file: Path) -> ManoModel:
    return ManoModel(file)


def parameters(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A hand that is turned any way and bends its fingers; no twist of a finger about its own length."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.25, 48)
    pose[:3] = rng.normal(0, 1.0, 3)
    return pose, rng.normal(0, 1, 10), np.array([0.1, -0.05, 0.5])


def test_vertices_are_those_of_smplx(file: Path, model: ManoModel) -> None:
    pytest.importorskip("smplx")
    from handdgp_core.datasets.parametric_meshes import mano_mesh

    mesh = mano_mesh(file)
    for seed in range(3):
        pose, shape, translation = parameters(seed)
        np.testing.assert_allclose(model.vertices(pose, shape, translation), mesh(pose, shape, translation), atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_a_known_hand_is_found_again(model: ManoModel, seed: int) -> None:
    pose, shape, translation = parameters(seed)
    keypoints = model.keypoints(pose, shape, translation)
    found = fit_mano(model, keypoints)
    assert found.error_m < 5e-4
    again = model.vertices(found.pose_rad, found.shape, found.translation_m)
    errors = np.linalg.norm(again - model.vertices(pose, shape, translation), axis=1)
    assert abs(found.shape[0] - shape[0]) < 0.03  # the size
    assert errors.mean() < 2.5e-3


@pytest.mark.parametrize("seed", range(2))
def test_of_a_mesh_of_its_own_pose_and_shape_are_found(model: ManoModel, seed: int) -> None:
    known = parameters(seed)
    found = fit_mano(model, model.keypoints(*known), model.vertices(*known))
    turned, given = (matrix_from_rotation_vector(pose.reshape(16, 3)) for pose in (found.pose_rad, known[0]))
    np.testing.assert_allclose(turned, given, atol=2e-3)
    np.testing.assert_allclose(found.shape, known[1], atol=0.02)
    np.testing.assert_allclose(found.translation_m, known[2], atol=1e-4)


def test_a_fit_of_another_hand_says_how_far_it_is_off(model: ManoModel) -> None:
    hand = open_hand(index_MCP_flexion=40.0, thumb_MCP_flexion=15.0)
    found = fit_mano(model, hand.keypoints_m)
    error = model.keypoints(found.pose_rad, found.shape, found.translation_m) - hand.keypoints_m
    assert found.error_m == pytest.approx(np.sqrt((error**2).sum(axis=1).mean()))
    assert found.error_m < 1e-3  # the model was made from this hand
    assert fit_mano(model, hand.keypoints_m, start=found).error_m == pytest.approx(found.error_m, rel=0.05)


def test_what_is_not_known_is_refused(model: ManoModel) -> None:
    with pytest.raises(ShapeError, match="21 finite keypoints"):
        fit_mano(model, np.full((21, 3), np.nan))
