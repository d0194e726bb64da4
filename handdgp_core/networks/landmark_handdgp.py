"""HandDGP on MediaPipe's landmark network: its pooled features and landmarks in; keypoints, mesh and weights out.

MediaPipe's network has seen very many real hands; what it knows is kept as it is (its presence and handedness, too),
and the heads learn from synthetic pictures what it does not say: a mesh, a metric hand, and how far each keypoint is
to be trusted. Three things make these heads small enough to learn that from some ten thousand pictures:

- they read a hand in *its own* axes: MediaPipe's 3D landmarks give a first frame of the palm, in which landmarks go in
  and the mesh comes out, so that a hand seen from elsewhere looks nearly the same to them;
- they are told the virtual camera's focal length, so that perspective means something;
- the mesh is a point in the linear space of posed hands (`mesh_basis`).

Then DGP, as for every network here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handdgp_core.errors import UsageError
from handdgp_core.hands.keypoints import FINGERS, WRIST
from handdgp_core.hands.template import Template
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.networks.handdgp import HandDGP
from handdgp_core.networks.mediapipe_landmarks import POOLED_CHANNELS, MediaPipeLandmarks
from handdgp_core.networks.output import RelativeOutput

Tensors = tuple[Tensor, Tensor, Tensor]

__all__ = ["BASIS_COUNT", "LandmarkHandDGP", "LandmarkHeads", "Seen", "palm_frame"]

BASIS_COUNT = 64
_KEYPOINTS = 21
_INDEX, _MIDDLE, _LITTLE = (FINGERS[name][0] for name in ("index", "middle", "little"))
_POOLED_WIDTH = 384
# World landmarks are metres from the hand's centre, rays are tangents: these bring both to about 1.
_WORLD_SCALE, _RAY_SCALE = 15.0, 4.0
_USUAL_LOG_FOCAL = 6.4  # of virtual cameras, pixels
_MOST_CORRECTION_PX = 24.0


class Seen(NamedTuple):
    """What the network says of a batch of crops, before DGP.

    Attributes:
        relative: keypoints, mesh and weights.
        presence: (B,) how sure it is that there is a hand, 0 to 1.
        right: (B,) how sure it is that the crop shows a right hand, 0 to 1.
    """

    relative: RelativeOutput
    presence: Tensor
    right: Tensor


class LandmarkHeads(nn.Module):
    """The trained part.

    Args:
        vertices: V.
        width: of the hidden layers.
        image_size: side of the crop, pixels.
    """

    basis: Tensor
    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, vertices: int, width: int, image_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.image_size = image_size
        self.register_buffer("basis", torch.zeros(vertices, BASIS_COUNT))
        self.register_buffer("feature_mean", torch.zeros(POOLED_CHANNELS))
        self.register_buffer("feature_scale", torch.ones(POOLED_CHANNELS))
        self.pooled = nn.Linear(POOLED_CHANNELS, _POOLED_WIDTH)
        landmarks = _KEYPOINTS * (3 + 2 + 1) + 9 + 1
        self.enter = nn.Linear(_POOLED_WIDTH + landmarks, width)
        self.blocks = nn.ModuleList(_Residual(width, dropout) for _ in range(2))
        self.leave = nn.LayerNorm(width)
        self.mesh = nn.Linear(width, 3 * BASIS_COUNT)
        self.shift = nn.Linear(width, 2 * _KEYPOINTS)
        self.trust = nn.Linear(width, _KEYPOINTS)
        for layer in (self.mesh, self.shift, self.trust):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor, pixels: Tensor, depth: Tensor, world_m: Tensor, intrinsics: Tensor) -> Tensors:
        """Coefficients and more from MediaPipe's output.

        Args:
            pooled: (B, 1152).
            pixels: (B, 21, 2) crop pixels.
            depth: (B, 21) MediaPipe's own depth, crop pixels.
            world_m: (B, 21, 3).
            intrinsics: (B, 3, 3) of the crop.

        Returns:
            keypoints (B, 21, 2) crop fractions, mesh coefficients (B, N, 3) in the camera's axes, weights (B, 21).
        """
        frame = palm_frame(world_m)
        focal = intrinsics[:, 0, 0]
        rays = (pixels - intrinsics[:, None, :2, 2]) / focal[:, None, None]
        own = (world_m - world_m[:, WRIST : WRIST + 1]) @ frame
        told = [
            own.flatten(1) * _WORLD_SCALE,
            rays.flatten(1) * _RAY_SCALE,
            (depth / focal[:, None]) * _RAY_SCALE,
            frame.flatten(1),
            (focal.log() - _USUAL_LOG_FOCAL)[:, None],
        ]
        features = (pooled - self.feature_mean) / self.feature_scale
        x = self.enter(torch.cat([F.silu(self.pooled(features)), *told], dim=1))
        for block in self.blocks:
            x = block(x)
        x = F.silu(self.leave(x))
        coefficients = self.mesh(x).unflatten(1, (BASIS_COUNT, 3)) @ frame.transpose(1, 2)
        shift_px = _MOST_CORRECTION_PX * torch.tanh(self.shift(x)).unflatten(1, (_KEYPOINTS, 2))
        uv = (pixels + shift_px + 0.5) / self.image_size
        return uv, coefficients, torch.sigmoid(self.trust(x))


class LandmarkHandDGP(HandDGP):
    """See the module. Arguments and errors as `HandDGP`; the config's backbone must be "mediapipe-landmarks"."""

    def __init__(self, config: NetworkConfig, template: Template) -> None:
        nn.Module.__init__(self)
        self._adopt(config, template)
        if template.keypoint_count != _KEYPOINTS:
            raise UsageError(f"a hand's template, with {_KEYPOINTS} keypoints", f"{template.keypoint_count}")
        self.backbone = MediaPipeLandmarks.load() if config.pretrained else MediaPipeLandmarks()  # type: ignore[assignment]
        self.heads = LandmarkHeads(template.vertex_count, config.trunk_width, config.image_size)

    def relative(self, image: Tensor, intrinsics: Tensor | None = None) -> RelativeOutput:
        """As in `HandDGP`; this network cannot do without the crops' intrinsics (B, 3, 3)."""
        if intrinsics is None:
            raise UsageError("the crops' intrinsics with the crops", "none", "call the network with both")
        return self.seen(image, intrinsics).relative

    def seen(self, image: Tensor, intrinsics: Tensor) -> Seen:
        """Heads' output with MediaPipe's presence and handedness. Arguments as in `forward`."""
        backbone: MediaPipeLandmarks = self.backbone  # type: ignore[assignment]
        pooled = backbone.features(image).pooled
        found = backbone.heads(pooled)
        uv, coefficients, weights = self.heads(
            pooled, found.keypoints_px, found.keypoints_z, found.world_m, intrinsics.to(pooled.dtype)
        )
        vertices = torch.einsum("vn,bnc->bvc", self.heads.basis.to(coefficients.dtype), coefficients)
        # The root is the wrist keypoint, exactly.
        vertices = vertices - self.keypoints(vertices)[:, :1]
        return Seen(RelativeOutput(uv, vertices, weights), found.presence, found.right)


class _Residual(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.second(self.dropout(F.silu(self.first(self.norm(x)))))
        return x + inner


def palm_frame(points: Tensor) -> Tensor:
    """(B, 3, 3) rotations whose columns are the palm's axes: x to the thumb side, y to the fingers, z out of the palm.

    From wrist, index, middle and little knuckle of keypoints (B, 21, 3). Always finite.
    """
    along = points[:, _MIDDLE] - points[:, WRIST]
    across = points[:, _INDEX] - points[:, _LITTLE]
    y = F.normalize(along, dim=-1)
    x = F.normalize(across - (across * y).sum(-1, keepdim=True) * y, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)
