"""Weights of other programs: read as numbers, never run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from handdgp_core.errors import AssetError, UsageError, WeightsError
from handdgp_core.networks.backbones.registry import BACKBONES, make_backbone
from handdgp_core.networks.backbones.resnet import ResNet
from handdgp_core.networks.checkpoints.foreign_weights import read_state_dict

HINT = "get it again"


class Runs:
    """Pickles as a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


class Settings:
    """A type that the reader does not know."""

    def __init__(self) -> None:
        self.rate = 0.1


def test_unknown_types_beside_the_weights_are_skipped(tmp_path: Path) -> None:
    weights = {"a": torch.arange(3.0), "b": torch.tensor(2)}
    torch.save({"state_dict": weights, "settings": Settings(), "where": Path("x")}, tmp_path / "a.ckpt")
    found = read_state_dict(tmp_path / "a.ckpt", HINT)
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[key], weights[key]) for key in weights)


@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_in_a_checkpoint_runs(tmp_path: Path, legacy: bool) -> None:
    mark, file = tmp_path / "it_ran", tmp_path / "bad.pth"
    content = {"state_dict": {"a": torch.zeros(1)}, "extra": Runs(mark)}
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match="must not be read") as caught:
        read_state_dict(file, HINT)
    assert not mark.exists()
    assert caught.value.hint == HINT


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("damage", ["cut", "empty", "text", "missing", "folder"])
def test_damaged_files_are_told(tmp_path: Path, suffix: str, damage: str) -> None:
    file = tmp_path / f"weights{suffix}"
    weights = {"a": torch.randn(1000)}
    if damage == "cut":
        (save_file if suffix == ".safetensors" else torch.save)(weights, file)
        file.write_bytes(file.read_bytes()[:2000])
    elif damage == "folder":
        file.mkdir()
    elif damage != "missing":
        file.write_text("" if damage == "empty" else "<html>404</html>")
    with pytest.raises(WeightsError) as caught:
        read_state_dict(file, HINT)
    assert caught.value.problem.startswith("Could not read the") and str(file) in caught.value.problem


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    for content in ([1, 2], {}, {"state_dict": {"a": 1}}, torch.zeros(2)):
        torch.save(content, tmp_path / "other.pth")
        with pytest.raises(WeightsError):
            read_state_dict(tmp_path / "other.pth", HINT)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvisions_weights_start_a_resnet(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"resnet18{suffix}"
    source = ResNet(18)
    weights = {**source.state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    (save_file if suffix == ".safetensors" else torch.save)(weights, file)
    body = make_backbone("resnet18", 64, str(file)).body
    assert all(torch.equal(value, weights[key]) for key, value in body.state_dict().items())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    weights = ResNet(18).state_dict()
    torch.save(weights, file)
    with pytest.raises(WeightsError, match="missing"):
        make_backbone("resnet34", 64, str(file))
    torch.save({**weights, "head.weight": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match=r"head\.weight"):
        make_backbone("resnet18", 64, str(file))
    torch.save({**weights, "bn1.bias": torch.zeros(3)}, file)
    with pytest.raises(WeightsError, match=r"bn1\.bias of shape \(3,\) instead of \(64,\)"):
        make_backbone("resnet18", 64, str(file))


def test_what_makes_no_backbone_is_refused() -> None:
    for name, size, pretrained in [
        ("resnet19", 224, ""),
        ("resnet18", 100, ""),
        ("resnet18", 0, ""),
        ("resnet18", 64, "assets"),
        ("mediapipe", 192, ""),
        ("mediapipe", 224, "weights.pth"),
    ]:
        with pytest.raises(UsageError):
            make_backbone(name, size, pretrained)
    with pytest.raises(UsageError) as caught:
        make_backbone("none", 224)
    assert all(name in caught.value.problem for name in BACKBONES)


def test_missing_pretrained_weights_say_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises((WeightsError, AssetError), match=r"download\.pytorch\.org"):
        make_backbone("resnet50", 224, str(tmp_path / "none.pth"))
