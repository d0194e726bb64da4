"""HandDGP whose heads start from the landmarks of a backbone trained on real hands.

The network of `handdgp` with three changes, all of them for heads that learn from renders alone:

- 2D head: the landmarks' places, corrected by the guide and by the 2D head on the feature map.
- 3D head: features at the keypoints and the guide's tokens go through the spiral decoder, which works in the hand's own
  axes. Its mesh is pulled onto the guide's joints, and the guide's rotation turns it into the virtual camera's axes:
  which way a hand points is known best from where its landmarks are.
- weight head: the guide's logits are added to the head's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from handdgp_core.errors import UsageError
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks.backbones.mediapipe_landmarks import LandmarkOutput
from handdgp_core.networks.backbones.registry import GUIDED, MediaPipeGuideBackbone
from handdgp_core.networks.cmr import CMR
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.networks.guide import Guidance, Guide
from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.heads import sample_at
from handdgp_core.networks.output import RelativeOutput
from handdgp_core.networks.spiral_decoder import SpiralDecoder

__all__ = ["GuidedHandDGP", "make_network"]

_PULL_M = 0.012  # how far a joint's pull reaches before training


class GuidedHandDGP(HandDGP):
    """See the module; arguments and errors as of `HandDGP`, for the backbone "mediapipe-guided" alone.

    `relative` and `forward` take the crops (B, 3, 224, 224), or what `backbone.network.trunk` made of them
    (B, 112, 14, 14).
    """

    backbone: MediaPipeGuideBackbone
    mesh_head: _GuidedMeshHead  # type: ignore[assignment]

    def __init__(self, config: NetworkConfig, template: Template) -> None:
        super().__init__(config, template)
        if config.backbone != GUIDED:
            raise UsageError(f"A guided network needs the backbone {GUIDED}, got {config.backbone}.")
        channels = self.backbone.channels
        self.guide = Guide(channels, template, config.guide_width, config.token_width, config.guide_dropout)
        self.mesh_head = _GuidedMeshHead(channels, template, config)
        for last in (self.keypoint_head.layers[-1], self.weight_head.layers[-1]):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def relative(self, image: Tensor, intrinsics: Tensor | None = None) -> RelativeOutput:
        return self.read(image, intrinsics)[0]

    def read(self, image: Tensor, intrinsics: Tensor | None) -> tuple[RelativeOutput, LandmarkOutput]:
        """`relative`, and the landmarks that it started from: whether there is a hand, and which one."""
        if intrinsics is None:
            raise UsageError("A guided network needs the crops' intrinsics, got none.")
        features, landmarks = self.backbone.read(image)
        guide = self.guide(features, landmarks, intrinsics)
        uv = guide.uv + self.keypoint_head(features)
        vertices = self._turned(self.mesh_head(features, uv, guide), guide)
        weights = torch.sigmoid(self.weight_head.logits(features, uv) + guide.confidence_logits)
        return RelativeOutput(uv, vertices, weights), landmarks

    def _turned(self, mesh: Tensor, guide: Guidance) -> Tensor:
        """From hand axes to the camera's, the root keypoint at the origin."""
        with torch.autocast(mesh.device.type, enabled=False):
            root = torch.einsum("v,bvc->bc", self.keypoint_regressor[0], mesh)
            return (mesh - root[:, None]) @ guide.rotation.to(mesh.dtype).transpose(1, 2)


class _GuidedMeshHead(nn.Module):
    """`forward` maps features, keypoints (B, K, 2) and guidance to vertices (B, V, 3) in hand axes.

    The decoder's mesh is pulled onto the guide's joints, exactly: a mesh that is regressed vertex by vertex comes out
    some percent too small where the network is not sure, and every percent of size is one of distance.
    """

    mean: Tensor
    regressor: Tensor

    def __init__(self, channels: int, template: Template, config: NetworkConfig) -> None:
        super().__init__()
        entering = config.mesh_widths[0]
        own = entering - config.token_width - 3
        if own < 1:
            raise UsageError(
                f"token_width: expected less than mesh_widths[0] - 3 = {entering - 3}, got {config.token_width}."
            )
        self.latent = nn.Conv2d(channels, own, 1)
        self.decoder = SpiralDecoder(template, config.mesh_widths, config.spiral_length)
        nn.init.zeros_(self.decoder.final.channel)
        nn.init.normal_(self.decoder.lift, std=template.keypoint_count**-0.5)
        mean = torch.from_numpy(template.vertices / template.hand_scale_m).to(torch.get_default_dtype())
        regressor = torch.from_numpy(template.keypoint_regressor).to(mean.dtype)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("regressor", regressor, persistent=False)
        distance = torch.cdist(mean, regressor @ mean) * template.hand_scale_m / _PULL_M
        self.pull = nn.Parameter(torch.softmax(-distance.square() / 2, dim=1))

    def forward(self, features: Tensor, keypoints_uv: Tensor, guide: Guidance) -> Tensor:
        sampled = sample_at(torch.relu(self.latent(features)), keypoints_uv).transpose(1, 2)
        tokens = torch.cat([sampled, guide.tokens.to(sampled.dtype), guide.points.to(sampled.dtype)], dim=2)
        return self._onto(guide.points, self.mean + self.decoder(tokens))

    def _onto(self, points: Tensor, mesh: Tensor) -> Tensor:
        """The mesh, moved along `pull` so that its keypoints are `points`."""
        with torch.autocast(mesh.device.type, enabled=False):
            off = points.to(mesh.dtype) - torch.einsum("kv,bvc->bkc", self.regressor, mesh)
            if torch.jit.is_tracing():
                return mesh + self._fixed_pull() @ off
            return mesh + self.pull @ torch.linalg.solve(self.regressor @ self.pull, off)

    def _fixed_pull(self) -> Tensor:
        """pull (regressor pull)^-1 as a constant (V, K): an engine whose weights stay need not solve every time."""
        pull, regressor = (part.detach().cpu().double().numpy() for part in (self.pull, self.regressor))
        return torch.from_numpy(pull @ np.linalg.inv(regressor @ pull)).to(self.pull)


def make_network(config: NetworkConfig, template: Template) -> HandDGP:
    """The network that a config describes. Errors as of `HandDGP`."""
    if config.kind == "cmr":
        return CMR(config, template)
    return (GuidedHandDGP if config.backbone == GUIDED else HandDGP)(config, template)
