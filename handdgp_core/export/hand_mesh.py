"""The mesh of one hand, in the axes of an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.drawing.colours import HAND_COLOURS, weight_colours
from handdgp_core.drawing.normals import vertex_normals
from handdgp_core.export.axes import target_from_opencv
from handdgp_core.types import Hand

Colouring = Literal["none", "hand", "weights"]
_NEAREST_MM = 1.0  # keypoints closer than this to a vertex count as this close


@dataclass(frozen=True)
class HandMesh:
    """One named mesh.

    Attributes:
        name: "right_0", "left_1": side, and the hand's place in its frame.
        vertices_m: (V, 3) in the axes of the export.
        normals: (V, 3) unit vectors in the same axes.
        faces: (F, 3) outward.
        colours: (V, 3) uint8 sRGB, or None.
    """

    name: str
    vertices_m: Array
    normals: Array
    faces: NDArray[np.int32]
    colours: NDArray[np.uint8] | None


def hand_meshes(hands: Sequence[Hand], axes: str = "opencv", colouring: Colouring = "hand") -> list[HandMesh]:
    """The meshes of a frame's hands; degenerate hands have none and are skipped.

    Args:
        hands: of one frame.
        axes: name of the camera axes, see `axes`.
        colouring: "none"; "hand", one colour a side; "weights", the solve's weight of the keypoints around each vertex.

    Returns:
        One mesh a hand, numbered over all hands of the frame, the degenerate ones included.

    Raises:
        UsageError: unknown axes.
    """
    rotation = target_from_opencv(axes)
    return [
        _hand_mesh(f"{hand.handedness}_{number}", hand, rotation, colouring)
        for number, hand in enumerate(hands)
        if has_mesh(hand)
    ]


def has_mesh(hand: Hand) -> bool:
    """Whether there is a finite surface to write."""
    return hand.degenerate is None and len(hand.vertices_m) > 0 and bool(np.isfinite(hand.vertices_m).all())


def _hand_mesh(name: str, hand: Hand, rotation: Array, colouring: Colouring) -> HandMesh:
    vertices_m = np.asarray(hand.vertices_m, dtype=np.float64) @ rotation.T
    faces = np.asarray(hand.faces, dtype=np.int32)
    return HandMesh(name, vertices_m, vertex_normals(vertices_m, faces), faces, _colours(hand, colouring))


def _colours(hand: Hand, colouring: Colouring) -> NDArray[np.uint8] | None:
    if colouring == "none":
        return None
    if colouring == "hand":
        return np.tile(np.array(HAND_COLOURS[hand.handedness], dtype=np.uint8), (len(hand.vertices_m), 1))
    offsets_m = hand.vertices_m[:, None] - hand.keypoints_m
    nearness = 1.0 / np.maximum(np.einsum("vki,vki->vk", offsets_m, offsets_m), (_NEAREST_MM / 1000) ** 2) ** 2
    return weight_colours(nearness @ hand.weights / nearness.sum(axis=1))
