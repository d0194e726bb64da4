"""CMR's 3D side (Chen et al., CVPR 2021): one vector to meshes on all levels, coarse to fine."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from handdgp_core.errors import UsageError
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks.spiral_decoder import Upsample

__all__ = ["MeshSide"]

# Spirals beside each other in a block: their lengths in units of the config's, and their shares of its channels.
_PARALLEL = ((3, 2), (2, 4), (1, 4))
_COORDINATES = 3


class MeshSide(nn.Module):
    """`forward` maps vectors (B, C) to vertices (B, V_l, 3) of every level l, the coarsest but one first.

    Args:
        channels: C.
        template: the mesh and its levels.
        widths: channels of each level, coarse to fine; one for each step up.
        spiral_length: vertices in the shortest spiral.

    Raises:
        UsageError: another number of widths, or widths that cannot be shared out.
        ShapeError: a level too small for the longest spiral.
    """

    def __init__(self, channels: int, template: Template, widths: tuple[int, ...], spiral_length: int) -> None:
        super().__init__()
        steps = len(template.upsampling)
        if len(widths) != steps or any(width % 4 for width in widths):
            raise UsageError(f"mesh_widths: this template needs {steps} multiples of 4, got {widths}.")
        spirals = [
            [order[level] for order in (template.spirals_of_length(times * spiral_length) for times, _ in _PARALLEL)]
            for level in reversed(range(steps))
        ]
        self.coarsest = len(template.levels[-1].vertices), widths[0]
        self.attention = SelfAttention(channels)
        self.lift = nn.Linear(channels, self.coarsest[0] * self.coarsest[1])
        self.upsample = nn.ModuleList(Upsample(matrix) for matrix in reversed(template.upsampling))
        entering = (widths[0], *(width + _COORDINATES for width in widths))
        self.blocks = nn.ModuleList(
            ParallelSpirals(channels_in, channels_out, orders)
            for channels_in, channels_out, orders in zip(entering, widths, spirals, strict=False)
        )
        self.coordinates = nn.ModuleList(
            SpiralLinear(width, _COORDINATES, orders[0]) for width, orders in zip(widths, spirals, strict=True)
        )

    def forward(self, vector: Tensor) -> list[Tensor]:
        x = self.lift(self.attention(vector)).unflatten(1, self.coarsest)
        meshes: list[Tensor] = []
        for up, block, coordinates in zip(self.upsample, self.blocks, self.coordinates, strict=True):
            x = block(up(x))
            mesh = coordinates(x)
            if meshes:
                mesh = 0.5 * (mesh + up(meshes[-1]))
            meshes.append(mesh)
            x = torch.cat([x, mesh], dim=2)
        return meshes


class SelfAttention(nn.Module):
    """The entries of a vector attend to each other: softmax of the outer product of queries and keys, on the values.

    The result is added with a factor that starts at 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(channels, channels) for _ in range(3))
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        attention = (self.query(x)[:, :, None] * self.key(x)[:, None, :]).softmax(-1)
        return x + self.gamma * (attention @ self.value(x)[:, :, None]).squeeze(2)


class SpiralLinear(nn.Module):
    """`forward` maps (B, V, C_in) to (B, V, C_out): one linear map of all features along each vertex's spiral."""

    spiral: Tensor

    def __init__(self, channels_in: int, channels_out: int, spiral: NDArray[np.int32]) -> None:
        super().__init__()
        self.register_buffer("spiral", torch.from_numpy(spiral.astype(np.int64)), persistent=False)
        self.linear = nn.Linear(channels_in * spiral.shape[1], channels_out)

    def forward(self, x: Tensor) -> Tensor:
        taken = x.index_select(1, self.spiral.reshape(-1)).unflatten(1, tuple(self.spiral.shape))
        mapped: Tensor = self.linear(taken.flatten(2))
        return mapped


class ParallelSpirals(nn.Module):
    """Spirals of three lengths side by side, plus a linear map of the vertex alone; then a ReLU."""

    def __init__(self, channels_in: int, channels_out: int, spirals: list[NDArray[np.int32]]) -> None:
        super().__init__()
        self.spirals = nn.ModuleList(
            SpiralLinear(channels_in, channels_out // share, spiral)
            for (_, share), spiral in zip(_PARALLEL, spirals, strict=True)
        )
        self.vertex = nn.Linear(channels_in, channels_out)
        # Features keep their size from level to level; with PyTorch's default the biases alone would tell them apart.
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)  # two maps are added before the ReLU
            else:
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(torch.cat([spiral(x) for spiral in self.spirals], dim=2) + self.vertex(x))
