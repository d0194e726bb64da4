from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from handdgp_core.errors import ShapeError
from handdgp_core.synthetic.rendering.surface import SmoothSurface


def ball(subdivisions: int = 1) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2), st.integers(0, 1000))
def test_coarse_vertices_stay_where_they_are(levels: int, seed: int) -> None:
    vertices, faces = ball()
    moved = vertices + np.random.default_rng(seed).normal(0, 0.05, vertices.shape)
    surface = SmoothSurface(faces, levels=levels)
    positions, _ = surface.refine(moved)
    for number in range(len(vertices)):
        copies = positions[surface.source == number]
        assert len(copies) >= 1
        np.testing.assert_allclose(copies, np.broadcast_to(moved[number], copies.shape), atol=1e-6)


def test_new_vertices_follow_the_curve() -> None:
    vertices, faces = ball()
    positions, normals = SmoothSurface(faces, levels=2).refine(vertices)
    flat = SmoothSurface(faces, levels=0)
    chords = vertices[flat.faces].mean(axis=1)
    sag = 1 - np.linalg.norm(chords, axis=1).min()
    assert abs(np.linalg.norm(positions, axis=1) - 1).max() < 0.1 * sag
    np.testing.assert_allclose(normals, positions, atol=0.03)


def test_coarse_faces_are_the_given_triangles() -> None:
    vertices, faces = ball()
    surface = SmoothSurface(faces, levels=2)
    positions, _ = surface.refine(vertices)
    np.testing.assert_allclose(positions[surface.coarse_faces], vertices[faces], atol=1e-6)


def test_texture_seams_split_vertices_but_not_the_surface() -> None:
    vertices, faces = ball(0)
    uv = np.random.default_rng(0).random((faces.size, 2))
    surface = SmoothSurface(faces, uv, np.arange(faces.size).reshape(-1, 3), levels=1)
    positions, normals = surface.refine(vertices)
    whole_positions, whole_normals = SmoothSurface(faces, levels=1).refine(vertices)
    np.testing.assert_allclose(positions, whole_positions[surface.source], atol=1e-7)
    np.testing.assert_allclose(normals, whole_normals[surface.source], atol=1e-7)
    corner = surface.uv[surface.coarse_faces]
    np.testing.assert_allclose(corner.reshape(-1, 2), uv, atol=1e-7)
    np.testing.assert_allclose(surface.attribute(uv), surface.uv, atol=1e-7)


def test_area_and_closedness_survive_subdivision() -> None:
    vertices, faces = ball()
    surface = SmoothSurface(faces, levels=1)
    positions, _ = surface.refine(vertices)
    mesh = trimesh.Trimesh(positions, surface.faces, process=False)
    assert mesh.is_watertight
    assert len(surface.faces) == 4 * len(faces)
    assert mesh.volume > trimesh.Trimesh(vertices, faces).volume


def test_refuses_quads() -> None:
    with pytest.raises(ShapeError, match=r"\(F, 3\)"):
        SmoothSurface(np.zeros((4, 4), np.int64))
