"""All exporters behind one protocol, opened by name."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from handdgp_core.drawing.overlay import OverlayStyle
from handdgp_core.errors import HandDGPError, UsageError
from handdgp_core.export import axes as camera_axes_names
from handdgp_core.export.bvh import BvhFolder
from handdgp_core.export.coco import CocoFile
from handdgp_core.export.csv_table import CsvWriter
from handdgp_core.export.freihand import FreiHandFolder
from handdgp_core.export.glb_animation import HandAnimation
from handdgp_core.export.glb_skinned import SkinnedHands
from handdgp_core.export.hand_mesh import Colouring
from handdgp_core.export.ho3d import Ho3dFolder
from handdgp_core.export.mano import ManoTable
from handdgp_core.export.meshes import MeshSequence
from handdgp_core.export.tables import PredictionsWriter
from handdgp_core.export.video import OverlayVideo
from handdgp_core.files import MIB, check_room, prepare_output
from handdgp_core.geometry.camera import Camera
from handdgp_core.types import Frame, Hand

_log = logging.getLogger(__name__)
_MARGIN_BYTES = 4 * MIB  # more than one frame's files take


class Exporter(Protocol):
    """Takes results frame by frame; whatever was added before an error stays valid."""

    @property
    def reserve_bytes(self) -> int:
        """Disk space that `close` will still need."""

    @property
    def files(self) -> list[Path]:
        """The files that are there once it is closed."""

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Takes one frame with the hands found in it and the camera that saw it. Raises OutputError."""

    def close(self) -> None:
        """Completes the files. Harmless when repeated. Raises OutputError."""


@dataclass(frozen=True)
class ExportOptions:
    """What exporters can be told.

    Attributes:
        camera_axes: of mesh files: "opencv", "opengl" or "blender"; None for what each format's readers expect
            (GLB "opengl", else "opencv"). Tables are always in the OpenCV frame.
        fps: frame rate of the rendered video.
        style: of the rendered video.
        colouring: of the meshes.
        faces: (F, 3) of the right hand, so that tables have their shapes also where no hand is found.
        vertex_count: V, with `faces`.
    """

    camera_axes: str | None = None
    fps: float = 30.0
    style: OverlayStyle = field(default_factory=OverlayStyle)
    colouring: Colouring = "hand"
    faces: NDArray[np.int32] | None = None
    vertex_count: int | None = None

    def __post_init__(self) -> None:
        if self.camera_axes is not None:
            camera_axes_names.target_from_opencv(self.camera_axes)  # raises UsageError


def _mesh_sequence(name: str, file_format: str) -> Callable[[Path, ExportOptions], Exporter]:
    return lambda output, options: MeshSequence(output / name, file_format, options.camera_axes, options.colouring)


def _foxglove_scene(output: Path) -> Exporter:
    from handdgp_core.export.foxglove_scene import FoxgloveScene  # here: its message types take a moment to import

    return FoxgloveScene(output / "scene.mcap")


def _ros2_bag(output: Path) -> Exporter:
    from handdgp_core.export.ros2_bag import Ros2Bag  # here: its package comes with an extra

    return Ros2Bag(output / "ros2bag")


def _lerobot(output: Path, fps: float) -> Exporter:
    from handdgp_core.export.lerobot import LeRobotFolder  # here: its package comes with an extra

    return LeRobotFolder(output / "lerobot", fps)


def _usd(output: Path, fps: float) -> Exporter:
    from handdgp_core.export.usd import UsdHands  # here: its package comes with an extra

    return UsdHands(output / "hands.usdc", fps)


_OPEN: dict[str, Callable[[Path, ExportOptions], Exporter]] = {
    "obj": _mesh_sequence("obj", "obj"),
    "ply": _mesh_sequence("ply", "ply"),
    "glb": lambda output, options: HandAnimation(output / "hands.glb"),
    "csv": lambda output, options: CsvWriter(output / "hands.csv"),
    "npz": lambda output, options: PredictionsWriter(output / "predictions.npz", options.faces, options.vertex_count),
    "video": lambda output, options: OverlayVideo(output / "overlay.mp4", options.fps, options.style),
    "glb-skinned": lambda output, options: SkinnedHands(output / "hands-skinned.glb"),
    "glb-frames": _mesh_sequence("glb-frames", "glb"),
    "usd": lambda output, options: _usd(output, options.fps),
    "bvh": lambda output, options: BvhFolder(output / "bvh"),
    "coco": lambda output, options: CocoFile(output / "coco.json"),
    "freihand": lambda output, options: FreiHandFolder(output / "freihand"),
    "ho3d": lambda output, options: Ho3dFolder(output / "ho3d"),
    "mano": lambda output, options: ManoTable(output / "mano.npz"),
    "lerobot": lambda output, options: _lerobot(output, options.fps),
    "ros2bag": lambda output, options: _ros2_bag(output),
    "foxglove-scene": lambda output, options: _foxglove_scene(output),
}
NAMES = tuple(_OPEN)


class ExporterGroup:
    """Several exporters as one. Leaving the `with` block closes them all, whatever happened."""

    def __init__(self, exporters: dict[str, Exporter], output: Path, margin_bytes: int = _MARGIN_BYTES) -> None:
        """Args: exporters by name; the folder they share; disk space to keep free besides what they reserve."""
        self._exporters, self._output, self._margin_bytes = exporters, output, margin_bytes

    @property
    def files(self) -> list[Path]:
        """The files that are there once the group is closed."""
        return [path for exporter in self._exporters.values() for path in exporter.files]

    def __getitem__(self, name: str) -> Exporter:
        """The exporter of that name; KeyError where it was not asked for."""
        return self._exporters[name]

    def add(self, frame: Frame, hands: Sequence[Hand], camera: Camera) -> None:
        """Hands one frame to each exporter.

        Raises:
            OutputError: the disk is nearly full or failed. Close the group: what was added before is kept.
        """
        reserve_bytes = sum(exporter.reserve_bytes for exporter in self._exporters.values())
        check_room(self._output, reserve_bytes + self._margin_bytes)
        for exporter in self._exporters.values():
            exporter.add(frame, hands, camera)

    def close(self) -> None:
        """Closes every exporter, also when one fails; then raises the first error."""
        errors: list[Exception] = []
        for exporter in self._exporters.values():
            try:
                exporter.close()
            except Exception as error:  # the others' files must still be completed
                errors.append(error)
        if errors:
            raise errors[0]

    def __enter__(self) -> ExporterGroup:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except HandDGPError:
            if error is None:
                raise
            _log.exception("An export could not be completed either")  # the first error is the one to report


def open_exporters(
    names: Iterable[str], output: str | os.PathLike[str], options: ExportOptions | None = None
) -> ExporterGroup:
    """Opens exporters by name in one folder, which is made and checked first.

    Args:
        names: of `NAMES`; case, spaces and repeats do not matter.
        output: the folder; those that write a file for every frame make a folder of their name in it.
        options: the same for all.

    Raises:
        UsageError: an unknown name.
        OutputError: the folder cannot be used.
    """
    chosen = list(dict.fromkeys(name.strip().lower() for name in names))
    unknown = [name for name in chosen if name not in _OPEN]
    if unknown:
        raise UsageError(
            f"There is no export {' or '.join(map(repr, unknown))}.", hint=f"Choose among {', '.join(NAMES)}."
        )
    options = options or ExportOptions()
    folder = prepare_output(output)
    exporters: dict[str, Exporter] = {}
    group = ExporterGroup(exporters, folder)
    try:
        for name in chosen:
            exporters[name] = _OPEN[name](folder, options)
    except BaseException:
        group.close()
        raise
    return group
