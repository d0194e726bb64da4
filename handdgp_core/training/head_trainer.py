"""Trains the heads on a frozen landmark network from cached features: minutes on a CPU instead of days.

AdamW with a warm-up and a cosine, an average of the weights over the last steps (which is what is kept), and a
validation on views that nothing was varied in. Repeatable: everything random follows from the seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from handdgp_core.geometry.positioning import position_refined
from handdgp_core.hands.open_hand import OpenHand
from handdgp_core.hands.template import HAND_SCALE_M
from handdgp_core.networks.landmark_handdgp import BASIS_COUNT, LandmarkHandDGP
from handdgp_core.networks.mesh_basis import mesh_basis
from handdgp_core.training.features import Features
from handdgp_core.training.head_losses import HeadLossWeights, chain_length, head_losses

__all__ = ["HeadSchedule", "HeadSet", "HeadTrainer", "errors_mm"]

_SUBSET = 200  # vertices a step is judged by
Report = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class HeadSchedule:
    """How long and how fast.

    Attributes:
        steps: optimiser steps.
        batch_size: views a step.
        learning_rate: its peak; warmed up over the first 3 % of the steps, then a cosine to zero.
        weight_decay, gradient_clip: of AdamW.
        average: decay of the running average of the weights.
        feature_noise: standard deviation of noise on the normalised features: pictures of real hands are not renders.
        report_every: steps between validations.
        losses: factors.
    """

    steps: int = 6000
    batch_size: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    gradient_clip: float = 1.0
    average: float = 0.998
    feature_noise: float = 0.1
    report_every: int = 1000
    losses: HeadLossWeights = field(default_factory=HeadLossWeights)


@dataclass(frozen=True)
class HeadSet:
    """Features with the meshes they belong to: (M, V, 3) relative to the root, metres, in each picture's own camera."""

    features: Features
    meshes_m: Tensor

    def labels(self, index: Tensor, regressor: Tensor, subset: Tensor | None) -> tuple[Features, dict[str, Tensor]]:
        """Features and labels of some views, hands as the view shows them (left ones mirrored)."""
        part = self.features.at(index)
        vertices = self.meshes_m[part.sample].float() / HAND_SCALE_M
        vertices = vertices @ part.turn.transpose(1, 2)
        keypoints = torch.einsum("kv,bvc->bkc", regressor, vertices)
        vertices = vertices - keypoints[:, :1]
        return part, {
            "vertices": vertices if subset is None else vertices[:, subset],
            "keypoints": keypoints - keypoints[:, :1],
            "keypoints_uv": part.keypoints_uv,
            "root_m": part.root_m,
            "intrinsics": part.intrinsics,
        }


class HeadTrainer:
    """Trains `network.heads` in place.

    Args:
        network: its backbone stays as it is.
        hand: gives the mesh basis.
        training, validation: data.
        schedule: how.
        seed: of order, noise and vertices.
    """

    def __init__(
        self,
        network: LandmarkHandDGP,
        hand: OpenHand,
        training: HeadSet,
        validation: HeadSet,
        schedule: HeadSchedule,
        seed: int = 0,
    ) -> None:
        self.network, self.heads, self.schedule = network, network.heads, schedule
        self.training, self.validation = training, validation
        self._regressor = network.keypoint_regressor
        self._random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.heads.basis.copy_(torch.from_numpy(mesh_basis(hand, BASIS_COUNT, HAND_SCALE_M)))
            pooled = training.features.pooled.float()
            self.heads.feature_mean.copy_(pooled.mean(0))
            self.heads.feature_scale.copy_(pooled.std(0).clamp(min=0.02))

    def run(self, report: Report) -> dict[str, float]:
        """Train; gives the last validation errors. `report` hears (step, figures)."""
        schedule = self.schedule
        optimiser = torch.optim.AdamW(
            self.heads.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        average = {name: value.detach().clone() for name, value in self.heads.named_parameters()}
        self.heads.train()
        figures: dict[str, float] = {}
        for step in range(schedule.steps):
            for group in optimiser.param_groups:
                group["lr"] = schedule.learning_rate * _pace(step, schedule.steps)
            loss = self._step()
            optimiser.zero_grad(set_to_none=True)
            loss["total"].backward()
            torch.nn.utils.clip_grad_norm_(self.heads.parameters(), schedule.gradient_clip)
            optimiser.step()
            _blend(average, self.heads, min(schedule.average, (1 + step) / (10 + step)))
            if (step + 1) % schedule.report_every == 0 or step + 1 == schedule.steps:
                figures = self._validate(average)
                report(step + 1, {**figures, **{name: float(value.detach()) for name, value in loss.items()}})
        _assign(self.heads, average)
        self.heads.eval()
        return figures

    def _step(self) -> dict[str, Tensor]:
        count = self.schedule.batch_size
        index = torch.randint(len(self.training.features), (count,), generator=self._random)
        vertices = len(self.heads.basis)
        subset = torch.randperm(vertices, generator=self._random)[:_SUBSET]
        part, labels = self.training.labels(index, self._regressor, subset)
        noise = torch.randn(part.pooled.shape, generator=self._random) * self.heads.feature_scale
        pooled = part.pooled.float() + self.schedule.feature_noise * noise
        uv, coefficients, weights = self.heads(pooled, part.pixels, part.depth, part.world_m, part.intrinsics)
        keypoints = torch.einsum("kn,bnc->bkc", self._regressor @ self.heads.basis, coefficients)
        drawn = torch.einsum("vn,bnc->bvc", self.heads.basis[subset], coefficients) - keypoints[:, :1]
        return head_losses((uv, drawn, weights), keypoints - keypoints[:, :1], labels, self.schedule.losses)

    def _validate(self, average: dict[str, Tensor]) -> dict[str, float]:
        current = {name: value.detach().clone() for name, value in self.heads.named_parameters()}
        _assign(self.heads, average)
        self.heads.eval()
        errors = errors_mm(self.network, self.validation)
        _assign(self.heads, current)
        self.heads.train()
        return {name: float(value.mean()) for name, value in errors.items()}


@torch.inference_mode()
def errors_mm(network: LandmarkHandDGP, data: HeadSet, batch_size: int = 500) -> dict[str, Tensor]:
    """Errors of every view, millimetres (uv_px: crop pixels), by name.

    joint: 20 keypoints without the wrist in camera space; sized: the same with the true hand length given, and
    uniform: the same with uniform weights in DGP; relative: keypoints relative to the root, true length; uv_px.
    """
    parts: dict[str, list[Tensor]] = {}
    regressor, heads = network.keypoint_regressor, network.heads
    for start in range(0, len(data.features), batch_size):
        index = torch.arange(start, min(start + batch_size, len(data.features)))
        part, labels = data.labels(index, regressor, torch.arange(1))
        uv, coefficients, weights = heads(part.pooled.float(), part.pixels, part.depth, part.world_m, part.intrinsics)
        keypoints = torch.einsum("kn,bnc->bkc", regressor @ heads.basis, coefficients)
        keypoints = (keypoints - keypoints[:, :1]) * HAND_SCALE_M
        truth = labels["keypoints"] * HAND_SCALE_M + labels["root_m"][:, None]
        plane = (network.normalised(uv, part.intrinsics)).double()
        ratio = (chain_length(labels["keypoints"]) * HAND_SCALE_M / chain_length(keypoints))[:, None, None]
        for name, shape, trust in (
            ("joint", keypoints, weights),
            ("sized", keypoints * ratio, weights),
            ("uniform", keypoints * ratio, torch.ones_like(weights)),
        ):
            root = position_refined(shape.double(), plane, trust.double()).root_m
            error = (shape + root[:, None] - truth)[:, 1:].norm(dim=-1).mean(-1) * 1e3
            parts.setdefault(name, []).append(error.float())
        relative = (keypoints * ratio - labels["keypoints"] * HAND_SCALE_M).norm(dim=-1).mean(-1) * 1e3
        parts.setdefault("relative", []).append(relative)
        parts.setdefault("uv_px", []).append((uv - labels["keypoints_uv"]).norm(dim=-1).mean(-1) * 224)
        parts.setdefault("weights", []).append(weights)
    return {name: torch.cat(values) for name, values in parts.items()}


def _pace(step: int, steps: int) -> float:
    warm = max(1, int(0.03 * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _blend(average: dict[str, Tensor], module: torch.nn.Module, decay: float) -> None:
    for name, value in module.named_parameters():
        average[name].lerp_(value.detach(), 1 - decay)


def _assign(module: torch.nn.Module, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(values[name])
