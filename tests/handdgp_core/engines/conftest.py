"""Networks of every kind, small where they can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from handdgp_core.estimation.models import OPEN_WEIGHTS
from handdgp_core.hands.open_hand.open_template import open_hand_template
from handdgp_core.networks import HandDGP, NetworkConfig, load_network, save_network
from handdgp_core.networks.guided_handdgp import make_network


@pytest.fixture(scope="session")
def open_network() -> HandDGP:
    """The network that comes with the program."""
    return load_network(OPEN_WEIGHTS)


@pytest.fixture(scope="session")
def plain_network() -> HandDGP:
    """The published network's form with a smaller backbone."""
    torch.manual_seed(0)
    config = NetworkConfig(
        backbone="resnet18",
        weight_latent=64,
        positioning="published",
        rectification={"policy": "published"},  # type: ignore[arg-type]
    )
    return make_network(config, open_hand_template()).eval()


@pytest.fixture(scope="session")
def plain_file(plain_network: HandDGP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its checkpoint."""
    path = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    save_network(plain_network, path)
    return path


@pytest.fixture(scope="session")
def cmr_network() -> HandDGP:
    """The CMR variant."""
    torch.manual_seed(0)
    config = NetworkConfig(kind="cmr", backbone="resnet18", mesh_widths=(512, 256, 128, 64), weight_latent=64)
    return make_network(config, open_hand_template()).eval()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HANDDGP_CACHE", str(tmp_path / "cache"))
    yield
