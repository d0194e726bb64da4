"""From features at the keypoints to a mesh: spiral convolutions on finer and finer levels (MobRecon, Chen et al. 2022).

The feature of every keypoint is lifted to the coarsest mesh by a learned matrix; then each level goes up by the
template's fixed barycentric weights and is convolved along its spirals.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor, nn

from handdgp_core.hands.topology.template import Template

__all__ = ["DepthSeparableSpiral", "SpiralDecoder", "Upsample"]

_LIFT_START = 0.01


class Upsample(nn.Module):
    """(B, V_coarse, C) to (B, V_fine, C) by a fixed sparse matrix: every row is a weighted sum of a few vertices."""

    index: Tensor
    weight: Tensor

    def __init__(self, matrix: csr_array) -> None:
        super().__init__()
        index, weight = padded_rows(matrix)
        self.register_buffer("index", torch.from_numpy(index), persistent=False)
        self.register_buffer("weight", torch.from_numpy(weight).to(torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype)
        out = x.index_select(1, self.index[:, 0]) * weight[:, :1]
        for place in range(1, self.index.shape[1]):
            out = torch.addcmul(out, x.index_select(1, self.index[:, place]), weight[:, place, None])
        return out


def padded_rows(matrix: csr_array) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Columns and values of a sparse matrix, (rows, n) with n the fullest row's count; the rest is filled with 0."""
    matrix = csr_array(matrix)
    counts = np.diff(matrix.indptr)
    width = max(int(counts.max()), 1)
    here = np.arange(width) < counts[:, None]
    index, weight = np.zeros(here.shape, dtype=np.int64), np.zeros(here.shape)
    index[here], weight[here] = matrix.indices, matrix.data
    return index, weight


class DepthSeparableSpiral(nn.Module):
    """DSConv: each channel is filtered along the spiral by itself, then channels are mixed. No biases.

    Attributes:
        spatial: (C_in, L) weight of each place of the spiral.
        channel: (C_out, C_in).
        spiral: (V, L) vertex numbers.
    """

    spiral: Tensor

    def __init__(self, channels_in: int, channels_out: int, spiral: NDArray[np.int32]) -> None:
        super().__init__()
        length = spiral.shape[1]
        self.spatial = nn.Parameter(torch.empty(channels_in, length))
        self.channel = nn.Parameter(torch.empty(channels_out, channels_in))
        self.register_buffer("spiral", torch.from_numpy(spiral.astype(np.int64)), persistent=False)
        # Such that features keep their size from level to level, with a ReLU between.
        nn.init.normal_(self.spatial, std=length**-0.5)
        nn.init.kaiming_normal_(self.channel, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(B, V, C_in) to (B, V, C_out)."""
        vertices, length = self.spiral.shape
        taken = x.index_select(1, self.spiral.reshape(-1)).unflatten(1, (vertices, length))
        filtered = (taken * self.spatial.t().to(x.dtype)).sum(2)  # einsum takes three times as long
        return nn.functional.linear(filtered, self.channel)


class SpiralDecoder(nn.Module):
    """`forward` maps features (B, K, widths[0]) at the keypoints to vertices (B, V, 3).

    Args:
        template: the mesh and its levels.
        widths: channels of each level, coarse to fine; one for each step up.
        spiral_length: vertices in a spiral.
    """

    def __init__(self, template: Template, widths: tuple[int, ...], spiral_length: int) -> None:
        super().__init__()
        orders = template.spirals_of_length(spiral_length)
        coarsest = len(template.levels[-1].vertices)
        self.lift = nn.Parameter(torch.full((coarsest, template.keypoint_count), _LIFT_START))
        self.upsample = nn.ModuleList(Upsample(matrix) for matrix in reversed(template.upsampling))
        entering = (widths[0], *widths)
        self.spirals = nn.ModuleList(
            DepthSeparableSpiral(channels_in, channels_out, order)
            for channels_in, channels_out, order in zip(entering, widths, reversed(orders), strict=False)
        )
        self.final = DepthSeparableSpiral(widths[-1], 3, orders[0])

    def forward(self, features: Tensor) -> Tensor:
        x = torch.einsum("vk,bkc->bvc", self.lift.to(features.dtype), features)
        for upsample, spiral in zip(self.upsample, self.spirals, strict=True):
            x = torch.relu(spiral(upsample(x)))
        # The vertices themselves: half precision would round them to a millimetre.
        with torch.autocast(x.device.type, enabled=False):
            return self.final(x.to(self.final.channel.dtype))
