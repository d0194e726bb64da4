"""Equations (1) to (9) of the HandDGP supplement, section 1.2, one function each.

Shapes: B samples, V vertices, K keypoints, F faces, E = 3 F edges, each face giving its own three (an inner edge counts
twice, as in the double sums of the equations). An L1 norm sums over coordinates; vertices, keypoints and edges are
averaged.

Every function takes `known` (B,), which samples have what the term needs, and gives the mean over those samples alone.
Whatever the others hold (NaN too) reaches neither value nor gradient. With no sample known the result is 0, still
attached to its graph, so `backward` works on any batch.

Where the printed equations leave room:

- (3) and (4) print neither bars around the dot product nor around the difference of lengths. Without them both are
  signed sums, and the most negative one would win. The absolute value is taken, as in the loss they cite.
- (4) prints an L1 norm for the length of an edge. That is the default here; `order=2` is the Euclidean length.
- Printed norms sum coordinates, MobRecon's code averages them, and adds up where these are means over both views.
  `LossWeights.reduction` chooses.
- (9) prints a projection of k2D, which is in the image already: here the bare k2D.
- (8) and (9) divide by depth. A predicted depth below `LEAST_DEPTH_M` counts as that, so that a vertex at the camera's
  centre gives a large but finite error.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "camera_vertex_loss",
    "consistency_uv_loss",
    "consistency_vertex_loss",
    "edge_loss",
    "keypoint_consistency_loss",
    "keypoint_uv_loss",
    "normal_loss",
    "project_uv",
    "root_loss",
    "vertex_loss",
]

LEAST_DEPTH_M = 0.02
_TINY = 1e-12


def vertex_loss(vertices: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Equation (1): mean over vertices of the L1 distance, root-relative.

    Args:
        vertices: (B, V, 3) predicted, hand-scale units.
        target: (B, V, 3) true, same unit.
        known: (B,) bool.
    """
    return _mean_l1(vertices, target, known)


def keypoint_uv_loss(keypoints_uv: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Equation (2): mean over keypoints of the L1 distance in the image.

    Args:
        keypoints_uv: (B, K, 2) predicted, crop fractions.
        target: (B, K, 2) true, crop fractions.
        known: (B,) bool.
    """
    return _mean_l1(keypoints_uv, target, known)


def normal_loss(vertices: Tensor, target: Tensor, faces: Tensor, known: Tensor) -> Tensor:
    """Equation (3): mean over edges of |cosine| between the predicted edge and the true normal of its face.

    Args:
        vertices: (B, V, 3) predicted, any unit.
        target: (B, V, 3) true. A face without area has no normal and adds 0.
        faces: (F, 3) int64.
        known: (B,) bool.
    """
    vertices, target = _where_known(known, vertices, target)
    corners = target[:, faces]
    normals = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    cosines = (_unit(_edges(vertices, faces)) * _unit(normals)[:, :, None]).sum(-1)
    return _mean_of_known(cosines.abs().flatten(1).mean(1), known)


def edge_loss(vertices: Tensor, target: Tensor, faces: Tensor, known: Tensor, order: int = 1) -> Tensor:
    """Equation (4): mean over edges of the absolute difference between predicted and true length.

    Args:
        vertices: (B, V, 3) predicted, hand-scale units.
        target: (B, V, 3) true, same unit.
        faces: (F, 3) int64.
        known: (B,) bool.
        order: norm that measures an edge: 1 as printed, 2 for the Euclidean length.
    """
    vertices, target = _where_known(known, vertices, target)
    lengths, true_lengths = (_length(_edges(points, faces), order) for points in (vertices, target))
    return _mean_of_known((lengths - true_lengths).abs().flatten(1).mean(1), known)


def consistency_uv_loss(first_uv: Tensor, second_uv: Tensor, uv2_from_uv1: Tensor, known: Tensor) -> Tensor:
    """Equation (5): mean over keypoints of the L1 distance between view 1, mapped to view 2, and view 2.

    Args:
        first_uv: (B, K, 2) predicted in view 1, crop fractions.
        second_uv: (B, K, 2) predicted in view 2, crop fractions.
        uv2_from_uv1: (B, 2, 3) T of the equation, the affine map on crop fractions.
        known: (B,) bool.
    """
    mapped = first_uv @ uv2_from_uv1[:, :, :2].transpose(1, 2) + uv2_from_uv1[:, None, :, 2]
    return _mean_l1(mapped, second_uv, known)


def consistency_vertex_loss(first: Tensor, second: Tensor, known: Tensor) -> Tensor:
    """Equation (6): mean over vertices of the L1 distance between the views. Both share their rotation.

    Args:
        first: (B, V, 3) predicted from view 1, hand-scale units.
        second: (B, V, 3) predicted from view 2.
        known: (B,) bool.
    """
    return _mean_l1(first, second, known)


def root_loss(root_m: Tensor, target_m: Tensor, known: Tensor) -> Tensor:
    """Equation (7): L1 distance of the root, metres.

    Args:
        root_m: (B, 3) predicted, camera frame of the view. NaN allowed where not `known`.
        target_m: (B, 3) true.
        known: (B,) bool.
    """
    return _mean_l1(root_m[:, None], target_m[:, None], known)


def camera_vertex_loss(vertices_m: Tensor, target_m: Tensor, intrinsics: Tensor, size: int, known: Tensor) -> Tensor:
    """Equation (8): mean over vertices of the L1 distance between predicted and true projections, crop fractions.

    Args:
        vertices_m: (B, V, 3) predicted, camera frame of the view, metres.
        target_m: (B, V, 3) true.
        intrinsics: (B, 3, 3) of the view, pixels.
        size: side of the view, pixels.
        known: (B,) bool.
    """
    vertices_m, target_m = _where_known(known, vertices_m, target_m)
    return _mean_l1(project_uv(vertices_m, intrinsics, size), project_uv(target_m, intrinsics, size), known)


def keypoint_consistency_loss(
    keypoints_m: Tensor, keypoints_uv: Tensor, intrinsics: Tensor, size: int, known: Tensor
) -> Tensor:
    """Equation (9): mean over keypoints of the L1 distance between the projected 3D and the 2D prediction.

    Args:
        keypoints_m: (B, K, 3) predicted (J_reg times the camera-space vertices), camera frame of the view, metres.
        keypoints_uv: (B, K, 2) predicted, crop fractions.
        intrinsics: (B, 3, 3) of the view, pixels.
        size: side of the view, pixels.
        known: (B,) bool.
    """
    keypoints_m, keypoints_uv = _where_known(known, keypoints_m, keypoints_uv)
    return _mean_l1(project_uv(keypoints_m, intrinsics, size), keypoints_uv, known)


def project_uv(points_m: Tensor, intrinsics: Tensor, size: int) -> Tensor:
    """Pi of the equations: crop fractions (B, N, 2) of points (B, N, 3) in the view's camera frame, metres.

    Args:
        points_m: (B, N, 3). Depths below `LEAST_DEPTH_M` count as that.
        intrinsics: (B, 3, 3) of the view, pixels.
        size: side of the view, pixels.
    """
    depth = points_m[..., 2:].clamp(min=LEAST_DEPTH_M)
    plane = torch.cat([points_m[..., :2] / depth, torch.ones_like(depth)], dim=-1)
    pixels = plane @ intrinsics[:, :2].transpose(1, 2)
    return (pixels + 0.5) / size


def _mean_l1(found: Tensor, target: Tensor, known: Tensor) -> Tensor:
    found, target = _where_known(known, found, target)
    return _mean_of_known((found - target).abs().sum(-1).mean(-1), known)


def _where_known(known: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """0 in place of the samples that do not count. A product with 0 would keep their NaN; a choice does not."""
    return tuple(torch.where(known.view(-1, *[1] * (value.dim() - 1)), value, 0.0) for value in values)


def _mean_of_known(per_sample: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, per_sample, 0.0).sum() / known.sum().clamp(min=1)


def _edges(points: Tensor, faces: Tensor) -> Tensor:
    """(B, F, 3, 3) the three edges of every face."""
    corners = points[:, faces]
    return corners.roll(-1, dims=2) - corners


def _length(vectors: Tensor, order: int) -> Tensor:
    if order == 1:
        return vectors.abs().sum(-1)
    return (vectors.square().sum(-1) + _TINY).sqrt()


def _unit(vectors: Tensor) -> Tensor:
    """Unit vectors; 0 stays 0, with a finite gradient. A vector's own size does not matter, however small a face."""
    largest = vectors.detach().abs().amax(-1, keepdim=True)
    scaled = vectors / torch.where(largest > 0, largest, 1.0)
    return scaled / (scaled.square().sum(-1, keepdim=True) + _TINY).sqrt()
