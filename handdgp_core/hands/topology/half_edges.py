"""Which vertices surround a vertex, in order: a half-edge structure that numbers things as OpenMesh does.

The order matters. Published weights were trained on spirals whose start and direction come from OpenMesh's vertex
circulator, so the same faces must give the same circles here. What decides them:

- Faces are added one after another. A face that would make an edge with three faces, or a vertex that joins two closed
  fans, is left out, as OpenMesh does.
- A vertex remembers one outgoing half-edge, and its circle starts there. While the vertex lies on a border this is the
  border's half-edge (the one without a face); the rules below keep it so.
- The circle runs clockwise, seen from outside.

Half-edge 2 e and 2 e + 1 are the two directions of edge e. (The structure is described in Botsch et al., "OpenMesh: a
generic and efficient polygon mesh data structure", 2002.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["HalfEdgeMesh", "neighbour_circles"]

_NONE = -1


def neighbour_circles(faces: NDArray[np.integer], vertex_count: int) -> list[list[int]]:
    """The neighbours of every vertex, clockwise, from where OpenMesh's circulator starts.

    Args:
        faces: (F, 3) triangles, indices below `vertex_count`.
        vertex_count: V.

    Returns:
        V lists; an empty one for a vertex without faces.
    """
    mesh = HalfEdgeMesh(vertex_count)
    for face in np.asarray(faces).tolist():
        mesh.add_face(face)
    return [mesh.circle(vertex) for vertex in range(vertex_count)]


class HalfEdgeMesh:
    """A mesh that grows by faces. `refused` counts the faces that no surface could take."""

    def __init__(self, vertex_count: int) -> None:
        self.refused = 0
        self._outgoing = [_NONE] * vertex_count  # of every vertex
        self._tip: list[int] = []  # the following lists are of every half-edge
        self._next: list[int] = []
        self._previous: list[int] = []
        self._has_face: list[bool] = []
        self._between: dict[tuple[int, int], int] = {}

    def circle(self, vertex: int) -> list[int]:
        """The neighbours of a vertex, clockwise."""
        return [self._tip[half] for half in self._fan(vertex)]

    def add_face(self, corners: list[int]) -> bool:
        """Add a triangle; False where no surface can take it."""
        pairs = list(zip(corners, corners[1:] + corners[:1], strict=True))
        halves = [self._between.get(pair, _NONE) for pair in pairs]
        if len(set(corners)) < 3 or not self._can_take(corners, halves):
            self.refused += 1
            return False
        old = [half != _NONE for half in halves]
        if not self._bring_together(halves, old):
            self.refused += 1
            return False
        halves = [half if half != _NONE else self._new_edge(*pair) for half, pair in zip(halves, pairs, strict=True)]
        self._join_corners(corners, halves, old)
        return True

    def _fan(self, vertex: int) -> list[int]:
        """The half-edges that leave a vertex, clockwise from the remembered one."""
        start = self._outgoing[vertex]
        if start == _NONE:
            return []
        fan, half = [start], self._next[start ^ 1]
        while half != start:
            fan.append(half)
            half = self._next[half ^ 1]
        return fan

    def _can_take(self, corners: list[int], halves: list[int]) -> bool:
        """Every corner must lie on a border (or be bare), and no side may have its face already."""
        open_corner = all(self._outgoing[v] == _NONE or not self._has_face[self._outgoing[v]] for v in corners)
        return open_corner and not any(half != _NONE and self._has_face[half] for half in halves)

    def _new_edge(self, start: int, end: int) -> int:
        half = len(self._tip)
        self._tip += [end, start]
        self._next += [_NONE, _NONE]
        self._previous += [_NONE, _NONE]
        self._has_face += [False, False]
        self._between[start, end], self._between[end, start] = half, half + 1
        return half

    def _link(self, half: int, following: int) -> None:
        self._next[half], self._previous[following] = following, half

    def _bring_together(self, halves: list[int], old: list[bool]) -> bool:
        """Two old sides meet in a corner but other fans lie between them: move those to another gap of the corner."""
        moves: list[tuple[int, int]] = []
        for i in range(3):
            before, after = halves[i], halves[(i + 1) % 3]
            if not (old[i] and old[(i + 1) % 3]) or self._next[before] == after:
                continue
            gap_before = self._gap(after ^ 1)
            gap_after = self._next[gap_before]
            if gap_before == before:
                return False
            moves.append((gap_before, self._next[before]))
            moves.append((self._previous[after], gap_after))
            moves.append((before, after))
        for move in moves:
            self._link(*move)
        return True

    def _gap(self, incoming: int) -> int:
        """The next border half-edge into the corner that `incoming` points to."""
        half = self._next[incoming] ^ 1
        while self._has_face[half]:
            half = self._next[half] ^ 1
        return half

    def _join_corners(self, corners: list[int], halves: list[int], old: list[bool]) -> None:
        """Link the new face's sides, and the border around it, at each corner."""
        links: list[tuple[int, int]] = []
        closed: list[int] = []
        for i in range(3):
            j = (i + 1) % 3
            if old[i] and old[j]:
                if self._outgoing[corners[j]] == halves[j]:
                    closed.append(corners[j])
            else:
                links += self._border_links(corners[j], halves[i], halves[j], old[i], old[j])
                links.append((halves[i], halves[j]))
            self._has_face[halves[i]] = True
        for link in links:
            self._link(*link)
        for vertex in closed:  # its border half-edge has a face now; another gap may be left
            self._start_at_border(vertex)

    def _border_links(
        self, vertex: int, before: int, after: int, old_before: bool, old_after: bool
    ) -> list[tuple[int, int]]:
        """How the border runs past a corner with one or two new sides; moves the corner's start onto the border."""
        border_in, border_out = after ^ 1, before ^ 1
        if old_after:
            self._outgoing[vertex] = border_out
            return [(self._previous[after], border_out)]
        if old_before:
            self._outgoing[vertex] = self._next[before]
            return [(border_in, self._next[before])]
        start = self._outgoing[vertex]
        if start == _NONE:
            self._outgoing[vertex] = border_out
            return [(border_in, border_out)]
        return [(self._previous[start], border_out), (border_in, start)]

    def _start_at_border(self, vertex: int) -> None:
        for half in self._fan(vertex):
            if not self._has_face[half]:
                self._outgoing[vertex] = half
                return
