"""The published HandDGP checkpoint: its names for our parameters, and its way into our format.

The file is a Lightning checkpoint, {"state_dict": {"model.<name>": tensor}}. It holds the upsampling matrices (dense)
and the keypoint regressor, but no spirals: those follow from the faces of the template's levels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from handdgp_core.config import parse
from handdgp_core.errors import WeightsError
from handdgp_core.hands.topology.hierarchy import Mesh
from handdgp_core.hands.topology.spirals import spirals
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.networks.handdgp import HandDGP

__all__ = ["PREFIX", "build_published", "published_config", "published_names", "published_template"]

PREFIX = "model."
_UPSAMPLING = "decoder3d.up_transform."
_REGRESSOR = "j_reg"
_HINT = "Give the HandDGP checkpoint as its authors publish it, and the template it was trained with."

# Our prefix -> the published one.
_MODULES = {
    "backbone.body.": "backbone.",
    "keypoint_head.latent.": "decoder2d_latent.",
    "mesh_head.latent.": "decoder3d_latent.0.",
    "mesh_head.mix.": "decoder3d.preprocess_layer.0.",
    "mesh_head.decoder.lift": "decoder3d.upsample_matrix",
    "mesh_head.decoder.final.spatial": "decoder3d.final_layer.spatial_layer.weight",
    "mesh_head.decoder.final.channel": "decoder3d.final_layer.channel_layer.weight",
    "weight_head.latent.": "decoderw_latent.",
}
# Layers that are numbered differently: pattern in our names -> the published name.
_LAYERS = (
    (re.compile(r"keypoint_head\.layers\.(\d+)\.weight"), lambda n: f"decoder2d.{n}.0.weight"),
    (
        re.compile(r"mesh_head\.decoder\.spirals\.(\d+)\.spatial"),
        lambda n: f"decoder3d.spiral_layers.{n}.conv.spatial_layer.weight",
    ),
    (
        re.compile(r"mesh_head\.decoder\.spirals\.(\d+)\.channel"),
        lambda n: f"decoder3d.spiral_layers.{n}.conv.channel_layer.weight",
    ),
    (re.compile(r"weight_head\.layers\.(\d+)\.weight"), lambda n: f"decoderw.{2 * n}.weight"),
    (re.compile(r"weight_head\.layers\.(\d+)\.bias"), lambda n: f"decoderw.{2 * n}.bias"),
)


def published_names(network: HandDGP) -> dict[str, str]:
    """The published name of every parameter and buffer of ours."""
    return {name: _published_name(name) for name in network.state_dict()}


def published_config(template: str, focal_px: float = 1000.0) -> NetworkConfig:
    """The config of the published network: ResNet-50, published solve and rectification."""
    values = {
        "backbone": "resnet50",
        "template": template,
        "positioning": "published",
        "pixel_offset": 0.0,
        "rectification": {"policy": "published", "focal_px": focal_px},
    }
    return parse(NetworkConfig, values)


def published_template(state: Mapping[str, Tensor], levels: tuple[Mesh, ...], name: str) -> Template:
    """The template that a checkpoint's matrices and the faces of its levels make.

    Args:
        state: the checkpoint's tensors, without the prefix.
        levels: meshes, fine to coarse; one more than there are upsampling matrices.
        name: what to call it.

    Raises:
        WeightsError: matrices that are missing, or do not fit the levels.
    """
    count = sum(key.startswith(_UPSAMPLING) for key in state)
    keys = [_REGRESSOR, *(f"{_UPSAMPLING}{number}" for number in range(count))]
    missing = [key for key in keys if key not in state]
    if missing or not count:
        absent = ", ".join(missing) or f"{_UPSAMPLING}0"
        raise WeightsError(f"This is not a HandDGP checkpoint: it has no {absent}.", hint=_HINT)
    regressor = state[_REGRESSOR].double().numpy()
    matrices = [state[key].double().numpy() for key in keys[1:]]
    sizes = [len(mesh.vertices) for mesh in levels]
    expected = list(pairwise(sizes))
    if (
        [matrix.shape for matrix in matrices] != expected
        or regressor.ndim != 3
        or regressor.shape[0] != 1
        or regressor.shape[2:] != (sizes[0],)
    ):
        actual = f"{[matrix.shape for matrix in matrices]} and keypoints {regressor.shape}"
        raise WeightsError(f"This template needs upsampling matrices {expected}, got {actual}.", hint=_HINT)
    orders = tuple(spirals(mesh.vertices, mesh.faces) for mesh in levels[:-1])
    return Template(name, levels, tuple(csr_array(matrix) for matrix in matrices), orders, regressor[0])


def build_published(
    state: Mapping[str, Tensor], levels: tuple[Mesh, ...], name: str, focal_px: float = 1000.0
) -> HandDGP:
    """The published network with a checkpoint's weights, in evaluation mode.

    Args:
        state: the checkpoint's tensors, without the prefix.
        levels: as in `published_template`.
        name: of the template.
        focal_px: the canonical focal length that the checkpoint was trained with.

    Raises:
        WeightsError: names every tensor that is missing, unknown, of another shape, or not finite.
    """
    network = HandDGP(published_config(name, focal_px), published_template(state, levels, name))
    own = network.state_dict()
    names = published_names(network)
    _check(state, own, names)
    network.load_state_dict({key: state[names[key]].reshape(value.shape) for key, value in own.items()})
    return network.eval()


def _published_name(name: str) -> str:
    for pattern, published in _LAYERS:
        match = pattern.fullmatch(name)
        if match:
            return published(int(match[1]))
    for ours, theirs in _MODULES.items():
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    raise KeyError(name)


def _published_shape(name: str, shape: torch.Size) -> tuple[int, ...]:
    """Spatial filters are 3x3 depth-wise kernels in the file, and (C, 9) here."""
    if name.endswith("spatial_layer.weight"):
        side = int(np.sqrt(shape[1]))
        return (shape[0], 1, side, side)
    return tuple(shape)


def _check(state: Mapping[str, Tensor], own: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    expected = {names[key]: _published_shape(names[key], value.shape) for key, value in own.items()}
    extra = {key for key in state if key not in expected and not key.startswith(_UPSAMPLING) and key != _REGRESSOR}
    faults = [f"missing {key}" for key in sorted(expected.keys() - state.keys())]
    faults += [f"unknown {key}" for key in sorted(extra)]
    for key in sorted(expected.keys() & state.keys()):
        if tuple(state[key].shape) != expected[key]:
            faults.append(f"{key} of shape {tuple(state[key].shape)} instead of {expected[key]}")
        elif not torch.isfinite(state[key]).all():
            faults.append(f"{key} with numbers that are not finite")
    if faults:
        raise WeightsError(f"This is not a whole HandDGP checkpoint: {'; '.join(faults)}.", hint=_HINT)
