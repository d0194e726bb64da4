"""Hand meshes as the bytes of an OBJ, PLY or GLB file with its units and axes; every hand keeps its name."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handdgp_core.export.axes import describe
from handdgp_core.export.hand_mesh import HandMesh

_MATT = {"name": "hand", "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.7}}
Encoder = Callable[[Sequence[HandMesh], str], bytes]


def encode_obj(meshes: Sequence[HandMesh], axes: str) -> bytes:
    """Wavefront OBJ: one `o` a hand, normals, colours behind the coordinates (a common extension).

    Args:
        meshes: already in `axes`.
        axes: name of the camera axes, for the comment.
    """
    out = io.StringIO()
    out.write(f"# HandDGP Live\n# units: metres\n# axes: {describe(axes)}, origin at the camera\n")
    first = 1
    for mesh in meshes:
        out.write(f"o {mesh.name}\n")
        rows = mesh.vertices_m if mesh.colours is None else np.hstack([mesh.vertices_m, mesh.colours / 255.0])
        out.write(_lines("v" + " %.7f" * 3 + " %.4f" * (rows.shape[1] - 3), rows))
        out.write(_lines("vn %.5f %.5f %.5f", mesh.normals))
        out.write(_lines("f %d//%d %d//%d %d//%d", np.repeat(mesh.faces + first, 2, axis=1)))
        first += len(mesh.vertices_m)
    return out.getvalue().encode("ascii")


def _lines(form: str, rows: NDArray[Any]) -> str:
    """One line a row; half the time of np.savetxt."""
    return f"{form}\n" * len(rows) % tuple(rows.ravel().tolist())


def encode_ply(meshes: Sequence[HandMesh], axes: str) -> bytes:
    """Binary PLY: PLY has no objects, so every vertex and face carries the number of its hand.

    Args:
        meshes: already in `axes`; colours are written where every mesh has them.
        axes: name of the camera axes, for the comment.
    """
    coloured = all(mesh.colours is not None for mesh in meshes)
    vertices = np.concatenate([_ply_vertices(mesh, number, coloured) for number, mesh in enumerate(meshes)])
    offsets = np.cumsum([0, *(len(mesh.vertices_m) for mesh in meshes)])
    faces = np.concatenate(
        [
            _ply_faces(mesh, number, int(offset))
            for (number, mesh), offset in zip(enumerate(meshes), offsets, strict=False)
        ]
    )
    kinds = {"f4": "float", "u1": "uchar"}
    properties = [f"property {kinds[vertices.dtype[name].str[1:]]} {name}" for name in vertices.dtype.names or ()]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment HandDGP Live",
        "comment units: metres",
        f"comment axes: {describe(axes)}, origin at the camera",
        *(f"comment hand {number}: {mesh.name}" for number, mesh in enumerate(meshes)),
        f"element vertex {len(vertices)}",
        *properties,
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "property uchar hand",
        "end_header\n",
    ]
    return "\n".join(header).encode("ascii") + vertices.tobytes() + faces.tobytes()


def _ply_vertices(mesh: HandMesh, number: int, coloured: bool) -> np.ndarray[Any, Any]:
    columns = [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    columns += [(name, "u1") for name in (("red", "green", "blue") if coloured else ())]
    rows = np.zeros(len(mesh.vertices_m), dtype=[*columns, ("hand", "u1")])
    numbers = [*mesh.vertices_m.T, *mesh.normals.T, *(mesh.colours.T if coloured and mesh.colours is not None else ())]
    for (name, _), column in zip(columns, numbers, strict=True):
        rows[name] = column
    rows["hand"] = number
    return rows


def _ply_faces(mesh: HandMesh, number: int, offset: int) -> np.ndarray[Any, Any]:
    rows = np.zeros(len(mesh.faces), dtype=[("corners", "u1"), ("vertex_indices", "<i4", 3), ("hand", "u1")])
    rows["corners"], rows["vertex_indices"], rows["hand"] = 3, mesh.faces + offset, number
    return rows


def encode_glb(meshes: Sequence[HandMesh], axes: str) -> bytes:
    """Binary glTF: one node a hand; units and axes in `asset.extras`.

    glTF itself asks for y up: viewers show a hand upright with the axes "opengl", and Blender's own importer turns
    that into Blender's axes.

    Args:
        meshes: already in `axes`.
        axes: name of the camera axes.
    """
    import trimesh  # here: it takes a third of a second, and only this format needs it

    scene = trimesh.Scene()
    for mesh in meshes:
        colours = None if mesh.colours is None else linear_rgba(mesh.colours)
        part = trimesh.Trimesh(
            mesh.vertices_m, mesh.faces, vertex_normals=mesh.normals, vertex_colors=colours, process=False
        )
        scene.add_geometry(part, node_name=mesh.name, geom_name=mesh.name)

    def complete(tree: dict[str, Any]) -> None:
        tree["asset"]["extras"] = {"units": "metres", "axes": describe(axes), "origin": "camera"}
        tree["materials"] = [_MATT]  # glTF's own default is polished metal
        for mesh in tree["meshes"]:
            for primitive in mesh["primitives"]:
                primitive["material"] = 0

    return bytes(scene.export(file_type="glb", include_normals=True, tree_postprocessor=complete))


def linear_rgba(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(V, 4) uint8 linear light, as glTF wants vertex colours, of (V, 3) uint8 sRGB (IEC 61966-2-1)."""
    share = colours / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    opaque = np.ones((len(colours), 1))
    return np.asarray(np.round(np.hstack([linear, opaque]) * 255), dtype=np.uint8)


ENCODERS: dict[str, Encoder] = {"obj": encode_obj, "ply": encode_ply, "glb": encode_glb}
