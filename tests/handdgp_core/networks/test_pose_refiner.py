from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.spatial.transform import Rotation

from handdgp_core.errors import OutputError, WeightsError
from handdgp_core.geometry.rotations import rotation_from_vector
from handdgp_core.networks.checkpoints.refiner_file import is_refiner, load_refiner, save_refiner
from handdgp_core.networks.pose_refiner import Evidence, PoseRefiner

DOFS, SHAPES = 24, 6


def evidence(count: int, seed: int = 0) -> Evidence:
    rng = np.random.default_rng(seed)
    parts = (
        Rotation.random(count, random_state=seed).as_matrix(),
        rng.normal(size=(count, DOFS)),
        rng.normal(size=(count, SHAPES)),
        rng.normal(0, 0.05, count),
        rng.normal(0, 0.05, (count, 21, 3)),
        rng.normal(0, 0.05, (count, 21, 3)),
        np.array([0.0, 0.0, 0.6]) + rng.normal(0, 0.05, (count, 3)),
        112 + rng.normal(0, 30, (count, 21, 2)),
        rng.normal(0, 20, (count, 21)),
        rng.uniform(0.5, 1, count),
        rng.uniform(0, 1, count),
        rng.uniform(300, 900, count),
        np.full((count, 2), 111.5),
    )
    return Evidence(*(torch.tensor(np.asarray(part), dtype=torch.float32) for part in parts))


def trained(seed: int = 0) -> PoseRefiner:
    """One with something to say."""
    torch.manual_seed(seed)
    refiner = PoseRefiner(DOFS, SHAPES, width=32).eval()
    for layer in (refiner.correct, refiner.trust):
        torch.nn.init.normal_(layer.weight, std=0.1)
        torch.nn.init.normal_(layer.bias, std=0.1)
    return refiner


def test_untrained_it_changes_nothing() -> None:
    given = evidence(5)
    found = PoseRefiner(DOFS, SHAPES).eval()(given)
    torch.testing.assert_close(found.rotation, given.rotation)
    torch.testing.assert_close(found.pixels, given.pixels)
    assert torch.equal(found.weights, found.weights[:1, :1].expand(5, 21))


def test_corrections_are_rotations_bounded_shifts_and_weights() -> None:
    given = evidence(40)
    refiner = trained()
    with torch.no_grad():
        refiner.correct.weight.mul_(100)
        found = refiner(given)
    turned = found.rotation.transpose(1, 2) @ found.rotation
    torch.testing.assert_close(turned, torch.eye(3).expand(40, 3, 3), atol=1e-5, rtol=0)
    assert (found.pixels - given.pixels).abs().max() <= 16.001
    assert found.weights.min() >= 0 and found.weights.max() <= 1


def test_rotations_of_vectors_match_scipy() -> None:
    vectors = np.concatenate([np.zeros((1, 3)), np.random.default_rng(1).normal(0, 1, (20, 3))])
    found = rotation_from_vector(torch.tensor(vectors)).numpy()
    np.testing.assert_allclose(found, Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)


def test_centring_takes_the_mean_of_a_direction_out() -> None:
    given, refiner = evidence(600), trained()
    with torch.no_grad():
        refiner.correct.weight.mul_(0.05)  # far from the bounds
    before = refiner(given)
    refiner.centre(given)
    after = refiner(given)
    away = (before.pixels - given.pixels).flatten(1).mean(0).abs().mean()
    assert (after.pixels - given.pixels).flatten(1).mean(0).abs().max() < 1e-3 < away
    logits = torch.logit(after.weights)
    torch.testing.assert_close(logits.mean(0), torch.ones(21), atol=1e-3, rtol=0)


def test_every_parameter_gets_a_gradient() -> None:
    refiner = trained().train()
    found = refiner(evidence(16))
    (found.rotation.sum() + found.pixels.sum() + found.weights.sum()).backward()
    for name, parameter in refiner.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_a_saved_refiner_comes_back_with_its_notes(tmp_path: Path) -> None:
    refiner, given = trained(), evidence(4)
    refiner.centre(evidence(100, 3))
    path = tmp_path / "deep" / "refiner.safetensors"
    save_refiner(refiner, path, {"origin": "a test"})
    assert is_refiner(path)
    for one, other in zip(refiner(given), load_refiner(path)(given), strict=True):
        assert torch.equal(one, other)
    assert [entry.name for entry in path.parent.iterdir()] == ["refiner.safetensors"]


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        load_refiner(tmp_path / "none.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    save_refiner(trained(), tmp_path / "whole.safetensors")
    damaged.write_bytes((tmp_path / "whole.safetensors").read_bytes()[:1000])
    with pytest.raises(WeightsError, match="damaged"):
        load_refiner(damaged)
    assert not is_refiner(damaged) and not is_refiner(tmp_path)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    with pytest.raises(WeightsError, match="another program"):
        load_refiner(foreign)
    broken = trained()
    with torch.no_grad():
        broken.means[0, 0] = torch.nan
    save_refiner(broken, tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match="not finite"):
        load_refiner(tmp_path / "nan.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_refiner(trained(), tmp_path / "file" / "x.safetensors")
