"""The CMR variant: shapes, size, gradients, and soft-argmax against a reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from handdgp_core.errors import UsageError
from handdgp_core.hands.open_hand.open_template import open_hand_template
from handdgp_core.hands.topology.template import Template, build_template
from handdgp_core.networks import NetworkConfig, load_network, save_network
from handdgp_core.networks.cmr import CMR
from handdgp_core.networks.cmr.image_side import soft_argmax
from handdgp_core.networks.cmr.mesh_side import SelfAttention
from handdgp_core.networks.guided_handdgp import make_network
from tests.meshes import patch_regressor, round_mesh, small_template

WHOLE = NetworkConfig(
    kind="cmr", backbone="resnet18", template="ball", mesh_widths=(512, 256, 128, 64), weight_latent=256
)
SMALL = WHOLE.model_copy(
    update={
        "image_size": 64,
        "resnet_width": 16,
        "mesh_widths": (64, 32, 32, 32),
        "spiral_length": 3,
        "weight_latent": 16,
        "weight_widths": (16, 8),
    }
)


def mano_like() -> Template:
    vertices, faces = round_mesh(778)
    return build_template("ball", vertices, faces, patch_regressor(vertices, 21), cache=False)


@pytest.fixture(scope="module")
def network() -> CMR:
    torch.manual_seed(0)
    return CMR(SMALL, small_template())


def test_on_manos_layout_it_has_as_many_parameters_as_the_document_says() -> None:
    with torch.device("meta"):
        network = CMR(WHOLE, mano_like())
    levels = [len(level.vertices) for level in network.template.levels]
    assert levels[0] == 778
    # The document's coarsest mesh has 49 vertices; the one of an irregular ball may have a few more.
    surplus = (levels[-1] - 49) * 512 * 1001
    mesh = sum(p.numel() for p in network.mesh_side.parameters()) - surplus
    attention = sum(p.numel() for p in network.mesh_side.attention.parameters())
    assert (mesh - attention) / 1e6 == pytest.approx(34.4, abs=0.05)
    total = sum(p.numel() for p in network.parameters()) - surplus
    assert total / 1e6 == pytest.approx(79.4, abs=0.05)


def test_shapes_on_every_level(network: CMR) -> None:
    relative, auxiliary = network.with_auxiliary(torch.rand(2, 3, 64, 64))
    assert relative.keypoints_uv.shape == (2, 21, 2) and relative.weights.shape == (2, 21)
    assert relative.vertices.shape == (2, 162, 3)
    levels = network.template.levels
    assert [mesh.shape for mesh in auxiliary.meshes] == [(2, len(level.vertices), 3) for level in levels[1:-1]]
    assert [maps.shape for maps in auxiliary.maps] == [(2, 21, 32, 32)] * 2
    assert [maps.shape for maps in auxiliary.silhouettes] == [(2, 1, 32, 32)] * 2


def test_narrow_resnets_narrow_everything_that_follows_them() -> None:
    with torch.device("meta"):
        wide, narrow = (CMR(WHOLE.model_copy(update={"resnet_width": width}), mano_like()) for width in (64, 32))
    for before, after in zip(wide.image_side.parameters(), narrow.image_side.parameters(), strict=True):
        assert after.ndim == before.ndim and after.numel() <= before.numel()
    assert (wide.image_side.vector.out_features, narrow.image_side.vector.out_features) == (1000, 500)
    assert narrow.image_side.first.channels == 256


def test_every_parameter_gets_a_gradient(network: CMR) -> None:
    torch.nn.init.constant_(network.mesh_side.attention.gamma, 0.1)
    network.zero_grad()
    network.train()
    relative, auxiliary = network.with_auxiliary(torch.rand(2, 3, 64, 64))
    matrix = torch.tensor([[[80.0, 0, 32], [0, 80, 32], [0, 0, 1]]]).repeat(2, 1, 1)
    output = network.position(relative, matrix)
    parts = [output.root_m, relative.vertices, relative.weights, relative.keypoints_uv, *auxiliary.meshes]
    sum(part.square().sum() for part in (*parts, *auxiliary.maps, *auxiliary.silhouettes)).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


def test_a_file_opens_as_the_same_network(network: CMR, tmp_path: Path) -> None:
    save_network(network, tmp_path / "cmr.safetensors")
    again = load_network(tmp_path / "cmr.safetensors")
    image = torch.rand(1, 3, 64, 64)
    assert isinstance(again, CMR) and isinstance(make_network(SMALL, small_template()), CMR)
    torch.testing.assert_close(again.relative(image), network.eval().relative(image))


def test_soft_argmax_is_the_mean_place() -> None:
    logits = torch.randn(2, 3, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = soft_argmax(logits)
    for b in range(2):
        for k in range(3):
            chance = np.exp(logits[b, k].numpy())
            chance /= chance.sum()
            u = sum(chance[row, column] * (column + 0.5) / 7 for row in range(5) for column in range(7))
            v = sum(chance[row, column] * (row + 0.5) / 5 for row in range(5) for column in range(7))
            np.testing.assert_allclose(found[b, k], [u, v], atol=1e-6)


def test_a_sharp_map_gives_its_peak_whatever_the_background() -> None:
    logits = torch.full((1, 1, 112, 112), -5.0)
    logits[0, 0, 10, 90] = 40.0
    np.testing.assert_allclose(soft_argmax(logits)[0, 0], [90.5 / 112, 10.5 / 112], atol=1e-5)


def test_attention_against_a_loop() -> None:
    torch.manual_seed(1)
    layer = SelfAttention(4)
    x = torch.randn(2, 4)
    assert torch.equal(layer(x), x)  # the factor starts at 0
    torch.nn.init.constant_(layer.gamma, 0.7)
    q, k, v = layer.query(x), layer.key(x), layer.value(x)
    for b in range(2):
        for i in range(4):
            scores = torch.softmax(torch.stack([q[b, i] * k[b, j] for j in range(4)]), 0)
            expected = x[b, i] + 0.7 * sum(scores[j] * v[b, j] for j in range(4))
            torch.testing.assert_close(layer(x)[b, i], expected)


def test_the_open_hand_is_a_topology_for_it_too() -> None:
    with torch.device("meta"):
        network = CMR(WHOLE.model_copy(update={"template": "open"}), open_hand_template())
    assert network.mesh_side.blocks[-1].spirals[0].spiral.shape == (1609, 27)


@pytest.mark.parametrize("change", [{"backbone": "resnet50"}, {"mesh_widths": (32, 16)}, {"image_size": 100}])
def test_what_makes_no_network_is_refused(change: dict) -> None:
    with pytest.raises(UsageError):
        CMR(SMALL.model_copy(update=change), small_template())
