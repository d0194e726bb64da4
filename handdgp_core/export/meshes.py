"""Mesh files of single frames: OBJ, PLY, GLB. Metres; each hand its own object."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from handdgp_core.errors import UsageError
from handdgp_core.export.hand_mesh import Colouring, hand_meshes, has_mesh
from handdgp_core.export.mesh_formats import ENCODERS
from handdgp_core.files import output_errors, whole_file
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame, Hand

FORMATS = tuple(ENCODERS)
_NATURAL_AXES = {"glb": "opengl"}  # what the format itself asks for; all others as the program has them


def natural_axes(file_format: str) -> str:
    """The axes that readers of a format expect: "opengl" for GLB, else "opencv"."""
    return _NATURAL_AXES.get(file_format, "opencv")


def write_meshes(
    path: str | os.PathLike[str], hands: Sequence[Hand], axes: str | None = None, colouring: Colouring = "hand"
) -> Path:
    """Writes the hands of one frame into one file, whose ending names the format.

    Args:
        path: ending in .obj, .ply or .glb; a file that is there is replaced.
        hands: of one frame; degenerate ones are skipped.
        axes: "opencv", "opengl" or "blender"; None takes `natural_axes`.
        colouring: see `hand_mesh.hand_meshes`.

    Returns:
        The path that was written.

    Raises:
        UsageError: another ending, unknown axes, or no hand with a mesh.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    file_format = path.suffix[1:].lower()
    if file_format not in ENCODERS:
        endings = ", ".join(f".{name}" for name in FORMATS)
        raise UsageError(f"{path} is not the name of a mesh file.", hint=f"Let it end in one of {endings}.")
    axes = axes or natural_axes(file_format)
    meshes = hand_meshes(hands, axes, colouring)
    if not meshes:
        raise UsageError("This frame has no hand with a mesh.", hint="Hold a hand in view until it is found.")
    data = ENCODERS[file_format](meshes, axes)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        part.write_bytes(data)
    return path


class MeshSequence:
    """Exporter: one mesh file for every frame with a hand, `hand_000123.obj` for frame 123."""

    reserve_bytes = 0

    def __init__(self, folder: Path, file_format: str, axes: str | None = None, colouring: Colouring = "hand") -> None:
        """Args: the folder for the files; "obj", "ply" or "glb"; axes and colouring as for `write_meshes`."""
        self.folder, self.file_format, self.axes, self.colouring = folder, file_format, axes, colouring
        self.files: list[Path] = []

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Writes the frame's file, unless no hand has a mesh.

        Raises:
            UsageError: unknown axes.
            OutputError: the file cannot be written.
        """
        if any(has_mesh(hand) for hand in hands):
            path = self.folder / frame_file_name(frame.index, self.file_format)
            self.files.append(write_meshes(path, hands, self.axes, self.colouring))

    def close(self) -> None:
        """Nothing is left to do: every file is whole."""


def frame_file_name(index: int, file_format: str) -> str:
    """`hand_000123.obj` for frame 123."""
    return f"hand_{index:06d}.{file_format}"
