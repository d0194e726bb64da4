"""A small network learns sixteen hands by heart, through both stages: everything that learning needs works together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from handdgp_core.networks import load_network
from handdgp_core.training.config import load_config
from handdgp_core.training.trainer import train
from handdgp_core.training.validation import validation_errors
from tests.handdgp_core.training.rendered_hands import RenderedData, RenderedHands
from tests.places import ROOT

TINY = ROOT / "configs" / "tiny.yaml"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_sixteen_hands_are_learnt_to_three_millimetres_in_camera_space(tmp_path: Path, one_torch_thread: None) -> None:
    hands = RenderedHands(16, two_views=False)
    few_validations = ["data.two_views=false", "data.validate_every_epochs=100"]
    config = load_config(TINY, [f"output.folder={tmp_path}", *few_validations])
    data = RenderedData(hands, config)
    result = train(config, data=data, progress=False)
    assert result.finished
    # Not the figures of the run: the file that it leaves, opened anew.
    network = load_network(result.folder / "last.safetensors")
    (batch,) = data.val_dataloader()
    view = batch["view1"]
    with torch.no_grad():
        errors = validation_errors(network(view["image"], view["intrinsics"]), view, network)
    joint_mm, count = errors["joint_mm"]
    assert count == 16 and float(joint_mm) < 3.0
    assert float(errors["root_mm"][0]) < 3.0
