"""CMR with HandDGP's method: rectified crops in front, a weight head beside its last maps, DGP at its end.

The seed document trains it end to end in place of CMR's registration. Keypoints are read off the last maps, weights
off the map that these maps are made from.
"""

from __future__ import annotations

import torch
from torch import Tensor

from handdgp_core.errors import UsageError
from handdgp_core.files import expanded
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks.backbones.registry import check_image, load_imagenet
from handdgp_core.networks.cmr.image_side import ImageSide, soft_argmax
from handdgp_core.networks.cmr.mesh_side import MeshSide
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.heads import WeightHead
from handdgp_core.networks.output import Auxiliary, RelativeOutput

__all__ = ["CMR"]

_BACKBONES = ("resnet18", "resnet34")
_STRIDE = 32


class CMR(HandDGP):
    """See the module; arguments and errors as of `HandDGP`, for the backbones "resnet18" and "resnet34" alone."""

    def _build(self, config: NetworkConfig, template: Template) -> None:
        if config.backbone not in _BACKBONES:
            raise UsageError(f"backbone: CMR takes one of {', '.join(_BACKBONES)}, got {config.backbone}.")
        if config.image_size % _STRIDE:
            raise UsageError(f"image_size: CMR needs a multiple of {_STRIDE}, got {config.image_size}.")
        if config.pretrained == "assets":
            raise UsageError(f'pretrained: {config.backbone} takes a file; "assets" are MediaPipe\'s weights alone.')
        keypoints = template.keypoint_count
        self.image_side = ImageSide(int(config.backbone.removeprefix("resnet")), keypoints, config.resnet_width)
        channels = self.image_side.first.channels
        self.mesh_side = MeshSide(
            self.image_side.vector.out_features, template, config.mesh_widths, config.spiral_length
        )
        self.weight_head = WeightHead(channels, keypoints, config.weight_latent, config.weight_widths)
        if config.pretrained:
            file = expanded(config.pretrained)
            side = self.image_side
            for encoder in (side.first, side.second, side.third):
                load_imagenet(encoder, file, config.backbone, side.vector if encoder is side.third else None)

    def relative(self, image: Tensor, intrinsics: Tensor | None = None) -> RelativeOutput:
        return self.with_auxiliary(image, intrinsics)[0]

    def with_auxiliary(self, image: Tensor, intrinsics: Tensor | None = None) -> tuple[RelativeOutput, Auxiliary]:
        check_image(image, self.config.image_size)
        found = self.image_side((image - 0.5) / 0.5)
        keypoints_uv = soft_argmax(found.maps)
        weights = self.weight_head(found.latent, keypoints_uv)
        # Vertices in full precision: bfloat16 would round them to a millimetre.
        with torch.autocast(image.device.type, enabled=False):
            meshes = self.mesh_side(found.vector.to(self.mesh_side.lift.weight.dtype))
        maps, silhouettes = (found.first_maps, found.maps), (found.first_silhouette, found.silhouette)
        return RelativeOutput(keypoints_uv, meshes[-1], weights), Auxiliary(meshes[-2::-1], maps, silhouettes)
