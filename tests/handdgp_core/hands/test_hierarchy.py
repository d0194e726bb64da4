"""Decimation and the way back up."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handdgp_core.arrays import Array
from handdgp_core.errors import ShapeError
from handdgp_core.hands.open_hand.open_hand import OpenHand
from handdgp_core.hands.topology.hierarchy import Mesh, build_levels, decimate, upsampling_matrix
from tests.meshes import ball, round_mesh


def slow_distance(point: Array, mesh: Mesh) -> float:
    """Distance to a mesh: least squares over each triangle's corners, edges and inside, one triangle at a time."""
    best = np.inf
    for a, b, c in mesh.vertices[mesh.faces]:
        for start, end in ((a, b), (b, c), (c, a)):
            along = np.clip((point - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
            best = min(best, float(np.linalg.norm(start + along * (end - start) - point)))
        solution = np.linalg.lstsq(np.stack([b - a, c - a], axis=1), point - a, rcond=None)[0]
        if (solution >= 0).all() and solution.sum() <= 1:
            foot = a + solution @ np.stack([b - a, c - a])
            best = min(best, float(np.linalg.norm(foot - point)))
    return best


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.floats(0.2, 3.0))
def test_upsampling_gives_the_closest_points(seed: int, spread: float) -> None:
    mesh = Mesh(*round_mesh(40, seed))
    points = np.random.default_rng(seed).normal(size=(6, 3)) * 0.09 * spread
    matrix = upsampling_matrix(points, mesh)
    feet = matrix @ mesh.vertices
    for point, foot in zip(points, feet, strict=True):
        assert np.linalg.norm(point - foot) == pytest.approx(slow_distance(point, mesh), abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_rows_are_barycentric_weights(seed: int) -> None:
    mesh = Mesh(*round_mesh(40, seed))
    matrix = upsampling_matrix(np.random.default_rng(seed).normal(size=(20, 3)), mesh)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-12)
    assert matrix.data.min() > 0
    assert np.diff(matrix.indptr).max() <= 3
    corners = [set(face) for face in mesh.faces.tolist()]
    for row in range(20):
        used = set(matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]].tolist())
        assert any(used <= corner for corner in corners)


def test_points_on_the_mesh_are_reproduced() -> None:
    mesh = Mesh(*ball(2))
    corner_weights = np.random.default_rng(1).dirichlet(np.ones(3), size=len(mesh.faces))
    inside = np.einsum("fc,fci->fi", corner_weights, mesh.vertices[mesh.faces])
    for points in (mesh.vertices, inside):
        np.testing.assert_allclose(upsampling_matrix(points, mesh) @ mesh.vertices, points, atol=1e-12)


def test_a_triangle_without_area_is_no_trap() -> None:
    """The nearest triangle is a line: its weights must still be finite and lead to the nearest point."""
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0.5, 0, 0], [0, 5, 0], [1, 5, 0], [0.5, 6, 0]])
    mesh = Mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]], dtype=np.int32))
    matrix = upsampling_matrix(np.array([[0.25, -0.1, 0.0]]), mesh)
    np.testing.assert_allclose(matrix @ vertices, [[0.25, 0, 0]], atol=1e-9)


def test_levels_of_the_open_hand() -> None:
    hand = OpenHand.load()
    levels = build_levels(Mesh(hand.vertices, hand.faces), 4)
    sizes = [len(level.vertices) for level in levels]
    for fine, coarse in pairwise(sizes):
        assert coarse == pytest.approx(fine / 2, rel=0.03)
    for fine_mesh, coarse_mesh in pairwise(levels):
        assert set(np.unique(coarse_mesh.faces)) == set(range(len(coarse_mesh.vertices)))
        gone = upsampling_matrix(fine_mesh.vertices, coarse_mesh) @ coarse_mesh.vertices - fine_mesh.vertices
        assert np.linalg.norm(gone, axis=1).max() < 0.008  # metres, even on the coarsest


def test_decimation_repeats() -> None:
    mesh = Mesh(*round_mesh(300))
    first, second = decimate(mesh, 200), decimate(mesh, 200)
    np.testing.assert_array_equal(first.vertices, second.vertices)
    np.testing.assert_array_equal(first.faces, second.faces)


def test_a_mesh_of_separate_triangles_cannot_shrink() -> None:
    vertices = np.random.default_rng(0).normal(size=(30, 3))
    with pytest.raises(ShapeError, match="decimated"):
        build_levels(Mesh(vertices, np.arange(30, dtype=np.int32).reshape(10, 3)), 4)
