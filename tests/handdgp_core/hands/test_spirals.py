"""Circles and spirals: OpenMesh's order on four irregular meshes, and properties on any mesh."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handdgp_core.errors import ShapeError
from handdgp_core.hands.topology.half_edges import HalfEdgeMesh, neighbour_circles
from handdgp_core.hands.topology.spirals import spirals
from tests.meshes import ball, round_mesh
from tests.places import TESTS

DATA = TESTS / "data" / "networks" / "published_parity.npz"


@pytest.mark.parametrize("level", range(4))
def test_spirals_equal_openmesh(level: int) -> None:
    with np.load(DATA) as data:
        vertices, faces, expected = (data[f"{name}_{level}"] for name in ("vertices", "faces", "spiral"))
    np.testing.assert_array_equal(spirals(vertices, faces), expected)


def clockwise_successors(faces: NDArray[np.integer]) -> dict[int, dict[int, int]]:
    """after[v][b] = a for every face (v, a, b) with outward normal: seen from outside, a follows b clockwise."""
    after: dict[int, dict[int, int]] = {}
    for face in faces.tolist():
        for turn in range(3):
            vertex, left, right = face[turn:] + face[:turn]
            after.setdefault(vertex, {})[right] = left
    return after


def slow_circle(after: dict[int, int], start: int) -> list[int]:
    circle = [start]
    while circle[-1] in after and after[circle[-1]] != start:
        circle.append(after[circle[-1]])
    return circle


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), kept=st.floats(0.3, 1.0))
def test_circles_equal_a_slow_walk_over_faces(seed: int, kept: float) -> None:
    """Faces in any order, some missing. A vertex with one open fan starts at its border, a closed one anywhere."""
    rng = np.random.default_rng(seed)
    vertices, faces = ball(1)
    faces = rng.permutation(faces)[: int(kept * len(faces))]
    circles = neighbour_circles(faces, len(vertices))
    for vertex, after in clockwise_successors(faces).items():
        circle = circles[vertex]
        starts = set(after) - set(after.values())
        if len(starts) == 0:
            assert circle == slow_circle(after, circle[0]) and len(circle) == len(after)
        elif len(starts) == 1:
            assert circle == slow_circle(after, starts.pop())
        else:  # several fans: each of them whole and in order, one after the other
            fans = {start: slow_circle(after, start) for start in starts}
            place = 0
            while place < len(circle):
                fan = fans.pop(circle[place])
                assert circle[place : place + len(fan)] == fan
                place += len(fan)
            assert not fans


def test_vertices_without_faces_have_no_circle() -> None:
    assert neighbour_circles(np.array([[0, 1, 2]]), 4)[3] == []


@pytest.mark.parametrize(
    "face",
    [
        [0, 1, 3],  # the edge 0 -> 1 has its face
        [0, 0, 4],  # no triangle
        [0, 4, 5],  # 0 is closed all around
    ],
)
def test_faces_that_make_no_surface_are_skipped(face: list[int]) -> None:
    mesh = HalfEdgeMesh(6)
    for good in ([0, 1, 2], [0, 2, 3], [0, 3, 1]):
        assert mesh.add_face(good)
    before = [mesh.circle(vertex) for vertex in range(6)]
    assert not mesh.add_face(face)
    assert mesh.refused == 1
    assert [mesh.circle(vertex) for vertex in range(6)] == before


def rings(faces: NDArray[np.integer], vertex: int) -> dict[int, int]:
    """Number of steps from a vertex to every other, along edges."""
    edges: dict[int, set[int]] = {}
    for a, b, c in faces.tolist():
        for one, other in ((a, b), (b, c), (c, a)):
            edges.setdefault(one, set()).add(other)
            edges.setdefault(other, set()).add(one)
    steps, ring = {vertex: 0}, {vertex}
    while ring:
        ring = {other for one in ring for other in edges[one]} - steps.keys()
        steps.update(dict.fromkeys(ring, max(steps.values()) + 1))
    return steps


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), length=st.integers(2, 30))
def test_spirals_go_outwards_ring_by_ring(seed: int, length: int) -> None:
    vertices, faces = round_mesh(60, seed)
    order = spirals(vertices, faces, length)
    assert order.shape == (60, length)
    for vertex in range(0, 60, 7):
        steps = rings(faces, vertex)
        along = [steps[int(other)] for other in order[vertex]]
        assert order[vertex, 0] == vertex
        assert along == sorted(along)
        assert len(set(order[vertex].tolist())) == length
        for ring in range(max(along)):  # every ring but the last is whole
            assert along.count(ring) == sum(step == ring for step in steps.values())


def test_spirals_of_a_lonely_part_go_on_with_the_nearest_vertices() -> None:
    vertices, faces = ball(1)
    lonely = vertices[:3] * 1.5
    order = spirals(np.concatenate([vertices, lonely]), np.concatenate([faces, [[42, 43, 44]]]), 9)
    assert set(order[42, :3].tolist()) == {42, 43, 44}
    distance = np.linalg.norm(np.concatenate([vertices, lonely]) - lonely[0], axis=1)
    distance[42:] = np.inf
    assert order[42, 3:].tolist() == np.argsort(distance, kind="stable")[:6].tolist()


def test_a_mesh_smaller_than_a_spiral_is_refused() -> None:
    with pytest.raises(ShapeError, match="at least 9 vertices"):
        spirals(np.eye(3), np.array([[0, 1, 2]]))
