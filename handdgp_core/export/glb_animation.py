"""hands.glb: one animated file for a whole recording, with the camera. glTF's axes: x right, y up, z to the viewer.

Each hand is a node that moves and turns, with a mesh whose shape is mixed from a few (see `morphing`); it is shrunk to
nothing while the hand is not count. The camera stands at the origin. Times are seconds since the first frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.drawing.colours import HAND_COLOURS
from handdgp_core.errors import OutputError
from handdgp_core.export.axes import describe, target_from_opencv
from handdgp_core.export.glb import INDEX_DATA, VERTEX_DATA, GlbBuilder
from handdgp_core.export.hand_mesh import has_mesh
from handdgp_core.export.mesh_formats import linear_rgba
from handdgp_core.export.morphing import MorphingMesh, morph
from handdgp_core.files import MIB, output_errors, part_of, remove, whole_file
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame, Hand

__all__ = ["HandAnimation"]

_AXES = "opengl"
_NEAR_M, _FAR_M = 0.01, 10.0


@dataclass
class _Track:
    """All frames of one hand; its vertices lie in a file."""

    name: str
    side: str
    faces: NDArray[np.int32]
    vertex_count: int
    spool_path: Path
    spool: BinaryIO
    frames: list[int] = field(default_factory=list)  # numbers within the export
    roots_m: list[Array] = field(default_factory=list)

    def vertices_m(self) -> NDArray[np.float32]:
        """(N, V, 3), from the file."""
        return np.memmap(self.spool_path, np.float32, "r", shape=(len(self.frames), self.vertex_count, 3))


class HandAnimation:
    """Exporter: collects all frames; `close` makes the file. Without a hand there is no file.

    Hands are told apart by side, and by their place where one frame has two of a side.

    Args:
        path: ending in .glb; its folder exists. One that is there is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = target_from_opencv(_AXES)
        self._tracks: dict[str, _Track] = {}
        self._times_s: list[float] = []
        self._first: tuple[Frame, Camera] | None = None
        self._closed = False

    @property
    def files(self) -> list[Path]:
        """What `close` leaves behind."""
        return [self.path] if self._tracks else []

    @property
    def reserve_bytes(self) -> int:
        """Disk space that `close` will still need."""
        shapes = sum(2 * 12 * 64 * track.vertex_count + 4 * 80 * len(track.frames) for track in self._tracks.values())
        return shapes + MIB

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Take in one frame; degenerate hands count as not seen. Raises OutputError."""
        if self._first is None:
            self._first = (Frame(frame.image[:0], frame.stamp_ns, frame.index), camera)
        number = len(self._times_s)
        time_s = (frame.stamp_ns - self._first[0].stamp_ns) / 1e9
        self._times_s.append(max(time_s, self._times_s[-1] + 1e-4) if self._times_s else 0.0)
        count: dict[str, int] = {}
        for hand in hands:
            if has_mesh(hand):
                count[hand.handedness] = count.get(hand.handedness, 0) + 1
                self._add_hand(number, hand, count[hand.handedness])

    def close(self) -> None:
        """Makes the file. A second call does nothing. Raises OutputError."""
        if self._closed:
            return
        self._closed = True
        try:
            for track in self._tracks.values():
                track.spool.close()
            if self._tracks:
                builder = self._build()
                with whole_file(self.path) as part:
                    builder.write(part)
        finally:
            for track in self._tracks.values():
                track.spool.close()
                remove(track.spool_path)

    def _add_hand(self, number: int, hand: Hand, place: int) -> None:
        name = f"{hand.handedness} hand" + (f" {place}" if place > 1 else "")
        track = self._tracks.get(name)
        if track is None or track.vertex_count != len(hand.vertices_m):
            if track is not None:
                raise OutputError(
                    f"A hand of {len(hand.vertices_m)} vertices does not fit into an animation of "
                    f"{track.vertex_count} vertices.",
                    hint="Export each hand model to its own file.",
                )
            spool_path = part_of(self.path.with_name(f"{self.path.stem}-{name.replace(' ', '-')}.vertices"))
            with output_errors(self.path):
                spool = open(spool_path, "wb", buffering=0)  # noqa: SIM115 - closed by close()
            track = _Track(name, hand.handedness, hand.faces, len(hand.vertices_m), spool_path, spool)
            self._tracks[name] = track
        data = (hand.vertices_m @ self._turn.T).astype(np.float32).tobytes()
        with output_errors(self.path):
            if track.spool.write(data) != len(data):
                raise OSError(28, "No space left on device")
        track.frames.append(number)
        track.roots_m.append(self._turn @ hand.root_m)

    def _build(self) -> GlbBuilder:
        assert self._first is not None
        frame, camera = self._first
        builder = GlbBuilder()
        builder.tree |= {
            "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"name": "camera", "camera": 0}],
            "cameras": [_camera(camera)], "meshes": [], "materials": [],
            "animations": [{"name": "hands", "channels": [], "samplers": []}],
        }  # fmt: skip
        times = builder.add(np.array(self._times_s, dtype=np.float32), bounds=True)
        worst_m = 0.0
        for track in self._tracks.values():
            made = morph(track.vertices_m(), np.array(track.roots_m), track.faces)
            worst_m = max(worst_m, made.worst_error_m)
            self._add_track(builder, track, made, times)
        builder.tree["asset"] = {
            "version": "2.0",
            "generator": "HandDGP Live",
            "extras": {
                "units": "metres", "axes": describe(_AXES), "origin": "camera", "first_frame": frame.index,
                "frames": len(self._times_s), "largest_vertex_error_mm": round(worst_m * 1e3, 4),
                "camera_source": camera.source, "camera_matrix": camera.matrix.ravel().tolist(),
            },
        }  # fmt: skip
        return builder

    def _add_track(self, builder: GlbBuilder, track: _Track, made: MorphingMesh, times: int) -> None:
        tree = builder.tree
        tree["materials"].append(_material(track))
        tree["meshes"].append(_mesh(builder, track, made, len(tree["materials"]) - 1))
        node = len(tree["nodes"])
        tree["nodes"].append(
            {"name": track.name, "mesh": len(tree["meshes"]) - 1, "translation": made.translations_m[0].tolist(),
             "rotation": made.rotations[0].tolist()}
        )  # fmt: skip
        tree["scenes"][0]["nodes"].append(node)
        own_times = builder.add(np.array(self._times_s, dtype=np.float32)[track.frames], bounds=True)
        shown = np.zeros((len(self._times_s), 3), dtype=np.float32)
        shown[track.frames] = 1.0
        _animate(builder, node, "translation", own_times, made.translations_m)
        _animate(builder, node, "rotation", own_times, made.rotations)
        _animate(builder, node, "scale", times, shown, "STEP")
        if len(made.shapes):
            _animate(builder, node, "weights", own_times, made.weights.ravel())


def _mesh(builder: GlbBuilder, track: _Track, made: MorphingMesh, material: int) -> dict[str, Any]:
    def vertex_data(values: Array, bounds: bool = False) -> int:
        return builder.add(values.astype(np.float32), VERTEX_DATA, bounds)

    kind = np.uint16 if track.vertex_count < 65_535 else np.uint32
    primitive: dict[str, Any] = {
        "attributes": {"POSITION": vertex_data(made.base, True), "NORMAL": vertex_data(made.base_normals)},
        "indices": builder.add(track.faces.astype(kind).ravel(), INDEX_DATA),
        "material": material,
    }
    mesh: dict[str, Any] = {"name": track.name, "primitives": [primitive]}
    if len(made.shapes):
        primitive["targets"] = [
            {"POSITION": vertex_data(shape, True), "NORMAL": vertex_data(normals)}
            for shape, normals in zip(made.shapes, made.shape_normals, strict=True)
        ]
        mesh["weights"] = made.weights[0].tolist()
        mesh["extras"] = {"targetNames": [f"shape {number + 1}" for number in range(len(made.shapes))]}
    return mesh


def _animate(
    builder: GlbBuilder, node: int, path: str, times: int, values: NDArray[Any], interpolation: str = "LINEAR"
) -> None:
    animation = builder.tree["animations"][0]
    output = builder.add(values.astype(np.float32))
    animation["samplers"].append({"input": times, "output": output, "interpolation": interpolation})
    target = {"node": node, "path": path}
    animation["channels"].append({"sampler": len(animation["samplers"]) - 1, "target": target})


def _material(track: _Track) -> dict[str, Any]:
    rgb = np.array([HAND_COLOURS["right" if track.side == "right" else "left"]], dtype=np.uint8)
    colour = (linear_rgba(rgb)[0] / 255.0).round(4).tolist()
    surface = {"baseColorFactor": colour, "metallicFactor": 0.0, "roughnessFactor": 0.7}
    return {"name": track.name, "pbrMetallicRoughness": surface}


def _camera(camera: Camera) -> dict[str, Any]:
    """glTF knows no principal point and no lens: the field of view alone is carried over."""
    fx, fy = camera.focal_px
    height = float(2.0 * np.arctan(0.5 * camera.height / fy))
    perspective = {"yfov": height, "aspectRatio": (camera.width / fx) / (camera.height / fy), "znear": _NEAR_M,
                   "zfar": _FAR_M}  # fmt: skip
    return {"name": camera.name or "camera", "type": "perspective", "perspective": perspective}
