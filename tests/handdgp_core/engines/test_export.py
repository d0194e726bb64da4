"""Exported networks, run by ONNX Runtime itself, against PyTorch: every kind, any batch, with DGP and without."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from handdgp_core.engines.agreement import sample_crops
from handdgp_core.engines.export import export_network
from handdgp_core.engines.protocol import float_crops
from handdgp_core.networks import HandDGP

# Rounding in float32: crop fractions, hand-scale units, and metres at half a metre.
_TOLERANCES = {"keypoints_uv": 2e-6, "vertices": 1e-5, "weights": 1e-5, "root_m": 1e-4}


@pytest.mark.parametrize("kind", ["open", "plain", "cmr"])
@pytest.mark.parametrize("with_dgp", [False, True])
@pytest.mark.usefixtures("one_torch_thread")
def test_it_gives_what_pytorch_gives(kind: str, with_dgp: bool, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    network: HandDGP = request.getfixturevalue(f"{kind}_network")
    path = tmp_path / "network.onnx"
    export_network(network, path, with_dgp, {"licence": "Apache-2.0"})
    onnx.checker.check_model(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    images, matrices = sample_crops(network.config.image_size)
    for count in (1, 3):
        image, matrix = float_crops(images[:count]), matrices[:count]
        inputs = {value.name: {"image": image, "intrinsics": matrix}[value.name] for value in session.get_inputs()}
        found = dict(zip(names, session.run(None, inputs), strict=True))
        with torch.inference_mode():
            expected = network(torch.from_numpy(image), torch.from_numpy(matrix))._asdict()
        for name, tolerance in _TOLERANCES.items():
            if name in found:
                np.testing.assert_allclose(found[name], expected[name].numpy(), atol=tolerance, rtol=1e-4)
        assert ("root_m" in found) == with_dgp
        if with_dgp:
            assert np.array_equal(found["degenerate"], expected["degenerate"].numpy())


def test_the_file_says_what_its_reader_must_know(plain_network: HandDGP, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    export_network(plain_network, path, notes={"licence": "of the test"})
    said = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert said["licence"] == "of the test" and said["template"] == "open"
    assert json.loads(said["crop_policy"])["policy"] == "published"
    assert np.array_equal(json.loads(said["faces"]), plain_network.template.faces)
    first = json.loads(said["keypoint_regressor"])[0]
    row = np.zeros(plain_network.template.vertex_count)
    row[[int(number) for number in first]] = list(first.values())
    np.testing.assert_array_equal(row, plain_network.template.keypoint_regressor[0])
