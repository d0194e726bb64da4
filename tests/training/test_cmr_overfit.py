"""The CMR variant learns sixteen hands by heart: maps, silhouettes, meshes and DGP work together."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from handdgp_core.networks import load_network
from handdgp_core.training.config import load_config
from handdgp_core.training.trainer import train
from handdgp_core.training.validation import validation_errors
from tests.training.rendered_hands import RenderedData, RenderedHands

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"
CMR = [
    *(
        "network.kind=cmr",
        "network.mesh_widths=[64, 32, 32, 32]",
        "network.spiral_length=3",
        "network.weight_latent=32",
    ),
    *("losses={normals: 0.1, edges: 1.0, edge_norm: 2, maps: 3.0}", "optimiser.gradient_clip=1.0"),
    *("data.two_views=false", "data.validate_every_epochs=100"),
]


def with_silhouettes(hands: RenderedHands) -> RenderedHands:
    """The background is grey, the hand is not."""
    for number in range(len(hands)):
        view = hands[number]["view1"]
        red, _, blue = view["image"]
        hand = cv2.resize((red - blue).abs().gt(0.02).float().numpy(), (32, 32), interpolation=cv2.INTER_AREA)
        view |= {"silhouette": torch.from_numpy(np.ascontiguousarray(hand))[None], "has_silhouette": torch.tensor(1.0)}
    return hands


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_sixteen_hands_are_learnt_by_heart(tmp_path: Path, one_torch_thread: None) -> None:
    stages = [
        "curriculum.relative={epochs: 220, learning_rate: 2.0e-3, warmup_steps: 5, final_factor: 0.1}",
        "curriculum.all={epochs: 180, learning_rate: 1.0e-3, warmup_steps: 5, final_factor: 0.01, freeze_norms: true}",
    ]
    config = load_config(TINY, [f"output.folder={tmp_path}", *CMR, *stages])
    data = RenderedData(with_silhouettes(RenderedHands(16, two_views=False)), config)
    result = train(config, data=data, progress=False)
    network = load_network(result.folder / "last.safetensors")
    (batch,) = data.val_dataloader()
    view = batch["view1"]
    with torch.no_grad():
        errors = validation_errors(network(view["image"], view["intrinsics"]), view, network)
    joint_mm, count = errors["joint_mm"]
    print({name: round(float(value), 2) for name, (value, _) in errors.items()})
    assert count == 16 and float(joint_mm) < 10.0
