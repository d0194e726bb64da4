"""Animated GLB files read with pygltflib and played as the specification says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pygltflib
from scipy.spatial.transform import Rotation

_KINDS = {5126: "<f4", 5125: "<u4", 5123: "<u2"}
_WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def accessor(glb: pygltflib.GLTF2, number: int) -> np.ndarray:
    """An array of the file, as pygltflib finds it."""
    entry = glb.accessors[number]
    view = glb.bufferViews[entry.bufferView]
    data = glb.binary_blob()[view.byteOffset : view.byteOffset + view.byteLength]
    return np.frombuffer(data, _KINDS[entry.componentType]).reshape(entry.count, _WIDTHS[entry.type])


class SkeletonPlayback:
    """Plays a skinned hand of a GLB: nodes from their animated parts, skin by its joints' matrices."""

    def __init__(self, path: Path, name: str) -> None:
        self.glb = pygltflib.GLTF2().load(str(path))
        self.holder = next(place for place, node in enumerate(self.glb.nodes) if node.name == name)
        mesh_node = next(node for node in self.glb.nodes if node.name == f"{name} skin")
        self.skin = self.glb.skins[mesh_node.skin]
        self.primitive = self.glb.meshes[mesh_node.mesh].primitives[0]

    def curve(self, node: int, path: str) -> tuple[np.ndarray, np.ndarray] | None:
        animation = self.glb.animations[0]
        for channel in animation.channels:
            if channel.target.node == node and channel.target.path == path:
                sampler = animation.samplers[channel.sampler]
                return accessor(self.glb, sampler.input)[:, 0], accessor(self.glb, sampler.output)
        return None

    def matrices(self, time_s: float) -> dict[int, np.ndarray]:
        """(4, 4) world matrix of every node below the hand's, at a time of a frame."""
        found = {}

        def part(node: int, path: str, default: object) -> np.ndarray:
            curve = self.curve(node, path)
            if curve is None:
                return np.array(default, dtype=np.float64)
            place = int(np.abs(curve[0] - time_s).argmin())
            assert abs(curve[0][place] - time_s) < 1e-4
            return curve[1][place].astype(np.float64)

        def walk(node: int, above: np.ndarray) -> None:
            local = np.eye(4)
            turn = Rotation.from_quat(part(node, "rotation", [0, 0, 0, 1])).as_matrix()
            local[:3, :3] = turn * part(node, "scale", [1, 1, 1])
            local[:3, 3] = part(node, "translation", [0, 0, 0])
            found[node] = above @ local
            for child in self.glb.nodes[node].children or []:
                walk(child, found[node])

        walk(self.holder, np.eye(4))
        return found

    def joints(self, time_s: float) -> dict[str, np.ndarray]:
        """(4, 4) world matrices by name."""
        return {self.glb.nodes[node].name: self.matrices(time_s)[node] for node in self.skin.joints}

    def vertices_m(self, time_s: float) -> np.ndarray:
        """(V, 3) skinned."""
        world = self.matrices(time_s)
        inverse = accessor(self.glb, self.skin.inverseBindMatrices).reshape(-1, 4, 4).swapaxes(1, 2)
        moves = np.stack([world[node] for node in self.skin.joints]) @ inverse
        rest = accessor(self.glb, self.primitive.attributes.POSITION)
        rest = np.concatenate([rest, np.ones((len(rest), 1))], axis=1)
        joints = accessor(self.glb, self.primitive.attributes.JOINTS_0)
        weights = accessor(self.glb, self.primitive.attributes.WEIGHTS_0)
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
        return np.einsum("vi,viab,vb->va", weights, moves[joints], rest)[:, :3]
