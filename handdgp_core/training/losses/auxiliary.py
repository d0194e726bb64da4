"""CMR's losses on what its network predicts on the way: coarser meshes, keypoint maps, silhouettes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handdgp_core.hands.topology.hierarchy import upsampling_matrix
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks.output import Auxiliary
from handdgp_core.networks.spiral_decoder import Upsample

__all__ = ["AuxiliaryLosses", "keypoint_maps"]

# A keypoint's map: a Gaussian in a window of 13 px about it, for crops of 224 px.
_SIGMA, _WINDOW = 3.5 / 224, 6.5 / 224


class AuxiliaryLosses(nn.Module):
    """`forward` gives losses by name, each summed over the levels or stages that a network has it for.

    Args:
        template: the network's; the truth on its coarser levels follows from the finest.
    """

    def __init__(self, template: Template) -> None:
        super().__init__()
        whole = template.levels[0]
        self.coarser = nn.ModuleList(
            Upsample(upsampling_matrix(level.vertices, whole)) for level in template.levels[1:-1]
        )

    def forward(self, found: Auxiliary, labels: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
        """
        Args:
            found: of a batch.
            labels: its labels: keypoints_uv, vertices, has_keypoints_uv, has_vertices, and, where a data set has
                them, silhouette (B, 1, M, M) and has_silhouette (B,).
            size: side of the crops, pixels.
        """
        known = labels["has_vertices"] > 0
        target = torch.where(known[:, None, None], labels["vertices"], 0.0)
        losses = {
            "coarse_vertices": _total(
                _mean_of_known((mesh.to(target.dtype) - coarser(target)).abs(), known)
                for mesh, coarser in zip(found.meshes, self.coarser, strict=True)
            )
        }
        known = labels["has_keypoints_uv"] > 0
        uv = torch.where(known[:, None, None], labels["keypoints_uv"], 0.0)
        losses["maps"] = _total(_cross_entropy(logits, keypoint_maps(uv, size), known) for logits in found.maps)
        if "silhouette" in labels:
            known = labels["has_silhouette"] > 0
            losses["silhouettes"] = _total(
                _cross_entropy(logits, labels["silhouette"], known) for logits in found.silhouettes
            )
        return losses


def keypoint_maps(keypoints_uv: Tensor, size: int) -> Tensor:
    """(B, K, S / 2, S / 2): for each keypoint a Gaussian of peak 1 about its pixel, drawn at S and averaged to half.

    Args:
        keypoints_uv: (B, K, 2) crop fractions. A keypoint outside of the crop has an empty map.
        size: S, pixels.
    """
    pixel = (keypoints_uv * size - 0.5).round()
    inside = ((pixel >= 0) & (pixel < size)).all(-1)
    steps = torch.arange(size, device=pixel.device, dtype=pixel.dtype)
    off = steps - pixel[..., None]  # (B, K, 2, S): the map is the product of its profiles across and down
    profile = torch.exp(-0.5 * (off / (_SIGMA * size)) ** 2) * (off.abs() <= _WINDOW * size)
    across, down = profile.unflatten(3, (-1, 2)).mean(-1).unbind(2)
    return torch.where(inside[..., None, None], down[..., :, None] * across[..., None, :], 0.0)


def _cross_entropy(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    errors = F.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")
    return _mean_of_known(errors, known)


def _mean_of_known(errors: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, errors.flatten(1).mean(1), 0.0).sum() / known.sum().clamp(min=1)


def _total(parts: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum()
