"""The hidden layers that the guide and the refiner are made of."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ResidualBlock"]


class ResidualBlock(nn.Module):
    """Layer norm, then two linear layers with SiLU and dropout between; the input (B, width) is added."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.second(self.dropout(F.silu(self.first(self.norm(x)))))
        return x + inner
