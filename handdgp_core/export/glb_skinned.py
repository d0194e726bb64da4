"""hands-skinned.glb: one animated file for a whole recording, whose hands are skeletons with a skin (see `rig`).

For game engines and animation programs: joints have OpenXR's names and axes (`hands.joint_frames`), and their places
are exact. Skin is not: the error of its vertices is in the file, `largest_vertex_error_mm`, and of every hand in its
node's `extras`. hands.glb holds the meshes as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from handdgp_core.drawing.normals import vertex_normals
from handdgp_core.export.glb import VERTEX_DATA, GlbBuilder
from handdgp_core.export.glb_scene import GlbOfHands, add_animation, add_primitive
from handdgp_core.export.hand_tracks import HandTrack
from handdgp_core.export.rig import PARENTS, Rig, rig, with_all_joints
from handdgp_core.geometry.camera import Camera
from handdgp_core.hands.joint_frames import JOINT_COUNT, JOINTS
from handdgp_core.types import Frame, Hand

__all__ = ["SkinnedHands"]


class SkinnedHands(GlbOfHands):
    """Exporter: hands as skeletons with a skin. A hand with a joint that is not known counts as not seen."""

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Take in one frame. Raises OutputError."""
        super().add(frame, with_all_joints(hands), camera)

    def _size_bytes(self, track: HandTrack) -> int:
        return 64 * track.vertex_count + 12 * len(track.faces) + 4 * 8 * JOINT_COUNT * len(track.frames)

    def _add_track(
        self, builder: GlbBuilder, track: HandTrack, times: int, own_times: int, material: int
    ) -> tuple[int, float]:
        made = rig(track.vertices_m(), np.array(track.keypoints_m), track.side)
        tree = builder.tree
        holder = len(tree["nodes"])
        first_joint = holder + 1
        skin = _skin(builder, made, first_joint)
        tree["nodes"].append(
            {"name": track.name, "children": [first_joint + PARENTS.index(-1)], "extras": made.errors_mm}
        )
        tree["nodes"] += [_joint(made, joint, first_joint) for joint in range(JOINT_COUNT)]
        tree["meshes"].append({"name": track.name, "primitives": [_primitive(builder, track, made, material)]})
        tree.setdefault("skins", []).append({"name": track.name, "skeleton": holder, **skin})
        mesh_node = {"name": f"{track.name} skin", "mesh": len(tree["meshes"]) - 1, "skin": len(tree["skins"]) - 1}
        tree["nodes"].append(mesh_node)
        tree["scenes"][0]["nodes"] += [holder, len(tree["nodes"]) - 1]
        for joint, parent in enumerate(PARENTS):
            add_animation(builder, first_joint + joint, "translation", own_times, made.translations_m[:, joint])
            add_animation(builder, first_joint + joint, "rotation", own_times, made.rotations[:, joint])
            if parent < 0:
                sizes = np.repeat(made.scales[:, None], 3, axis=1)
                add_animation(builder, first_joint + joint, "scale", own_times, sizes)
        return holder, made.worst_error_m


def _joint(made: Rig, joint: int, first_joint: int) -> dict[str, Any]:
    node: dict[str, Any] = {
        "name": JOINTS[joint],
        "translation": made.translations_m[0, joint].tolist(),
        "rotation": made.rotations[0, joint].tolist(),
    }
    children = [first_joint + child for child, parent in enumerate(PARENTS) if parent == joint]
    return node | ({"children": children} if children else {})


def _skin(builder: GlbBuilder, made: Rig, first_joint: int) -> dict[str, Any]:
    inverse = np.zeros((JOINT_COUNT, 4, 4))
    back = np.swapaxes(made.rest_rotations, -1, -2)
    inverse[:, :3, :3], inverse[:, 3, 3] = back, 1.0
    inverse[:, :3, 3] = -(back @ made.rest_m[..., None])[..., 0]
    columns_first = np.swapaxes(inverse, -1, -2).reshape(JOINT_COUNT, 16).astype(np.float32)
    return {"joints": list(range(first_joint, first_joint + JOINT_COUNT)),
            "inverseBindMatrices": builder.add(columns_first)}  # fmt: skip


def _primitive(builder: GlbBuilder, track: HandTrack, made: Rig, material: int) -> dict[str, Any]:
    normals = vertex_normals(made.vertices_m, track.faces)
    primitive = add_primitive(builder, track, made.vertices_m, normals, material)
    primitive["attributes"] |= {
        "JOINTS_0": builder.add(np.where(made.weights > 0, made.joints, 0).astype(np.uint16), VERTEX_DATA),
        "WEIGHTS_0": builder.add(made.weights.astype(np.float32), VERTEX_DATA),
    }
    return primitive
