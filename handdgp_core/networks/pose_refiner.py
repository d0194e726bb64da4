"""A small network that corrects a hand fitted to landmarks: its turn, its 2D keypoints, and their weights in DGP.

The fit (`estimation.hand_fit`) takes the errors of landmarks as independent noise. They are not: landmark networks err
in ways that depend on view and pose, and those can be learned from renders, where the truth is known. The network
reads the fit, how the landmarks differ from it, and the camera with its focal length, all in the hand's own axes, so
that a hand looks the same to it wherever it is. Untrained it changes nothing.

**Centring.** Renders and photographs do not agree on where exactly a joint is: on renders the landmarks of a palm
from the front are turned by some five degrees on average, on photographs they are not. Such a mean difference is a
matter of definition and not of the picture, so it is not carried over: every output counts from its own mean over
renders from the same direction (a quadratic function of the direction of view, fitted after training).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handdgp_core.geometry.rotations import rotation_from_vector
from handdgp_core.networks.heads import ResidualBlock

__all__ = ["Evidence", "PoseRefiner", "Refined"]

_KEYPOINTS = 21
_MOST_TURN_RAD, _MOST_SHIFT_PX = 0.8, 16.0
_USUAL_LOGIT = 1.0  # of a keypoint that is as visible as most
_DIRECTIONS = 9  # terms of a quadratic function of a direction


class Evidence(NamedTuple):
    """Hands fitted to landmarks, and the landmarks. B hands, D degrees of freedom, S shape modes.

    Attributes:
        rotation: (B, 3, 3) virtual camera from hand model.
        dof: (B, D) joint angles from rest, in standard deviations of natural use.
        shape: (B, S).
        log_scale: (B,).
        points_m: (B, 21, 3) the fit's keypoints, hand axes, the wrist at the origin.
        world_m: (B, 21, 3) 3D landmarks, camera axes, any origin.
        root_m: (B, 3) the fit's root, camera frame.
        pixels: (B, 21, 2) 2D landmarks, crop pixels.
        depth: (B, 21) the landmark network's own depths, crop pixels.
        presence, right: (B,) how likely the crop shows a hand, and a right one, 0 to 1.
        focal_px: (B,) of the virtual camera; center_px (B, 2) its principal point.
    """

    rotation: Tensor
    dof: Tensor
    shape: Tensor
    log_scale: Tensor
    points_m: Tensor
    world_m: Tensor
    root_m: Tensor
    pixels: Tensor
    depth: Tensor
    presence: Tensor
    right: Tensor
    focal_px: Tensor
    center_px: Tensor

    def at(self, index: Tensor | slice) -> Evidence:
        """Some of the hands."""
        return Evidence(*(part[index] for part in self))


class Refined(NamedTuple):
    """Corrected hands: rotation (B, 3, 3) virtual camera from hand model, pixels (B, 21, 2), weights (B, 21) 0 to 1."""

    rotation: Tensor
    pixels: Tensor
    weights: Tensor


class PoseRefiner(nn.Module):
    """`forward` maps `Evidence` to `Refined`.

    Args:
        dofs, shapes: D, S.
        width: of the hidden layers.
        dropout: while training.

    Attributes:
        means: (9, 66) of the outputs, by direction of view; see the module.
    """

    means: Tensor

    def __init__(self, dofs: int, shapes: int, width: int = 256, dropout: float = 0.3) -> None:
        super().__init__()
        self.dofs, self.shapes, self.width = dofs, shapes, width
        self.enter = nn.Linear(_input_count(dofs, shapes), width)
        self.blocks = nn.ModuleList(ResidualBlock(width, dropout) for _ in range(2))
        self.leave = nn.LayerNorm(width)
        self.correct = nn.Linear(width, 3 + 2 * _KEYPOINTS)
        self.trust = nn.Linear(width, _KEYPOINTS)
        self.register_buffer("means", torch.zeros(_DIRECTIONS, 3 + 3 * _KEYPOINTS))
        for layer in (self.correct, self.trust):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, evidence: Evidence) -> Refined:
        raw = self.raw(evidence) - _quadratic(_toward(evidence)) @ self.means
        turn, shift_px, logits = raw.split([3, 2 * _KEYPOINTS, _KEYPOINTS], dim=1)
        return Refined(
            evidence.rotation @ rotation_from_vector(turn),
            evidence.pixels + shift_px.unflatten(1, (_KEYPOINTS, 2)),
            torch.sigmoid(logits + _USUAL_LOGIT),
        )

    def raw(self, evidence: Evidence) -> Tensor:
        """(B, 66) the outputs before centring: turn (rad, hand axes), shift (pixels), confidence logits."""
        x = self.enter(_inputs(evidence))
        for block in self.blocks:
            x = block(x)
        x = F.silu(self.leave(x))
        turn, shift = self.correct(x).split([3, 2 * _KEYPOINTS], dim=1)
        turn = _MOST_TURN_RAD * torch.tanh(turn / _MOST_TURN_RAD)
        return torch.cat([turn, _MOST_SHIFT_PX * torch.tanh(shift), self.trust(x)], dim=1)

    @torch.no_grad()
    def centre(self, evidence: Evidence) -> None:
        """Fit `means` to the network's outputs for these hands."""
        terms = _quadratic(_toward(evidence)).double()
        self.means.copy_(torch.linalg.lstsq(terms, self.raw(evidence).double()).solution)


def _toward(evidence: Evidence) -> Tensor:
    """(B, 3) unit vector from the camera to the middle of the hand, in the hand's axes."""
    middle = evidence.root_m + (evidence.points_m @ evidence.rotation.transpose(1, 2)).mean(1)
    return (F.normalize(middle, dim=-1)[:, None] @ evidence.rotation)[:, 0]


def _quadratic(direction: Tensor) -> Tensor:
    """(B, 9) the independent terms of up to second order of a unit direction (B, 3): z z follows from the others."""
    x, y, z = direction.unbind(-1)
    terms = [torch.ones_like(x), x, y, z, x * x, y * y, x * y, y * z, x * z]
    return torch.stack(terms, dim=1)


def _input_count(dofs: int, shapes: int) -> int:
    return dofs + shapes + 1 + 2 * 63 + 2 * 42 + 21 + 9 + 3 + 1 + 2


def _inputs(e: Evidence) -> Tensor:
    """(B, N) numbers of about unit size, in the hand's axes where they are vectors."""
    placed = e.points_m @ e.rotation.transpose(1, 2) + e.root_m[:, None]
    plane = placed[..., :2] / placed[..., 2:].clamp(min=0.02)
    projected = plane * e.focal_px[:, None, None] + e.center_px[:, None]
    world = (e.world_m - e.world_m.mean(1, keepdim=True)) @ e.rotation
    own = e.points_m - e.points_m.mean(1, keepdim=True)
    size = own.square().sum(-1).mean(-1).sqrt()[:, None, None]
    spread_px = e.pixels - e.pixels.mean(1, keepdim=True)
    confidence = torch.stack([e.presence, e.right], dim=1).clamp(1e-4, 1 - 1e-4)
    flat = [
        e.dof.clamp(-4, 4),
        e.shape.clamp(-3, 3),
        e.log_scale[:, None] * 10,
        (own / size).flatten(1),
        ((world - own) / size * 5).clamp(-4, 4).flatten(1),
        ((e.pixels - projected) / 8).clamp(-4, 4).flatten(1),
        (spread_px / 60).clamp(-4, 4).flatten(1),
        ((e.depth - e.depth.mean(1, keepdim=True)) / 40).clamp(-4, 4),
        e.rotation.flatten(1),
        _toward(e) * 2,
        (e.focal_px.log() - 6.2)[:, None],
        confidence.logit() / 4,
    ]
    return torch.cat(flat, dim=1)
