"""What validation measures during training: the loss by which networks are chosen, and errors in millimetres.

The figures of a report come from `handdgp_core.evaluation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.output import NetworkOutput
from handdgp_core.training.losses import CAMERA_SPACE, LossWeights

__all__ = ["UNPLACED_LOSS", "Means", "selection_loss", "validation_errors"]

# What a hand without a place counts in the camera-space part of the loss, and the most that part can be: as much as a
# root 10 m away. A network must not get better by placing nothing.
UNPLACED_LOSS = 10.0


class Means:
    """Weighted means that several processes fill, each with what it has; a process without any is no trouble."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, name: str, mean: Tensor, count: int) -> None:
        """The mean of so many samples; the names must be the same in every process, counts may be 0."""
        part = torch.stack([mean.detach().double() * count, mean.new_tensor(count, dtype=torch.float64)])
        self._sums[name] = self._sums.get(name, torch.zeros_like(part)) + (part if count else 0)

    def over(self, total: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """The means of everything, without those that nobody has a sample of; then all is forgotten.

        Args:
            total: sums a tensor over the processes.
        """
        sums, self._sums = self._sums, {}
        if not sums:
            return {}
        totals = total(torch.stack(list(sums.values()))).tolist()
        return {name: value / count for name, (value, count) in zip(sums, totals, strict=True) if count}


def selection_loss(losses: Mapping[str, Tensor], weights: LossWeights, samples: int) -> Tensor:
    """The loss of a batch of so many samples, in which a hand without a place counts `UNPLACED_LOSS`.

    The losses themselves leave such hands out, so a network that places none would have no camera-space loss.
    """
    camera = [getattr(weights, name) * losses[name] for name in CAMERA_SPACE if name in losses]
    if not camera:
        return losses["total"]
    part = torch.stack(camera).sum()
    unplaced = losses["degenerate_count"].to(part.dtype) / samples
    counted = (1 - unplaced) * part.clamp(max=UNPLACED_LOSS) + unplaced * UNPLACED_LOSS
    return losses["total"] - part + counted


def validation_errors(
    output: NetworkOutput, view: Mapping[str, Tensor], network: HandDGP
) -> dict[str, tuple[Tensor, int]]:
    """Means over the samples of a batch that have what it takes, and how many these are.

    Args:
        output: of B samples.
        view: their labels, as in a batch.
        network: for its keypoint regressor and unit.

    Returns:
        root_mm: distance between roots; depth_mm: the same along the line of sight. joint_mm: mean over keypoints
        (CS-MJE) in camera space; relative_joint_mm: with both roots at the origin. degenerate: part without a root.
    """
    placed = ~output.degenerate
    has_root = placed & (view["has_root"] > 0)
    has_mesh = view["has_vertices"] > 0
    scale = network.template.hand_scale_m
    true_relative = network.keypoints(view["vertices"].float()) * scale
    relative = network.keypoints(output.vertices.float()) * scale
    true_root = view["root_m"].float()
    off = output.root_m - true_root
    joints = (output.keypoints_m - true_relative - true_root[:, None]).norm(dim=-1).mean(-1)
    return {
        "root_mm": _mean(off.norm(dim=-1) * 1e3, has_root),
        "depth_mm": _mean(off[:, 2].abs() * 1e3, has_root),
        "joint_mm": _mean(joints * 1e3, has_root & has_mesh),
        "relative_joint_mm": _mean((relative - true_relative).norm(dim=-1).mean(-1) * 1e3, has_mesh),
        "degenerate": (output.degenerate.float().mean(), len(output.degenerate)),
    }


def _mean(values: Tensor, known: Tensor) -> tuple[Tensor, int]:
    count = int(known.sum())
    return torch.where(known, values, 0.0).sum() / max(1, count), count
