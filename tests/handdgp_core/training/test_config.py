"""Reading configurations: what is in them arrives, what does not belong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from handdgp_core.config import parse
from handdgp_core.errors import UsageError
from handdgp_core.networks.config import NetworkConfig
from handdgp_core.training.config import TrainingConfig, load_config, parse_config, with_overrides
from handdgp_core.training.teacher.config import load_refiner_config
from tests.places import ROOT

# Those of networks; a refiner and tables have forms of their own, see test_refiner.py and test_ablation.py.
FOLDER = ROOT / "configs"
TEACHER = FOLDER / "teacher.yaml"
CONFIGS = sorted(set(FOLDER.glob("*.yaml")) - {TEACHER} - set(FOLDER.glob("table1*.yaml")))
FOCAL_PX = {"freihand-r50": 1000.0, "ho3d-r50": 500.0, "h36m-body": 400.0}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_reads_and_survives_the_round_trip(path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    assert parse_config(yaml.safe_load(yaml.safe_dump(config.to_plain()))) == config


@pytest.mark.parametrize("path", [*CONFIGS, TEACHER], ids=lambda path: path.stem)
def test_every_value_in_a_shipped_configuration_arrives(path: Path) -> None:
    loaded = (load_refiner_config if path == TEACHER else load_config)(path).to_plain()

    def compare(written: Any, found: Any, key: str) -> None:
        if isinstance(written, dict | list):
            for name, value in written.items() if isinstance(written, dict) else enumerate(written):
                compare(value, found[name], f"{key}.{name}")
        else:
            assert found == (str(written) if key == ".hardware.precision" else written), key

    compare(yaml.safe_load(path.read_text()), loaded, "")


def test_the_papers_configurations_have_its_losses_and_focal_lengths() -> None:
    for name, focal in FOCAL_PX.items():
        config = load_config(next(path for path in CONFIGS if path.stem == name))
        assert (config.network.rectification.policy, config.network.rectification.focal_px) == ("published", focal)
        assert config.augmentation.views(config.network).focal_px == focal
        assert list(vars(config.losses).values())[:10] == [1.0, 1.0, 0.05, 0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0]
        assert config.losses.reduction == "printed" and config.losses.edge_norm is None
        assert config.network.backbone == "resnet50"


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        (
            "optimiser.lerning_rate=1e-3",
            ["optimiser.lerning_rate: unknown; did you mean learning_rate?", "weight_decay"],
        ),
        ("nonsense=1", ["nonsense: unknown. Known keys: name, seed, "]),
        ("data.batch_size=many", ["data.batch_size: expected a whole number, got 'many'."]),
        ("data.batch_size=2.5", ["data.batch_size", "whole number", "2.5"]),
        ("data.batch_size=true", ["data.batch_size", "whole number"]),
        ("data.batch_size=0", ["data.batch_size: expected a number greater than 0, got 0."]),
        ("optimiser.learning_rate=-1", ["optimiser.learning_rate", "greater than 0", "-1"]),
        ("optimiser.learning_rate=.nan", ["optimiser.learning_rate", "finite number", "nan"]),
        ("losses.root=-1", ["losses.root", "greater than or equal to 0", "-1"]),
        ("hardware.precision=64", ["hardware.precision", "bf16", "64"]),
        ("network.image_size=-3", ["network.image_size", "greater than 0"]),
        ("network.backbone=[1]", ["network.backbone", "text"]),
        ("curriculum.all.milestones=[2.0]", ["curriculum.all.milestones.0", "less than or equal to 1"]),
        ("augmentation.scale=[1.0]", ["augmentation.scale.1", "missing"]),
        ("augmentation.appearance.contrast=7", ["augmentation.appearance", "at most 1"]),
        ("augmentation.appearance.contrst=0.1", ["augmentation.appearance.contrst", "did you mean contrast?"]),
        ("data.train=[{name: frames, root: x, repaet: 2}]", ["data.train.0.repaet", "did you mean repeat?"]),
        ("data.train=[{name: frames, root: x, repeat: 0}]", ["data.train.0: ", "repeat"]),
        ("augmentation.patch_size=0", ["augmentation: ", "patch size"]),
        ("curriculum={relative: {epochs: 0}, all: {epochs: 0}}", ["curriculum: expected epochs"]),
        ("data.train=[{name: imagenet, root: x}]", ["data.train.0.name", "freihand", "imagenet"]),
        ("data.train=[{name: frames}]", ["data.train.0.root: a value is missing."]),
        ("name=../elsewhere", ["folder", "../elsewhere"]),
        ("optimiser=3", ["optimiser: expected keys and values, got 3."]),
        ("seed.deep=3", ["seed has no keys"]),
        ("optimiser.learning_rate", ["learning_rate=1e-4", "optimiser.learning_rate"]),
        ("data.train=[", ["data.train", "YAML"]),
    ],
)
def test_a_bad_setting_is_named_with_what_was_expected_and_given(override: str, parts: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        parse_config({"name": "x", "seed": 1}, [override])
    for part in parts:
        assert part in error.value.message
    assert "\n" not in error.value.message and "pydantic" not in error.value.message


def test_overrides_reach_lists_and_leave_the_original_alone() -> None:
    values = {"name": "x", "data": {"train": [{"name": "frames", "root": "a"}]}}
    config = parse_config(values, ["data.train.0.root=b", "optimiser.learning_rate=1e-4", "hardware.precision=16"])
    assert config.data.train[0].root == "b" and values["data"]["train"][0]["root"] == "a"
    assert config.optimiser.learning_rate == 1e-4 and config.hardware.precision == "16"
    with pytest.raises(UsageError, match=r"data\.train"):
        with_overrides(values, ["data.train.5.root=b"])


@pytest.mark.parametrize("content", [b"", b"- 1\n", b"a: [\n", b"\xff\xfe"])
def test_a_file_that_is_no_configuration_is_a_usage_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"broken\.yaml"):
        load_config(path)
    with pytest.raises(UsageError, match=r"missing\.yaml"):
        load_config(tmp_path / "missing.yaml")


@settings(max_examples=40, deadline=None)
@given(
    st.floats(1e-6, 1.0),
    st.integers(1, 64),
    st.lists(st.floats(0.0, 1.0), max_size=3).map(tuple),
    st.none() | st.floats(1e-6, 1.0),
)
def test_any_configuration_survives_the_round_trip(
    rate: float, batch: int, milestones: tuple[float, ...], second: float | None
) -> None:
    values = {
        "name": "x",
        "optimiser": {"learning_rate": rate},
        "data": {"batch_size": batch},
        "curriculum": {"all": {"milestones": list(milestones), "learning_rate": second}},
    }
    config = parse_config(values)
    assert parse(TrainingConfig, yaml.safe_load(yaml.safe_dump(config.to_plain()))) == config
    assert config.learning_rate(config.curriculum.all) == (rate if second is None else second)


@pytest.mark.parametrize(
    "values",
    [
        {"mesh_widths": [20000, 20000, 20000, 20000]},
        {"mesh_widths": [8] * 1000},
        {"image_size": 100_000},
        {"weight_latent": 1 << 40},
        {"spiral_length": 1 << 20},
        {"guide_width": 10**30},
    ],
)
def test_a_network_that_would_fill_the_memory_is_refused_before_it_is_built(values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        parse(NetworkConfig, values)


@pytest.mark.parametrize(
    "text", ["a: &a [1]\nb: *a", "[" * 10_000, "x: [" * 5000, "a: 1\n" * 100_000, "a: \x00", "? [1]\n: 2"]
)
def test_yaml_of_no_use_is_a_usage_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path / "c.yaml")
    assert len(caught.value.message) < 600
