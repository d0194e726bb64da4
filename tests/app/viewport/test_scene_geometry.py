"""Tubes, ribbons, balls, normals, light and ellipsoids: pure geometry."""

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from app.viewport.orbit import HOME, Orbit
from app.viewport.scene_geometry import (
    ELLIPSOID_MAX_M,
    Balls,
    Mesh,
    Segments,
    balls_mesh,
    covariance_axes,
    join_meshes,
    pulled_to_eye,
    ribbons_mesh,
    shaded,
    tubes_mesh,
    view_pixel,
)
from handdgp_core.drawing.normals import vertex_normals

GREY = (0.5, 0.5, 0.5)
AHEAD = Orbit((0.0, 0.0, 1.0), 0.0, 0.0, 1.0)  # the eye at the origin, looking along +Z


def ball(radius=0.1, center=(0.0, 0.0, 1.0)):
    return balls_mesh(Balls(np.array([center]), np.ones((1, 3)), np.array([radius])), AHEAD)


def normals_one_by_one(vertices, faces):
    sums = np.zeros_like(vertices)
    for a, b, c in faces:
        normal = np.cross(vertices[b] - vertices[a], vertices[c] - vertices[a])
        for corner in (a, b, c):
            sums[corner] += normal
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 1e-12)


def test_vertex_normals_agree_with_a_slow_twin():
    rng = np.random.default_rng(3)
    vertices, faces = rng.normal(size=(40, 3)), rng.integers(0, 39, size=(60, 3)).astype(np.int32)
    assert np.allclose(vertex_normals(vertices, faces), normals_one_by_one(vertices, faces))
    assert np.all(vertex_normals(vertices, faces)[39] == 0)  # belongs to no triangle


def test_balls_are_closed_and_face_outwards():
    mesh = ball(0.1)
    body = trimesh.Trimesh(mesh.vertices_m, mesh.faces, process=False)
    assert body.is_watertight
    assert 0.85 < body.volume / (4 / 3 * np.pi * 0.1**3) < 1.0  # positive: outward
    assert np.allclose(np.linalg.norm(mesh.vertices_m - (0, 0, 1), axis=1), 0.1)


def test_tubes_have_the_radius_asked_for_and_face_outwards():
    mesh = tubes_mesh(Segments.make([[(0, 0, 1), (0.2, 0.1, 1.3)]], GREY, 0.01), AHEAD, 0.001)
    start = mesh.vertices_m[:6]
    along = np.array([0.2, 0.1, 0.3]) / np.linalg.norm([0.2, 0.1, 0.3])
    assert np.allclose((start - (0, 0, 1)) @ along, 0)
    assert np.allclose(np.linalg.norm(start - (0, 0, 1), axis=1), 0.01)
    normals = vertex_normals(mesh.vertices_m, mesh.faces)
    assert np.all(np.einsum("ij,ij->i", normals[:6], start - (0, 0, 1)) > 0)


@given(st.floats(0.3, 8.0), st.floats(-1.2, 1.2))
def test_far_strokes_keep_their_least_width_on_screen(depth, angle):
    end = np.array([0.1 * np.cos(angle), 0.1 * np.sin(angle), depth])
    segments = Segments.make([[(0.0, 0.0, depth), end]], GREY, 1e-6, 1.5)
    mesh = ribbons_mesh(segments, AHEAD, view_pixel(AHEAD, 480))
    pixels = AHEAD.project(mesh.vertices_m, 640, 480).pixels
    assert np.linalg.norm(pixels[0] - pixels[1]) == pytest.approx(3.0, rel=0.02)


@given(st.floats(-3, 3), st.floats(-1.4, 1.4), st.integers(0, 1000))
def test_ribbons_face_the_viewer(azimuth, elevation, seed):
    orbit = Orbit((0.0, 0.0, 0.0), azimuth, elevation, 2.0)
    ends = np.random.default_rng(seed).uniform(-0.4, 0.4, size=(5, 2, 3))
    mesh = ribbons_mesh(Segments.make(ends, GREY, 0.01), orbit, 0.001)
    a, b, c = (mesh.vertices_m[mesh.faces[:, corner]] for corner in range(3))
    assert np.all(np.einsum("ij,ij->i", np.cross(b - a, c - a), orbit.eye_m() - a) > 0)


def test_counts_depend_on_counts_alone():
    hidden, shown = Segments.hidden(7), Segments.make(np.ones((7, 2, 3)), GREY, 0.1, 2.0)
    for build in (tubes_mesh, ribbons_mesh):
        one, other = build(hidden, HOME, 0.001), build(shown, HOME, 0.001)
        assert one.vertices_m.shape == other.vertices_m.shape
        assert np.array_equal(one.faces, other.faces)
        assert np.all(np.isfinite(other.vertices_m))


def test_hidden_strokes_have_no_area():
    segments = Segments.make([[(0, 0, 1), (1, 0, 1)]], GREY, 0.0, 5.0)
    mesh = tubes_mesh(segments, AHEAD, 0.01)
    assert np.all(trimesh.triangles.area(mesh.vertices_m[mesh.faces]) == 0)


def test_join_keeps_every_triangle():
    first, second = ball(0.1), ball(0.2)
    joined = join_meshes([first, second])
    assert np.array_equal(joined.vertices_m[joined.faces[80:]], second.vertices_m[second.faces])
    assert isinstance(joined, Mesh) and len(joined.colours) == len(joined.vertices_m)


@given(st.floats(0.0, 0.9), st.integers(0, 1000))
def test_pulling_to_the_eye_keeps_pixels_and_order(share, seed):
    points = np.random.default_rng(seed).uniform(-0.2, 0.2, size=(20, 3))
    pulled = pulled_to_eye(points, HOME, share)
    before, after = HOME.project(points, 640, 480), HOME.project(pulled, 640, 480)
    assert np.allclose(before.pixels, after.pixels, atol=1e-6)
    assert np.allclose(after.depths_m, (1 - share) * before.depths_m)


@given(st.integers(0, 10_000))
def test_ellipsoid_axes_rebuild_the_covariance(seed):
    factor = np.random.default_rng(seed).normal(size=(3, 3)) * 0.005 + 0.004 * np.eye(3)
    covariance = factor @ factor.T + 1e-6 * np.eye(3)
    axes = covariance_axes(covariance)
    assert np.allclose(axes.T @ axes, 4 * covariance, atol=1e-9)  # 2 sigma
    assert np.all(np.diff(np.linalg.norm(axes, axis=1)) >= 0)


@pytest.mark.parametrize("scale", [10.0, 1e6])
def test_hopeless_covariance_is_capped(scale):
    assert np.linalg.norm(covariance_axes(scale * np.eye(3)), axis=1) == pytest.approx(ELLIPSOID_MAX_M)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_covariance_that_is_not_finite_draws_nothing(value):
    assert np.all(covariance_axes(np.full((3, 3), value)) == 0)


def test_what_faces_the_viewer_is_brighter_than_the_rim():
    toward, away = -HOME.axes()[2], HOME.axes()[2]
    facing, rim, back = shaded(np.array([toward, HOME.axes()[0], away]), (1.0, 1.0, 1.0), HOME)[:, 0]
    assert facing > 1.5 * rim and back > 0.15  # never black
