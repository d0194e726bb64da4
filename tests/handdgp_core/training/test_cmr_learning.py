"""The CMR variant learns: the whole loss falls within a few steps, and sixteen shapes are learnt by heart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from handdgp_core.networks.cmr import CMR
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.training.losses import HandLosses, LossWeights, Stage
from handdgp_core.training.validation import validation_errors
from tests.handdgp_core.networks.test_cmr import SMALL
from tests.meshes import small_template

SMALLER = SMALL.model_copy(update={"image_size": 32, "resnet_width": 8})
WEIGHTS = LossWeights(normals=0.1, edges=1.0, edge_norm=2, maps=10.0, silhouettes=0.5, coarse_vertices=1.0)


class Balls:
    """A network and so many balls of different shapes in different places, each with a picture of its own."""

    def __init__(self, config: NetworkConfig, count: int) -> None:
        torch.manual_seed(0)
        template, size = small_template(), config.image_size
        self.network = CMR(config, template).train()
        self.losses = HandLosses(template.faces, WEIGHTS, template=template)
        stretch = 0.8 + 0.4 * torch.rand(count, 1, 3)
        vertices = torch.tensor(template.vertices / template.hand_scale_m, dtype=torch.float32) * stretch
        root = torch.tensor([0.0, 0.0, 0.5]) + (torch.rand(count, 3) - 0.5) * torch.tensor([0.1, 0.1, 0.2])
        self.matrix = torch.tensor([[1.5 * size, 0, size / 2], [0, 1.5 * size, size / 2], [0, 0, 1]]).repeat(
            count, 1, 1
        )
        points = (self.network.keypoints(vertices) * template.hand_scale_m + root[:, None]) @ self.matrix.mT
        self.view: dict[str, Any] = {
            "image": torch.rand(count, 3, size, size),
            "intrinsics": self.matrix,
            "vertices": vertices,
            "root_m": root,
            "keypoints_uv": (points[..., :2] / points[..., 2:] + 0.5) / size,
            "silhouette": (torch.rand(count, 1, size // 2, size // 2) > 0.5).float(),
            **{f"has_{name}": torch.ones(count) for name in ("vertices", "keypoints_uv", "root", "silhouette")},
        }

    def step(self, optimiser: torch.optim.Optimizer, stage: Stage) -> dict[str, Tensor]:
        """One step on all of them."""
        relative, auxiliary = self.network.with_auxiliary(self.view["image"], self.matrix)
        outputs = [self.network.position(relative, self.matrix)]
        found = self.losses(outputs, {"view1": self.view}, stage, auxiliary)
        optimiser.zero_grad()
        found["total"].backward()
        optimiser.step()
        return {name: value.detach() for name, value in found.items()}

    @torch.no_grad()
    def errors_mm(self) -> dict[str, float]:
        """Of the network as it is used, with the statistics that its norms have gathered."""
        output = self.network.eval()(self.view["image"], self.matrix)
        self.network.train()
        return {
            name: float(value) for name, (value, count) in validation_errors(output, self.view, self.network).items()
        }


@pytest.mark.usefixtures("one_torch_thread")
def test_a_few_steps_lower_the_whole_loss() -> None:
    balls = Balls(SMALL, 2)
    optimiser = torch.optim.Adam(balls.network.parameters(), 1e-3)
    found = [balls.step(optimiser, "all") for _ in range(12)]
    assert {"coarse_vertices", "maps", "silhouettes", "root"} <= set(found[-1])
    assert found[-1]["total"] < 0.75 * found[0]["total"], [float(losses["total"]) for losses in found]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("one_torch_thread")
def test_sixteen_shapes_are_learnt_by_heart() -> None:
    """Both stages, with the statistics of its norms as it is used; at first the roots are metres off."""
    balls, steps, full = Balls(SMALLER, 16), 400, 3e-3
    optimiser = torch.optim.Adam(balls.network.parameters(), full)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = full * min(1.0, (steps - step) / 150)
        balls.step(optimiser, "relative" if step < 100 else "all")
    errors = balls.errors_mm()
    assert errors["degenerate"] == 0 and errors["joint_mm"] < 5 and errors["root_mm"] < 5, errors
