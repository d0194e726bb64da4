"""On a CUDA device the networks give what they give on the processor. Skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from handdgp_core.estimation.models import OPEN_WEIGHTS
from handdgp_core.hands.open_hand.open_template import open_hand_template
from handdgp_core.networks import HandDGP, NetworkConfig, load_network
from handdgp_core.networks.frozen import freeze
from handdgp_core.networks.guided_handdgp import GuidedHandDGP

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
_ROOT_M, _UV = 1e-4, 5e-4


@pytest.fixture(autouse=True)
def _full_precision() -> Iterator[None]:
    """TensorFloat-32 rounds as float16 does."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def _crops(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    matrix = torch.tensor([[450.0, 0, 111.5], [0, 450, 111.5], [0, 0, 1]])
    return torch.rand(count, 3, 224, 224), matrix.expand(count, 3, 3).contiguous()


def _networks() -> list[HandDGP]:
    torch.manual_seed(0)
    return [load_network(OPEN_WEIGHTS).eval(), HandDGP(NetworkConfig(backbone="resnet18"), open_hand_template()).eval()]


def test_the_networks_agree_with_the_processor():
    for network in _networks():
        crops = _crops(2)
        with torch.inference_mode():
            here = network(*crops)
            there = network.cuda()(*(part.cuda() for part in crops))
        assert (there.keypoints_uv.cpu() - here.keypoints_uv).abs().max() < _UV
        assert torch.equal(there.degenerate.cpu(), here.degenerate)
        torch.testing.assert_close(there.root_m.cpu(), here.root_m, atol=_ROOT_M, rtol=1e-3, equal_nan=True)


def test_a_frozen_network_agrees_with_itself():
    network = _networks()[0].cuda()
    assert isinstance(network, GuidedHandDGP)
    crops = [part.cuda() for part in _crops(2)]
    with torch.inference_mode():
        frozen, plain = freeze(network)(*crops)[0], network.read(*crops)[0]
    for one, other in zip(frozen, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_gradients_reach_a_tuned_backbone():
    network = HandDGP(NetworkConfig(backbone="mediapipe", pretrained="assets"), open_hand_template()).cuda().train()
    image, matrix = (part.cuda() for part in _crops(4))
    with torch.autocast("cuda", torch.bfloat16):
        network.relative(image, matrix).vertices.square().mean().backward()
    gradient = next(network.backbone.parameters()).grad
    assert gradient is not None and gradient.isfinite().all() and gradient.abs().max() > 0
