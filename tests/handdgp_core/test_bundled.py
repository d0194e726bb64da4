"""What comes with the program is found in a checkout and in an installed package alike, from any folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from handdgp_core import bundled as module
from handdgp_core.bundled import bundled
from handdgp_core.errors import UsageError
from handdgp_core.training.config import read_config
from tests.places import ROOT


def test_in_a_checkout_it_lies_beside_the_packages() -> None:
    assert bundled("assets/weights/open.safetensors") == ROOT / "assets" / "weights" / "open.safetensors"


def test_in_an_installed_package_it_lies_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_bundled").mkdir()
    monkeypatch.setattr(module, "files", lambda name: tmp_path)
    module._base.cache_clear()
    try:
        assert bundled("assets/demo") == tmp_path / "_bundled" / "assets" / "demo"
    finally:
        module._base.cache_clear()


def test_configurations_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_config(Path("configs/tiny.yaml")) == read_config(Path("tiny.yaml")) != {}
    Path("tiny.yaml").write_text("mine: 1")
    assert read_config(Path("tiny.yaml")) == {"mine": 1}
    with pytest.raises(UsageError, match=r"elsewhere/tiny\.yaml"):
        read_config(Path("elsewhere/tiny.yaml"))
