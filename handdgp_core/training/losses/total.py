"""Equation (10): the weighted sum of the losses over a batch of one or two views, by stage of the curriculum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from handdgp_core.config import Config
from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.training.losses import equations
from handdgp_core.training.losses.auxiliary import AuxiliaryLosses

if TYPE_CHECKING:
    from handdgp_core.hands.topology.template import Template
    from handdgp_core.networks.output import Auxiliary, NetworkOutput

__all__ = ["CAMERA_SPACE", "HandLosses", "LossWeights", "Stage"]

# "relative": equations (1) to (6) alone, until they have converged. "all": all nine.
Stage = Literal["relative", "all"]
# The losses that need a root: equations (7) to (9).
CAMERA_SPACE = ("root", "vertices_uv", "keypoint_consistency")


class LossWeights(Config):
    """Factors of equation (10), in its order.

    `weights` is ours: L1 between the weights and a teacher's (`training.distillation`). With the true root alone to
    learn from, weights mean little on photographs. `coarse_vertices`, `maps` and `silhouettes` are CMR's, for what its
    network alone predicts.

    `reduction` says how (1) to (6) sum up. "printed": as in the supplement. "mobrecon": as in the code of MobRecon,
    whose losses these are: coordinates are averaged, so (1) and (6) are a third and (2) is half of what is printed; (5)
    is the mean over coordinates in pixels of the source image; normals and edges are summed over the two views; edges
    are Euclidean. `edge_norm` is the norm of edge lengths in (4): null for the reduction's own, 1 as printed, 2.
    """

    vertices: NonNegativeFloat = 1.0
    keypoints_uv: NonNegativeFloat = 1.0
    normals: NonNegativeFloat = 0.05
    edges: NonNegativeFloat = 0.5
    consistency_uv: NonNegativeFloat = 1.0
    consistency_vertices: NonNegativeFloat = 1.0
    root: NonNegativeFloat = 1.0
    vertices_uv: NonNegativeFloat = 1.0
    keypoint_consistency: NonNegativeFloat = 0.5
    weights: NonNegativeFloat = 0.0
    coarse_vertices: NonNegativeFloat = 1.0
    maps: NonNegativeFloat = 10.0
    silhouettes: NonNegativeFloat = 0.5
    reduction: Literal["printed", "mobrecon"] = "printed"
    edge_norm: Literal[1, 2] | None = None

    @property
    def edge_order(self) -> int:
        """The norm of edge lengths."""
        return self.edge_norm or (2 if self.reduction == "mobrecon" else 1)


class HandLosses(nn.Module):
    """All losses of a batch.

    The two views of a sample count as two samples in the losses of one view, so these are means over both views.
    Everything is computed in float32 at least, whatever the network ran in and whether autocast is on.

    Args:
        faces: (F, 3) int triangles of the network's mesh.
        weights: factors of equation (10), and how they sum up.
        hand_scale_m: metres in one unit of the root-relative vertices.
        image_size: side of the views, pixels; None for that of the batch's images.
        pixel_offset: what the network's crop fractions count from, see `NetworkConfig`. Labels count from the edge.
        template: of a network with auxiliary outputs; None where there are none.
    """

    faces: Tensor

    def __init__(
        self,
        faces: Any,
        weights: LossWeights | None = None,
        hand_scale_m: float = 0.2,
        image_size: int | None = None,
        pixel_offset: float = -0.5,
        template: Template | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("faces", torch.as_tensor(faces, dtype=torch.int64), persistent=False)
        self.weights = weights or LossWeights()
        self.hand_scale_m = hand_scale_m
        self.image_size = image_size
        self.pixel_offset = pixel_offset
        self.auxiliary = None if template is None else AuxiliaryLosses(template)

    def forward(
        self,
        outputs: Sequence[NetworkOutput],
        batch: Mapping[str, Any],
        stage: Stage,
        auxiliary: Auxiliary | None = None,
    ) -> dict[str, Tensor]:
        """Losses by name, before their weights, and "total", their weighted sum.

        Args:
            outputs: what the network gave for view 1, or for views 1 and 2.
            batch: "view1" and, with two outputs, "view2": dicts with image (B, 3, S, S), intrinsics (B, 3, 3),
                keypoints_uv (B, K, 2), vertices (B, V, 3), root_m (B, 3), has_vertices, has_keypoints_uv, has_root
                (B,); with two outputs also "uv2_from_uv1" (B, 2, 3). Labels that are missing may be NaN.
            stage: which terms count.
            auxiliary: what the network predicts beside its outputs, of all views, one after the other.

        Returns:
            Scalars named as in `LossWeights` (those of the stage, consistencies only with two views), "total", and
            "degenerate_count": how many samples had no DGP root (int64; they are skipped in the camera-space terms,
            so they have no camera-space gradient).

        Raises:
            UsageError: an unknown stage.
            ShapeError: neither one nor two outputs, or another number of vertices than the faces or labels have.
        """
        if stage not in ("relative", "all"):
            raise UsageError(f'The stage is "relative" or "all", got {stage!r}.')
        if len(outputs) not in (1, 2):
            raise ShapeError(f"Expected the outputs of one or two views, got {len(outputs)}.")
        with torch.autocast(outputs[0].vertices.device.type, enabled=False):
            return self._weighted(outputs, batch, stage, auxiliary)

    def _weighted(
        self,
        outputs: Sequence[NetworkOutput],
        batch: Mapping[str, Any],
        stage: Stage,
        auxiliary: Auxiliary | None,
    ) -> dict[str, Tensor]:
        views = [batch[name] for name in ("view1", "view2")[: len(outputs)]]
        size = self.image_size or views[0]["image"].shape[-1]
        output, labels = _joined(outputs), _stacked(views)
        output["keypoints_uv"] = output["keypoints_uv"] + (0.5 + self.pixel_offset) / size  # as the labels count
        _check_vertices(output["vertices"], labels["vertices"], self.faces)
        losses = self._relative(output, labels)
        if len(outputs) == 2:
            losses |= _between_views(output, batch["uv2_from_uv1"], self._consistency_unit(views[1], size))
        if self.weights.reduction == "mobrecon":
            _reduce_as_mobrecon(losses, len(views))
        if auxiliary is not None and self.auxiliary is not None:
            losses |= self.auxiliary(auxiliary, labels, size)
        has_root = ~output["degenerate"] & torch.isfinite(output["root_m"]).all(-1)
        if stage == "all":
            losses |= self._camera_space(output, labels, size, has_root)
        if self.weights.weights:
            target = torch.cat([view["weights"] for view in views])
            losses["weights"] = (output["weights"] - target).abs().mean()
        total = torch.stack([getattr(self.weights, name) * value for name, value in losses.items()]).sum()
        return losses | {"total": total, "degenerate_count": (~has_root).sum()}

    def _consistency_unit(self, second: Mapping[str, Tensor], size: int) -> Tensor:
        """(B,) or (1,) what (5) measures in: a crop fraction of the second view, in it or in pixels of the source."""
        if self.weights.reduction == "printed":
            return torch.ones(1, device=second["intrinsics"].device)
        return second.get("source_size_px", torch.full((1,), float(size), device=second["intrinsics"].device))

    def _relative(self, output: dict[str, Tensor], labels: dict[str, Tensor]) -> dict[str, Tensor]:
        meshes = output["vertices"], labels["vertices"]
        has_vertices = labels["has_vertices"] > 0
        points = output["keypoints_uv"], labels["keypoints_uv"], labels["has_keypoints_uv"] > 0
        return {
            "vertices": equations.vertex_loss(*meshes, has_vertices),
            "keypoints_uv": equations.keypoint_uv_loss(*points),
            "normals": equations.normal_loss(*meshes, self.faces, has_vertices),
            "edges": equations.edge_loss(*meshes, self.faces, has_vertices, self.weights.edge_order),
        }

    def _camera_space(
        self, output: dict[str, Tensor], labels: dict[str, Tensor], size: int, has_root: Tensor
    ) -> dict[str, Tensor]:
        root_known = has_root & (labels["has_root"] > 0)
        mesh_known = root_known & (labels["has_vertices"] > 0)
        true_m = labels["vertices"] * self.hand_scale_m + labels["root_m"][:, None]
        rays = labels["intrinsics"]
        points = output["keypoints_m"], output["keypoints_uv"]
        return {
            "root": equations.root_loss(output["root_m"], labels["root_m"], root_known),
            "vertices_uv": equations.camera_vertex_loss(output["vertices_m"], true_m, rays, size, mesh_known),
            "keypoint_consistency": equations.keypoint_consistency_loss(*points, rays, size, has_root),
        }


def _between_views(output: dict[str, Tensor], uv2_from_uv1: Tensor, unit: Tensor) -> dict[str, Tensor]:
    first_uv, second_uv = output["keypoints_uv"].chunk(2)
    uv2_from_uv1, second_uv = (value * unit.to(value.dtype)[:, None, None] for value in (uv2_from_uv1, second_uv))
    first, second = output["vertices"].chunk(2)
    every = torch.ones(len(first), dtype=torch.bool, device=first.device)
    return {
        "consistency_uv": equations.consistency_uv_loss(first_uv, second_uv, uv2_from_uv1.to(first_uv.dtype), every),
        "consistency_vertices": equations.consistency_vertex_loss(first, second, every),
    }


def _reduce_as_mobrecon(losses: dict[str, Tensor], views: int) -> None:
    """See `LossWeights.reduction`."""
    for name, coordinates in (("vertices", 3), ("consistency_vertices", 3), ("keypoints_uv", 2), ("consistency_uv", 2)):
        if name in losses:
            losses[name] = losses[name] / coordinates
    for name in ("normals", "edges"):
        losses[name] = losses[name] * views


def _joined(outputs: Sequence[NetworkOutput]) -> dict[str, Tensor]:
    """Fields of the outputs, views one after the other along the batch."""
    names = ("keypoints_uv", "vertices", "weights", "root_m", "vertices_m", "keypoints_m")
    fields = {name: torch.cat([_at_least_float32(getattr(output, name)) for output in outputs]) for name in names}
    return fields | {"degenerate": torch.cat([output.degenerate for output in outputs])}


def _stacked(views: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    names = ["intrinsics", "keypoints_uv", "vertices", "root_m", "has_vertices", "has_keypoints_uv", "has_root"]
    if all("silhouette" in view for view in views):
        names += ["silhouette", "has_silhouette"]
    return {name: torch.cat([_at_least_float32(view[name]) for view in views]) for name in names}


def _at_least_float32(value: Tensor) -> Tensor:
    return value.to(torch.promote_types(value.dtype, torch.float32))


def _check_vertices(vertices: Tensor, target: Tensor, faces: Tensor) -> None:
    if vertices.shape != target.shape:
        raise ShapeError(
            f"The labels must be of the network's mesh, {tuple(vertices.shape)}, got {tuple(target.shape)}."
        )
    if faces.dim() != 2 or faces.shape[1] != 3:
        raise ShapeError(f"The faces must have the shape (F, 3), got {tuple(faces.shape)}.")
