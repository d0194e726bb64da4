"""hands.glb: one animated file for a whole recording, with the camera, whose meshes are exact to 0.1 mm where they can.

Each hand is a node that moves and turns, with a mesh whose shape is mixed from a few (see `morphing`); it is shrunk to
nothing while the hand is not seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from handdgp_core.export.glb import VERTEX_DATA, GlbBuilder
from handdgp_core.export.glb_scene import GlbOfHands, add_animation, add_primitive
from handdgp_core.export.hand_tracks import HandTrack
from handdgp_core.export.morphing import MorphingMesh, morph

__all__ = ["HandAnimation"]


class HandAnimation(GlbOfHands):
    """Exporter: hands as meshes of mixed shapes."""

    def _size_bytes(self, track: HandTrack) -> int:
        return 2 * 12 * 64 * track.vertex_count + 4 * 80 * len(track.frames)

    def _add_track(
        self, builder: GlbBuilder, track: HandTrack, times: int, own_times: int, material: int
    ) -> tuple[int, float]:
        made = morph(track.vertices_m(), np.array(track.roots_m), track.faces)
        tree = builder.tree
        tree["meshes"].append(_mesh(builder, track, made, material))
        node = len(tree["nodes"])
        tree["nodes"].append(
            {"name": track.name, "mesh": len(tree["meshes"]) - 1, "translation": made.translations_m[0].tolist(),
             "rotation": made.rotations[0].tolist()}
        )  # fmt: skip
        tree["scenes"][0]["nodes"].append(node)
        add_animation(builder, node, "translation", own_times, made.translations_m)
        add_animation(builder, node, "rotation", own_times, made.rotations)
        if len(made.shapes):
            add_animation(builder, node, "weights", own_times, made.weights.ravel())
        return node, made.worst_error_m


def _mesh(builder: GlbBuilder, track: HandTrack, made: MorphingMesh, material: int) -> dict[str, Any]:
    primitive = add_primitive(builder, track, made.base, made.base_normals, material)
    mesh: dict[str, Any] = {"name": track.name, "primitives": [primitive]}
    if len(made.shapes):
        primitive["targets"] = [
            {"POSITION": builder.add(shape.astype(np.float32), VERTEX_DATA, bounds=True),
             "NORMAL": builder.add(normals.astype(np.float32), VERTEX_DATA)}
            for shape, normals in zip(made.shapes, made.shape_normals, strict=True)
        ]  # fmt: skip
        mesh["weights"] = made.weights[0].tolist()
        mesh["extras"] = {"targetNames": [f"shape {number + 1}" for number in range(len(made.shapes))]}
    return mesh
