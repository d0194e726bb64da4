"""The HandDGP network: a backbone, three heads, and DGP at their end."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handdgp_core.errors import ShapeError, UsageError
from handdgp_core.geometry.positioning import Method, Positioning, position_published, position_refined
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks.backbones.registry import check_image, make_backbone
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.networks.heads import KeypointHead, MeshHead, WeightHead
from handdgp_core.networks.output import Auxiliary, NetworkOutput, RelativeOutput

__all__ = ["HandDGP"]


class HandDGP(nn.Module):
    """Crops and their intrinsics to hands in camera space.

    Args:
        config: what the network is made of.
        template: the topology; its name must be the config's.

    Raises:
        UsageError: a config that makes no sense, or another template's.
        AssetError, WeightsError: pretrained weights that cannot be had.

    Examples:
        >>> network = HandDGP(NetworkConfig(backbone="resnet18"), open_hand_template()).eval()
        >>> network(torch.zeros(1, 3, 224, 224), intrinsics).root_m.shape
        torch.Size([1, 3])
    """

    keypoint_regressor: Tensor

    def __init__(self, config: NetworkConfig, template: Template) -> None:
        super().__init__()
        if template.name != config.template:
            raise UsageError(f'The network needs the template "{config.template}", got "{template.name}".')
        self.config = config
        self.template = template
        self._build(config, template)
        regressor = torch.from_numpy(template.keypoint_regressor).to(torch.get_default_dtype())
        self.register_buffer("keypoint_regressor", regressor, persistent=False)

    def _build(self, config: NetworkConfig, template: Template) -> None:
        """The parts of `relative`."""
        self.backbone = make_backbone(config.backbone, config.image_size, config.pretrained, config.resnet_width)
        channels, side, keypoints = self.backbone.channels, self.backbone.side, template.keypoint_count
        self.keypoint_head = KeypointHead(channels, side, keypoints, config.keypoint_widths)
        self.mesh_head = MeshHead(channels, template, config.mesh_widths, config.spiral_length)
        self.weight_head = WeightHead(channels, keypoints, config.weight_latent, config.weight_widths)

    def relative(self, image: Tensor, intrinsics: Tensor | None = None) -> RelativeOutput:
        """What the heads predict, before DGP.

        Args:
            image: (B, 3, S, S) RGB in [0, 1], S the config's image size.
            intrinsics: (B, 3, 3) of the crops, for networks whose heads want to know them; this one's do not.

        Raises:
            ShapeError: an image of another shape.
        """
        check_image(image, self.config.image_size)
        features = self.backbone(image)
        keypoints_uv = self.keypoint_head(features)
        vertices = self.mesh_head(features, keypoints_uv)
        return RelativeOutput(keypoints_uv, vertices, self.weight_head(features, keypoints_uv))

    def with_auxiliary(
        self, image: Tensor, intrinsics: Tensor | None = None
    ) -> tuple[RelativeOutput, Auxiliary | None]:
        """`relative`, and what the network predicts beside it for the losses."""
        return self.relative(image, intrinsics), None

    def solve(self, relative: RelativeOutput, intrinsics: Tensor, method: Method | None = None) -> Positioning[Tensor]:
        """DGP on the heads' output (B samples) with the crops' intrinsics (B, 3, 3), pixels; at least in float32.

        `method` is the solve to use; None for that of the config. In training mode only singular systems are
        degenerate; in evaluation mode what cannot be true is, too.

        Raises:
            ShapeError: intrinsics of another shape.
        """
        if tuple(intrinsics.shape) != (len(relative.weights), 3, 3):
            expected = (len(relative.weights), 3, 3)
            raise ShapeError(f"The intrinsics must have the shape {expected}, got {tuple(intrinsics.shape)}.")
        with torch.autocast(intrinsics.device.type, enabled=False):
            points_m = self.keypoints(_full(relative.vertices) * self.template.hand_scale_m)
            plane = self.normalised(_full(relative.keypoints_uv), _full(intrinsics))
            refined = (method or self.config.positioning) == "refined"
            solve = position_refined if refined else position_published
            return solve(points_m, plane, _full(relative.weights), singular_only=self.training)

    def position(
        self, relative: RelativeOutput, intrinsics: Tensor, method: Method | None = None, end_to_end: bool = True
    ) -> NetworkOutput:
        """The heads' output, placed in camera space. Arguments as in `solve`.

        Without `end_to_end` no gradient flows through DGP: the root is a constant (supplement, table 1).
        """
        with torch.set_grad_enabled(end_to_end and torch.is_grad_enabled()):
            solution = self.solve(relative, intrinsics, method)
        with torch.autocast(intrinsics.device.type, enabled=False):
            uv, vertices, weights = (_full(part) for part in relative)
            vertices_m = vertices * self.template.hand_scale_m + solution.root_m[:, None]
            keypoints_m = self.keypoints(vertices_m)
            return NetworkOutput(uv, vertices, weights, solution.root_m, vertices_m, keypoints_m, solution.degenerate)

    def forward(self, image: Tensor, intrinsics: Tensor) -> NetworkOutput:
        """Hands in camera space.

        Args:
            image: (B, 3, S, S) RGB in [0, 1], S the config's image size.
            intrinsics: (B, 3, 3) of the crops, pixels.

        Returns:
            With the root, and all that stands on it, NaN where `degenerate`.

        Raises:
            ShapeError: arguments of another shape.
        """
        return self.position(self.relative(image, intrinsics), intrinsics)

    def keypoints(self, vertices: Tensor) -> Tensor:
        """Keypoints (B, K, 3) of vertices (B, V, 3), in the same unit and frame."""
        return torch.einsum("kv,bvc->bkc", self.keypoint_regressor.to(vertices.dtype), vertices)

    def pixels(self, keypoints_uv: Tensor) -> Tensor:
        """Crop pixels of crop fractions, both (..., 2)."""
        return keypoints_uv * self.config.image_size + self.config.pixel_offset

    def normalised(self, keypoints_uv: Tensor, intrinsics: Tensor) -> Tensor:
        """Keypoints (B, K, 2) on the plane z = 1: the first two of K^-1 (u, v, 1). For intrinsics without skew."""
        focal = torch.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1]], dim=-1)
        return (self.pixels(keypoints_uv) - intrinsics[:, None, :2, 2]) / focal[:, None]


def _full(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
