"""Errors in millimetres during training. The figures of a report come from `handdgp_core.evaluation`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.output import NetworkOutput

__all__ = ["validation_errors"]


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
