"""Arrays collected into the buffer of a binary glTF 2.0 file; pygltflib writes the container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["GlbBuilder"]

_COMPONENTS = {np.dtype("<f4"): 5126, np.dtype("<u4"): 5125, np.dtype("<u2"): 5123}
_KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
VERTEX_DATA, INDEX_DATA = 34962, 34963


class GlbBuilder:
    """Collects arrays, then writes them behind the description that uses them.

    Attributes:
        tree: the glTF description; fill in nodes, meshes and so on.
    """

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {"accessors": [], "bufferViews": []}
        self._data: list[bytes] = []
        self._size = 0

    def add(self, values: NDArray[Any], target: int | None = None, bounds: bool = False) -> int:
        """Add an array; the number of its accessor.

        Args:
            values: (N,), (N, 3), (N, 4) or (N, 16), a matrix by columns; float32, uint32 or uint16.
            target: VERTEX_DATA or INDEX_DATA where a mesh uses it.
            bounds: state least and greatest values, which glTF wants for positions and times.
        """
        values = np.ascontiguousarray(values)
        data = values.tobytes()
        view: dict[str, Any] = {"buffer": 0, "byteOffset": self._size, "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self.tree["bufferViews"].append(view)
        width = 1 if values.ndim == 1 else values.shape[1]
        accessor: dict[str, Any] = {
            "bufferView": len(self.tree["bufferViews"]) - 1,
            "componentType": _COMPONENTS[values.dtype.newbyteorder("<")],
            "count": len(values),
            "type": _KINDS[width],
        }
        if bounds:
            rows = values.reshape(len(values), width)
            accessor |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self.tree["accessors"].append(accessor)
        padding = -len(data) % 4
        self._data.append(data + bytes(padding))
        self._size += len(data) + padding
        return len(self.tree["accessors"]) - 1

    def write(self, path: Path) -> None:
        """Write the container. Raises OSError."""
        from pygltflib import GLTF2  # here: it takes a moment, and only this format needs it

        tree = {**self.tree, "buffers": [{"byteLength": self._size}]}
        glb = GLTF2.from_dict({key: value for key, value in tree.items() if value != []})
        glb.set_binary_blob(b"".join(self._data))
        glb.save_binary(path)
