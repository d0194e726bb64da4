"""Where the heads of a `GuidedHandDGP` start: its backbone's own landmarks, as an initial estimate of the hand.

MediaPipe's landmark network has learned from photographs of thousands of people; heads of our own learn from renders.
So they do not begin with nothing: the landmarks give a frame of the hand, joints in it and places in the image, and a
small network reads all of it (in the hand's own axes, so that a hand looks the same wherever it is, and with the
virtual camera's focal length) together with the features at the joints. What it finds corrects the initial estimate,
and goes as tokens into the mesh head.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handdgp_core.geometry.positioning import position_published
from handdgp_core.geometry.rotations import best_rotation, rotation_from_vector
from handdgp_core.hands.keypoints import FINGERS, WRIST
from handdgp_core.hands.measure import KNUCKLE_CHAIN
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks.backbones.mediapipe_landmarks import INPUT_SIZE, LandmarkOutput
from handdgp_core.networks.heads import ResidualBlock, sample_at

__all__ = ["Gathered", "Guidance", "Guide", "InitialHand", "chain_length", "initial_hand"]

# Joints that hardly move against each other: the wrist and the first joint of every finger.
_PALM = (WRIST, *(chain[0] for chain in FINGERS.values()))
# Plausible knuckle chains (m): 1.5 standard deviations about the mean adult of the open hand. A landmark
# network sizes every image by itself and can be 30 % off.
_SHORTEST_M, _LONGEST_M = 0.1565, 0.1967
_MOST_TURN_RAD = 0.8
_USUAL_LOGIT = 1.0  # of a keypoint that is as visible as most
_SAMPLED = 64


class InitialHand(NamedTuple):
    """Landmarks as a hand. B hands, K keypoints.

    Attributes:
        frame: (B, 3, 3) virtual camera from hand axes (those of the template).
        points: (B, K, 3) keypoints in hand axes, the root at the origin, hand-scale units.
        uv: (B, K, 2) crop fractions.
        features: (B, N) all of the landmarks as numbers of about unit size.
    """

    frame: Tensor
    points: Tensor
    uv: Tensor
    features: Tensor


class Gathered(NamedTuple):
    """The guide's input: the initial estimate, and the feature map (B, K, C) at its joints."""

    initial: InitialHand
    at_joints: Tensor


class Guidance(NamedTuple):
    """What the heads start from. B hands, K keypoints.

    Attributes:
        rotation: (B, 3, 3) virtual camera from hand axes.
        points: (B, K, 3) keypoints in hand axes, hand-scale units.
        uv: (B, K, 2) crop fractions.
        confidence_logits: (B, K) of the weights.
        tokens: (B, K, T) for the mesh head.
    """

    rotation: Tensor
    points: Tensor
    uv: Tensor
    confidence_logits: Tensor
    tokens: Tensor


class Guide(nn.Module):
    """`forward` maps features, landmarks and intrinsics to `Guidance`. Untrained it passes the landmarks on.

    Args:
        channels: C of the feature map.
        template: whose axes and keypoints these are.
        width: of the hidden layers.
        token_width: T.
        dropout: while training.
    """

    template_points: Tensor

    def __init__(self, channels: int, template: Template, width: int, token_width: int, dropout: float) -> None:
        super().__init__()
        keypoints = template.keypoint_count
        points = torch.from_numpy(template.keypoint_regressor @ template.vertices / template.hand_scale_m)
        self.register_buffer("template_points", points.to(torch.get_default_dtype()), persistent=False)
        self.hand_scale_m = template.hand_scale_m
        self.sampled = nn.Linear(channels, _SAMPLED)
        self.seen = nn.Linear(_SAMPLED * keypoints, width)
        self.enter = nn.Linear(feature_count(keypoints), width)
        self.blocks = nn.ModuleList(ResidualBlock(width, dropout) for _ in range(2))
        self.leave = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.tokens = nn.Linear(width, keypoints * token_width)
        self.correct = nn.Linear(width, 3 + (3 + 2 + 1) * keypoints)
        nn.init.zeros_(self.correct.weight)
        nn.init.zeros_(self.correct.bias)

    def forward(self, features: Tensor, landmarks: LandmarkOutput, intrinsics: Tensor) -> Guidance:
        return self.corrected(self.gather(features, landmarks, intrinsics))

    def gather(self, features: Tensor, landmarks: LandmarkOutput, intrinsics: Tensor) -> Gathered:
        """The guide's input; nothing in it is learned."""
        initial = initial_hand(landmarks, intrinsics, self.template_points, self.hand_scale_m)
        return Gathered(initial, sample_at(features, initial.uv).transpose(1, 2))

    def corrected(self, gathered: Gathered) -> Guidance:
        """The initial estimate, corrected."""
        initial = gathered.initial
        count = initial.points.shape[1]
        sampled = torch.relu(self.sampled(gathered.at_joints)).flatten(1)
        x = self.enter(initial.features) + self.seen(self.dropout(sampled))
        for block in self.blocks:
            x = block(x)
        x = F.silu(self.leave(x))
        turn, points, uv, logits = self.correct(x).split([3, 3 * count, 2 * count, count], dim=1)
        turn = _MOST_TURN_RAD * torch.tanh(turn / _MOST_TURN_RAD)
        return Guidance(
            initial.frame @ rotation_from_vector(turn),
            initial.points + points.unflatten(1, (count, 3)),
            initial.uv + uv.unflatten(1, (count, 2)),
            logits + _USUAL_LOGIT,
            self.tokens(x).unflatten(1, (count, -1)),
        )


def initial_hand(landmarks: LandmarkOutput, intrinsics: Tensor, template_points: Tensor, unit_m: float) -> InitialHand:
    """Landmarks as a hand in its own axes.

    Args:
        landmarks: of B crops.
        intrinsics: (B, 3, 3) of the crops, pixels.
        template_points: (K, 3) keypoints of the template, which fix a hand's axes; any unit.
        unit_m: metres in one hand-scale unit.
    """
    world = landmarks.world_m - landmarks.world_m[:, :1]
    frame = _palm_frame(template_points, world)
    length = chain_length(world)
    own = world @ frame * (length.clamp(_SHORTEST_M, _LONGEST_M) / length.clamp(min=1e-3))[:, None, None]
    focal, center = intrinsics[:, 0, 0], intrinsics[:, :2, 2]
    root = _root(own @ frame.transpose(1, 2), landmarks.keypoints_px, focal, center)
    uv = (landmarks.keypoints_px + 0.5) / INPUT_SIZE
    return InitialHand(frame, own / unit_m, uv, _features(landmarks, own, frame, root, focal, center))


def _palm_frame(template_points: Tensor, world: Tensor) -> Tensor:
    """(B, 3, 3) the rotation that brings the template's palm onto the landmarks (Kabsch); no gradient."""
    with torch.no_grad(), torch.autocast(world.device.type, enabled=False):
        theirs = world[:, list(_PALM)].double()
        ours = template_points[list(_PALM)].double()
        spread = (theirs - theirs.mean(1, keepdim=True)).transpose(1, 2) @ (ours - ours.mean(0))
        return best_rotation(spread).to(world.dtype)


def chain_length(points: Tensor) -> Tensor:
    """(B,) length from the wrist along the middle finger of keypoints (B, 21, 3)."""
    chain = points[:, list(KNUCKLE_CHAIN)]
    return (chain[:, 1:] - chain[:, :-1]).norm(dim=-1).sum(-1)


def _root(points_m: Tensor, pixels: Tensor, focal: Tensor, center: Tensor) -> Tensor:
    """(B, 3) where uniform weights put the initial estimate; half a metre ahead where they put it nowhere."""
    plane = (pixels - center[:, None]) / focal[:, None, None]
    root = position_published(points_m, plane, torch.ones_like(plane[..., 0])).root_m
    ahead = torch.tensor([0.0, 0.0, 0.5], dtype=root.dtype, device=root.device)
    return torch.where(root.isfinite().all(-1, keepdim=True), root, ahead).to(points_m.dtype)


def feature_count(keypoints: int) -> int:
    """N of `InitialHand.features`."""
    return (3 + 3 * 2 + 1) * keypoints + 9 + 3 + 1 + 2


def _features(
    landmarks: LandmarkOutput, own_m: Tensor, frame: Tensor, root_m: Tensor, focal: Tensor, center: Tensor
) -> Tensor:
    placed = own_m @ frame.transpose(1, 2) + root_m[:, None]
    pixels = placed[..., :2] / placed[..., 2:].clamp(min=0.02) * focal[:, None, None] + center[:, None]
    toward = (F.normalize(placed.mean(1), dim=-1)[:, None] @ frame)[:, 0]
    middle = own_m - own_m.mean(1, keepdim=True)
    size = middle.square().sum(-1).mean(-1).sqrt().clamp(min=1e-3)[:, None, None]
    confidence = torch.stack([landmarks.presence, landmarks.right], dim=1).clamp(1e-4, 1 - 1e-4)
    flat = [
        (middle / size).flatten(1),
        ((landmarks.keypoints_px - pixels) / 8).clamp(-4, 4).flatten(1),
        (_about_mean(landmarks.keypoints_px) / 60).clamp(-4, 4).flatten(1),
        ((landmarks.keypoints_px - INPUT_SIZE / 2) / 60).clamp(-4, 4).flatten(1),
        (_about_mean(landmarks.keypoints_z) / 40).clamp(-4, 4),
        frame.flatten(1),
        toward * 2,
        (focal.log() - 6.2)[:, None],
        confidence.logit() / 4,
    ]
    return torch.cat(flat, dim=1)


def _about_mean(values: Tensor) -> Tensor:
    return values - values.mean(1, keepdim=True)
