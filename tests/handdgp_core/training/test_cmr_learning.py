"""The CMR variant learns: a few steps on two balls halve the whole loss, camera-space terms included."""

from __future__ import annotations

import pytest
import torch

from handdgp_core.networks.cmr import CMR
from handdgp_core.training.losses import HandLosses, LossWeights
from tests.handdgp_core.networks.test_cmr import SMALL
from tests.meshes import small_template

SIZE = SMALL.image_size


@pytest.mark.usefixtures("one_torch_thread")
def test_a_few_steps_halve_the_loss() -> None:
    torch.manual_seed(0)
    template = small_template()
    network = CMR(SMALL, template).train()
    vertices = (
        torch.tensor(template.vertices / template.hand_scale_m, dtype=torch.float32)
        * torch.tensor([1.0, 1.2])[:, None, None]
    )
    root = torch.tensor([[0.02, 0.0, 0.5], [-0.03, 0.02, 0.6]])
    matrix = torch.tensor([[100.0, 0, SIZE / 2], [0, 100, SIZE / 2], [0, 0, 1]]).repeat(2, 1, 1)
    points = (network.keypoints(vertices) * template.hand_scale_m + root[:, None]) @ matrix.transpose(1, 2)
    view = {
        "image": torch.rand(2, 3, SIZE, SIZE),
        "intrinsics": matrix,
        "vertices": vertices,
        "root_m": root,
        "keypoints_uv": (points[..., :2] / points[..., 2:] + 0.5) / SIZE,
        "silhouette": (torch.rand(2, 1, SIZE // 2, SIZE // 2) > 0.5).float(),
        **{f"has_{name}": torch.ones(2) for name in ("vertices", "keypoints_uv", "root", "silhouette")},
    }
    losses = HandLosses(template.faces, LossWeights(normals=0.1, edges=1.0, edge_norm=2), template=template)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    found = []
    for _ in range(12):
        relative, auxiliary = network.with_auxiliary(view["image"], matrix)
        result = losses([network.position(relative, matrix)], {"view1": view}, "all", auxiliary)
        optimiser.zero_grad()
        result["total"].backward()
        optimiser.step()
        found.append(float(result["total"]))
        assert {"coarse_vertices", "maps", "silhouettes", "root"} <= set(result)
    assert found[-1] < 0.5 * found[0], found
