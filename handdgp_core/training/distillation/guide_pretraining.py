"""The guide learns first, from keypoints alone: without the decoder a step costs a hundredth of the time.

The guide's input does not change (the backbone is frozen), so it is computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

from handdgp_core.files import write_tensors
from handdgp_core.geometry.positioning import position_refined
from handdgp_core.networks.guide import Gathered, Guidance, InitialHand
from handdgp_core.networks.guided_handdgp import GuidedHandDGP
from handdgp_core.training.config import TrainingConfig
from handdgp_core.training.distillation.data import Loading
from handdgp_core.training.distillation.teacher_outputs import DistilledViews
from handdgp_core.training.small_network import fit

__all__ = ["pretrain_guide", "start_guide"]

_BATCH = 64
_LABELS = ("keypoints", "keypoints_uv", "weights", "root_m", "intrinsics")
# Factors of the L1 terms: keypoints (hand-scale units), their places (crop fractions), the root (part of its distance)
# and the weights.
_FACTORS = (1.0, 1.0, 1.0, 0.1)


def start_guide(
    network: GuidedHandDGP, views: DistilledViews, config: TrainingConfig, first: bool, progress: Loading
) -> None:
    """`pretrain_guide` in the first process of a run; the others begin with what it left in the run's folder."""
    file = config.run_folder / "guide.safetensors"
    if not config.teacher.guide_steps:
        return
    if first:
        pretrain_guide(network, views, config, progress)
        write_tensors(file, {name: value.contiguous() for name, value in network.guide.state_dict().items()})
    else:
        network.guide.load_state_dict(load_file(file))


def pretrain_guide(network: GuidedHandDGP, views: DistilledViews, config: TrainingConfig, progress: Loading) -> None:
    """Train `network.guide` on the teacher's keypoints, places, weights and roots. Repeatable.

    Args:
        network: on the CPU.
        views: with the teacher's outputs.
        config: of the run.
        progress: told (what, done, in all).

    Raises:
        TrainingDiverged: a loss that is not finite.
    """
    options = config.teacher
    gathered, labels = _collect(network, views, lambda done: progress("guide, views", done, len(views)))
    generator = torch.Generator().manual_seed(config.seed)
    torch.manual_seed(config.seed)  # of the dropout
    guide = network.guide.train()

    def loss() -> Tensor:
        chosen = torch.randint(len(labels["root_m"]), (options.guide_batch,), generator=generator)
        part = {name: values[chosen] for name, values in labels.items()}
        return _loss(network, guide.corrected(_at(gathered, chosen)), part)

    fit(
        guide,
        loss,
        options.guide_steps,
        options.guide_learning_rate,
        weight_decay=1e-2,
        gradient_clip=1.0,
        after_step=lambda step: progress("guide, steps", step, options.guide_steps),
    )


def _loss(network: GuidedHandDGP, guide: Guidance, labels: dict[str, Tensor]) -> Tensor:
    points = (guide.points - guide.points[:, :1]) @ guide.rotation.transpose(1, 2)
    plane = network.normalised(guide.uv, labels["intrinsics"])
    weights = torch.sigmoid(guide.confidence_logits)
    solved = position_refined(points * network.template.hand_scale_m, plane, weights)
    root, distance = labels["root_m"], labels["root_m"].norm(dim=-1, keepdim=True)
    off = torch.where(solved.degenerate[:, None], 0.0, (solved.root_m - root) / distance)
    terms = (
        (points - labels["keypoints"]).abs().sum(-1).mean(),
        (guide.uv - labels["keypoints_uv"]).abs().sum(-1).mean(),
        off.abs().sum(-1).mean(),
        (weights - labels["weights"]).abs().mean(),
    )
    return torch.stack([factor * term for factor, term in zip(_FACTORS, terms, strict=True)]).sum()


@torch.no_grad()
def _collect(
    network: GuidedHandDGP, views: DistilledViews, progress: Callable[[int], None]
) -> tuple[Gathered, dict[str, Tensor]]:
    """The guide's input and the teacher's outputs for all views."""
    network.eval()
    parts: list[Gathered] = []
    labels: dict[str, list[Tensor]] = {name: [] for name in _LABELS}
    done = 0
    for batch in DataLoader(views, batch_size=_BATCH):
        for name in ("view1", "view2"):
            if name in batch:
                parts.append(_gather(network, batch[name]))
                known = {**batch[name], "keypoints": network.keypoints(batch[name]["vertices"])}
                for label in _LABELS:
                    labels[label].append(known[label])
        done += len(batch["index"])
        progress(done)
    initial = InitialHand(*(torch.cat(columns) for columns in zip(*(part.initial for part in parts), strict=True)))
    joined = Gathered(initial, torch.cat([part.at_joints for part in parts]))
    return joined, {name: torch.cat(values) for name, values in labels.items()}


def _gather(network: GuidedHandDGP, view: dict[str, Any]) -> Gathered:
    gathered: Gathered = network.guide.gather(*network.backbone.read(view["image"]), view["intrinsics"])
    return gathered._replace(at_joints=gathered.at_joints.half())  # half the memory


def _at(gathered: Gathered, index: Tensor) -> Gathered:
    return Gathered(InitialHand(*(part[index] for part in gathered.initial)), gathered.at_joints[index].float())
