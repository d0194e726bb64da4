"""Checkpoints: what is saved comes back, and everything that can be wrong with one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from handdgp_core.bundled import bundled
from handdgp_core.config import parse
from handdgp_core.errors import OutputError, UsageError, WeightsError
from handdgp_core.estimation.models import own_solve
from handdgp_core.hands.topology.template import Template
from handdgp_core.networks import HandDGP, NetworkConfig, RectificationConfig, load_network, save_network
from handdgp_core.networks.checkpoints.weights import read_metadata
from tests.meshes import SMALL_NETWORK

CONFIG = SMALL_NETWORK.model_copy(
    update={
        "image_size": 32,
        "positioning": "published",
        "rectification": RectificationConfig(policy="published", focal_px=400.0),
    }
)


@pytest.fixture(scope="module")
def network(ball: Template) -> HandDGP:
    torch.manual_seed(0)
    network = HandDGP(CONFIG, ball).train()
    network.relative(torch.rand(4, 3, 32, 32))  # so that batch norms have statistics
    return network.eval()


@pytest.fixture(scope="module")
def saved(network: HandDGP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("saved") / "folder" / "network.safetensors"
    save_network(network, file, {"origin": "a test"})
    return file


def content(file: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    with safe_open(file, framework="pt") as opened:
        return dict(opened.metadata()), {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118


def matrices(batch: int) -> Tensor:
    return torch.tensor([[60.0, 0, 16], [0, 60, 16], [0, 0, 1]]).expand(batch, 3, 3)


def test_a_saved_network_comes_back_whole(network: HandDGP, saved: Path) -> None:
    back = load_network(saved)
    assert back.config == CONFIG
    assert not back.training
    assert back.template.name == "ball"
    for key, array in network.template.to_arrays().items():
        np.testing.assert_array_equal(back.template.to_arrays()[key], array, err_msg=key)
    state = network.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in back.state_dict().items())
    image = torch.rand(2, 3, 32, 32)
    for found, wanted in zip(back(image, matrices(2)), network(image, matrices(2)), strict=True):
        assert torch.equal(found.nan_to_num(7.0), wanted.nan_to_num(7.0))


def test_notes_are_kept(saved: Path, network: HandDGP, tmp_path: Path) -> None:
    assert read_metadata(saved)["origin"] == "a test"
    with pytest.raises(UsageError, match="config"):
        save_network(network, tmp_path / "x.safetensors", {"config": "mine"})


def test_half_precision_halves_the_weights(network: HandDGP, saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "half.safetensors"
    save_network(network, file, half_precision=True)
    assert file.stat().st_size < 0.6 * saved.stat().st_size
    back = load_network(file)
    image = torch.rand(2, 3, 32, 32)
    for found, wanted in zip(back.relative(image), network.relative(image), strict=True):
        assert found.dtype == torch.float32
        assert (found - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_mediapipes_backbone_comes_back_without_the_assets(
    ball: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.model_copy(update={"backbone": "mediapipe", "image_size": 224, "pretrained": "assets"})
    network = HandDGP(config, ball)
    save_network(network, tmp_path / "m.safetensors")
    monkeypatch.setattr("handdgp_core.networks.backbones.mediapipe_landmarks.MediaPipeLandmarks.load", None)
    back = load_network(tmp_path / "m.safetensors")
    assert back.config == config
    assert torch.equal(back.backbone.stem.weight, network.backbone.stem.weight)


def test_a_failed_write_leaves_the_old_file(
    network: HandDGP, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "network.safetensors"
    file.write_bytes(saved.read_bytes())

    def fail(_tensors: Any, name: str, _metadata: Any) -> None:
        Path(name).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(OutputError, match="a full disk"):
        save_network(network, file)
    assert file.read_bytes() == saved.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


def test_a_place_that_cannot_be_written_is_told(network: HandDGP, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_network(network, tmp_path / "file" / "network.safetensors")


@pytest.mark.parametrize("length", [0, 4, 100, 5000, -1])
def test_a_cut_file_is_told(saved: Path, tmp_path: Path, length: int) -> None:
    file = tmp_path / "cut.safetensors"
    file.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(WeightsError, match="damaged"):
        load_network(file)


def test_missing_and_foreign_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file") as missing:
        load_network(tmp_path / "none.safetensors")
    assert missing.value.problem == f"Could not load a network from {tmp_path / 'none.safetensors'}: no such file."
    assert missing.value.hint == "Give a checkpoint that `train` or `import-weights` wrote, or get the file again."
    with pytest.raises(WeightsError, match="a folder"):
        load_network(tmp_path)
    torch.save({"state_dict": {}}, tmp_path / "lightning.ckpt")
    with pytest.raises(WeightsError, match="import-weights"):
        load_network(tmp_path / "lightning.ckpt")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="another program"):
        load_network(tmp_path / "other.safetensors")


def altered(saved: Path, tmp_path: Path, metadata: dict[str, str] | None = None, **tensors: Tensor | None) -> Path:
    """A copy with other metadata, and with tensors replaced, added or (None) removed; __ stands for a dot."""
    old_metadata, old = content(saved)
    for key, value in tensors.items():
        name = key.replace("__", ".")
        old.pop(name, None)
        if value is not None:
            old[name] = value
    file = tmp_path / "altered.safetensors"
    save_file(old, file, {**old_metadata, **(metadata or {})})
    return file


def test_tensors_that_do_not_fit_are_named_one_by_one(saved: Path, tmp_path: Path) -> None:
    file = altered(
        saved,
        tmp_path,
        network__mesh_head__decoder__lift=None,
        network__mesh_head__decoder__lost=torch.zeros(1),
        network__weight_head__layers__0__bias=torch.zeros(3),
        network__keypoint_head__latent__bias=torch.full((21,), torch.inf),
    )
    with pytest.raises(WeightsError) as caught:
        load_network(file)
    assert str(file) in caught.value.problem
    assert caught.value.problem.rstrip(".").split(": ", 1)[1].split("; ") == [
        "missing mesh_head.decoder.lift",
        "unknown mesh_head.decoder.lost",
        "keypoint_head.latent.bias with numbers that are not finite",
        "weight_head.layers.0.bias of shape (3,) instead of (16,)",
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "handdgp-live network 2"}, "newer version"),
        ({"architecture": "other"}, "newer version"),
        ({"format": "something"}, "another program"),
        ({"config": "{"}, "not readable"),
        ({"config": "[]"}, "makes no sense.*keys and values"),
        ({"config": json.dumps({"backbone": "resnet18", "colour": "red"})}, "colour"),
        ({"config": json.dumps({"backbone": "vgg", "template": "ball"})}, "vgg"),
        ({"config": json.dumps({"template": "ball", "rectification": {"policy": "sideways"}})}, "none"),
        ({"config": json.dumps({"template": "ball", "image_size": "big"})}, "image_size"),
        ({"config": json.dumps({"template": "ball", "mesh_widths": 3})}, "mesh_widths: expected a list"),
        ({"template": "cube"}, "cube"),
    ],
)
def test_descriptions_that_make_no_sense_are_refused(
    saved: Path, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    file = altered(saved, tmp_path, change)
    with pytest.raises(WeightsError, match=words):
        load_network(file)
    if "config" in change and words != "vgg":  # asked for before the weights; backbones are known to networks alone
        with pytest.raises(WeightsError, match=words):
            own_solve(str(file))


@pytest.mark.parametrize(
    "change",
    [
        {"template__faces__2": None},
        {"template__keypoint_regressor": None},
        {"template__keypoint_regressor": torch.zeros(21, 5)},
        {"template__spirals__0": torch.full((162, 9), 162, dtype=torch.int32)},
        {"template__upsampling_index__1": torch.full((7, 2), -1, dtype=torch.int32)},
        {"template__upsampling_weight__1": torch.zeros(3)},
        {"template__vertices__0": torch.full((162, 3), torch.nan)},
        {"template__hand_scale_m": torch.tensor(-1.0)},
    ],
)
def test_damaged_templates_are_told(saved: Path, tmp_path: Path, change: dict[str, Tensor | None]) -> None:
    with pytest.raises(WeightsError, match="template"):
        load_network(altered(saved, tmp_path, **change))


def test_configs_survive_json() -> None:
    text = json.dumps(CONFIG.to_plain())
    assert parse(NetworkConfig, json.loads(text)) == CONFIG
    assert parse(NetworkConfig, {}) == NetworkConfig()


def test_the_shipped_checkpoints_config_loads_to_the_values_in_it() -> None:
    stored = json.loads(read_metadata(bundled("assets/weights/open.safetensors"))["config"])
    loaded = parse(NetworkConfig, stored).to_plain()  # settings that are newer than the file have their defaults
    assert {name: loaded[name] for name in stored} == stored
    assert stored["mesh_widths"] == [128, 64, 32, 16] and stored["backbone"] == "mediapipe-guided"


def test_configs_that_make_no_sense_are_refused() -> None:
    for change in (
        {"positioning": "guess"},
        {"mesh_widths": ()},
        {"keypoint_widths": (0,)},
        {"image_size": 0},
        {"spiral_length": 0},
        {"pixel_offset": float("nan")},
    ):
        with pytest.raises(UsageError, match=rf"^{next(iter(change))}.*: expected "):
            parse(NetworkConfig, {**CONFIG.to_plain(), **change})
    for bad in ({"policy": "sideways"}, {"fill": 0.0}, {"focal_px": -1.0}):
        with pytest.raises(UsageError, match=rf"^rectification\.{next(iter(bad))}: expected "):
            parse(NetworkConfig, {"rectification": bad})
