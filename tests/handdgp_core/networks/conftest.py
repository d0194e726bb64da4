"""Templates and published weights that several tests of networks share."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from handdgp_core.hands.topology.hierarchy import Mesh
from handdgp_core.hands.topology.template import Template
from tests.meshes import small_template
from tests.places import TESTS

DATA = TESTS / "data" / "networks"


@pytest.fixture(scope="session")
def ball() -> Template:
    """21 keypoints, 162 vertices."""
    return small_template()


@pytest.fixture(scope="session")
def published_data() -> dict[str, NDArray[np.generic]]:
    """Meshes, matrices, intrinsics and expected outputs of the published network with the weights below."""
    with np.load(DATA / "published_parity.npz") as data:
        return {key: data[key] for key in data.files}


@pytest.fixture(scope="session")
def published_levels(published_data: dict[str, NDArray[np.generic]]) -> tuple[Mesh, ...]:
    return tuple(
        Mesh(published_data[f"vertices_{level}"].astype(float), published_data[f"faces_{level}"].astype(np.int32))
        for level in range(5)
    )


@pytest.fixture(scope="session")
def published_state(published_data: dict[str, NDArray[np.generic]]) -> dict[str, Tensor]:
    """Weights under the published names that anyone can make again: PyTorch's CPU generator, one seed a tensor."""
    shapes = json.loads((DATA / "published_shapes.json").read_text())
    matrices = {f"decoder3d.up_transform.{level}": published_data[f"up_{level}"] for level in range(4)}
    matrices["j_reg"] = published_data["j_reg"][None]
    state = {}
    for number, key in enumerate(sorted(shapes)):
        if key in matrices:
            state[key] = torch.from_numpy(matrices[key])
        else:
            state[key] = _draw(key, shapes[key], torch.Generator().manual_seed(1000 + number))
    return state


def _draw(key: str, shape: list[int], generator: torch.Generator) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if key.endswith("running_var"):
        return 1 + 0.2 * torch.rand(shape, generator=generator)
    drawn = torch.randn(shape, generator=generator)
    if len(shape) == 1:
        return (1.0 if key.endswith(".weight") else 0.0) + 0.1 * drawn
    drawn *= (1 / drawn[0].numel()) ** 0.5
    return drawn.abs() * 0.08 if key == "decoder2d.2.0.weight" else drawn
