"""An animated GLB with a camera and hands: what its kinds have in common. glTF's axes: x right, y up, z to the viewer.

The camera stands at the origin. Times are seconds since the first frame.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.drawing.colours import HAND_COLOURS
from handdgp_core.export.axes import describe
from handdgp_core.export.glb import INDEX_DATA, VERTEX_DATA, GlbBuilder
from handdgp_core.export.hand_tracks import AXES, FAR_M, NEAR_M, FileOfHands, HandTrack
from handdgp_core.export.mesh_formats import linear_rgba
from handdgp_core.geometry.camera import Camera

__all__ = ["GlbOfHands", "add_animation", "add_primitive"]


class GlbOfHands(FileOfHands):
    """Exporter: what the kinds of GLB do alike."""

    @abstractmethod
    def _add_track(
        self, builder: GlbBuilder, track: HandTrack, times: int, own_times: int, material: int
    ) -> tuple[int, float]:
        """Adds a hand's nodes, mesh and motion.

        Args:
            builder: of the file.
            track: the hand.
            times, own_times: accessors of the times of all frames, and of those that have this hand.
            material: number of the hand's.

        Returns:
            The node that is shrunk to nothing while the hand is not seen; the greatest error of a vertex, metres.
        """

    def _write(self, path: Path, first_index: int, camera: Camera) -> None:
        builder = GlbBuilder()
        builder.tree |= {
            "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"name": "camera", "camera": 0}],
            "cameras": [_camera(camera)], "meshes": [], "materials": [],
            "animations": [{"name": "hands", "channels": [], "samplers": []}],
        }  # fmt: skip
        times_s = np.array(self._hands.times_s, dtype=np.float32)
        times = builder.add(times_s, bounds=True)
        worst_m = 0.0
        for track in self._hands.tracks:
            builder.tree["materials"].append(_material(track))
            own_times = builder.add(times_s[track.frames], bounds=True)
            material = len(builder.tree["materials"]) - 1
            node, error_m = self._add_track(builder, track, times, own_times, material)
            shown = np.zeros((len(times_s), 3), dtype=np.float32)
            shown[track.frames] = 1.0
            add_animation(builder, node, "scale", times, shown, "STEP")
            worst_m = max(worst_m, error_m)
        builder.tree["asset"] = {
            "version": "2.0",
            "generator": "HandDGP Live",
            "extras": {
                "units": "metres", "axes": describe(AXES), "origin": "camera", "first_frame": first_index,
                "frames": len(times_s), "largest_vertex_error_mm": round(worst_m * 1e3, 4),
                "camera_source": camera.source, "camera_matrix": camera.matrix.ravel().tolist(),
            },
        }  # fmt: skip
        builder.write(path)


def add_primitive(
    builder: GlbBuilder, track: HandTrack, vertices: Array, normals: Array, material: int
) -> dict[str, Any]:
    """The triangles of a hand, as what a mesh of the file is made of."""
    kind = np.uint16 if track.vertex_count < 65_535 else np.uint32
    return {
        "attributes": {
            "POSITION": builder.add(vertices.astype(np.float32), VERTEX_DATA, bounds=True),
            "NORMAL": builder.add(normals.astype(np.float32), VERTEX_DATA),
        },
        "indices": builder.add(track.faces.astype(kind).ravel(), INDEX_DATA),
        "material": material,
    }


def add_animation(
    builder: GlbBuilder, node: int, path: str, times: int, values: NDArray[Any], interpolation: str = "LINEAR"
) -> None:
    """Let a property of a node follow values, one for each of the times."""
    animation = builder.tree["animations"][0]
    output = builder.add(values.astype(np.float32))
    animation["samplers"].append({"input": times, "output": output, "interpolation": interpolation})
    target = {"node": node, "path": path}
    animation["channels"].append({"sampler": len(animation["samplers"]) - 1, "target": target})


def _material(track: HandTrack) -> dict[str, Any]:
    rgb = np.array([HAND_COLOURS["right" if track.side == "right" else "left"]], dtype=np.uint8)
    colour = (linear_rgba(rgb)[0] / 255.0).round(4).tolist()
    surface = {"baseColorFactor": colour, "metallicFactor": 0.0, "roughnessFactor": 0.7}
    return {"name": track.name, "pbrMetallicRoughness": surface}


def _camera(camera: Camera) -> dict[str, Any]:
    """glTF knows no principal point and no lens: the field of view alone is carried over."""
    fx, fy = camera.focal_px
    height = float(2.0 * np.arctan(0.5 * camera.height / fy))
    perspective = {"yfov": height, "aspectRatio": (camera.width / fx) / (camera.height / fy), "znear": NEAR_M,
                   "zfar": FAR_M}  # fmt: skip
    return {"name": camera.name or "camera", "type": "perspective", "perspective": perspective}
