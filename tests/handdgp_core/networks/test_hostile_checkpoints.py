"""Checkpoints of other programs that would crash PyTorch's own reader, or unpack to far more than they are."""

from __future__ import annotations

import collections
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from handdgp_core.errors import WeightsError
from handdgp_core.networks.checkpoints.foreign_weights import read_state_dict, read_torch_file
from handdgp_core.networks.checkpoints.torch_file import Skipped

HINT = "get it again"


@pytest.mark.parametrize("legacy", [False, True])
def test_pytorch_agrees_on_what_it_wrote(tmp_path: Path, legacy: bool) -> None:
    matrix = torch.randn(4, 6)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(network.parameters())
    tensors = {
        "transposed": matrix.t(),
        "slice": matrix[1:, 2:],
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "empty": torch.empty(0, 3),
        "number": torch.tensor(3),
        "parameter": nn.Parameter(matrix),
        **{f"as {kind}": matrix.to(kind) for kind in (torch.float64, torch.float16, torch.bfloat16)},
        **{f"as {kind}": (matrix > 0).to(kind) for kind in (torch.bool, torch.uint8, torch.int16, torch.int32)},
    }
    content = {"state_dict": network.state_dict(), "epoch": 3, "optimizer": optimizer.state_dict(), **tensors}
    file = tmp_path / "a.ckpt"
    torch.save({**content, "type": nn.Conv2d, "dtype": torch.float32}, file, _use_new_zipfile_serialization=not legacy)
    found = read_torch_file(file, HINT)
    assert found["epoch"] == 3 and found["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    assert isinstance(found["type"], Skipped) and isinstance(found["dtype"], Skipped)
    assert found["state_dict"].keys() == network.state_dict().keys()
    for key, value in (*tensors.items(), *((f"state_dict {k}", v) for k, v in network.state_dict().items())):
        back = found["state_dict"][key.removeprefix("state_dict ")] if key.startswith("state_dict ") else found[key]
        assert torch.equal(back, value) and back.dtype == value.dtype, key


class Called:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def rebuilt(storage: Any, offset: Any, size: Any, stride: Any) -> Called:
    return Called(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, collections.OrderedDict())


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (1 << 30,), (0,)),  # few numbers shown as many
        (0, (1 << 39, 1 << 39), (0, 0)),
        (0, (5,), (1,)),
        (4, (1,), (1,)),
        (-1, (1,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), (1 << 62,)),
        (0, (2, 2), (1,)),
        (0, [2], (1,)),
        (0, (1.0,), (1,)),
        (1 << 80, (0,), (1,)),
        ("a", (1,), (1,)),
    ],
)
def test_tensors_beyond_their_storage_are_refused(tmp_path: Path, offset: Any, size: Any, stride: Any) -> None:
    storage = torch.arange(4.0).storage()
    torch.save({"a": rebuilt(storage, offset, size, stride)}, tmp_path / "a.ckpt")
    with pytest.raises(WeightsError):
        read_state_dict(tmp_path / "a.ckpt", HINT)


@pytest.mark.parametrize("kind", ["sparse", "quantized", "complex"])
def test_tensors_of_other_kinds_are_named(tmp_path: Path, kind: str) -> None:
    made = {
        "sparse": lambda: torch.eye(3).to_sparse(),
        "quantized": lambda: torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8),
        "complex": lambda: torch.zeros(3, dtype=torch.complex64),
    }[kind]()
    torch.save({"a": made}, tmp_path / "a.ckpt")
    with pytest.raises(WeightsError, match="'a' is of a kind that is not read"):
        read_state_dict(tmp_path / "a.ckpt", HINT)


def test_deep_tuples_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.ckpt"
    for program in (b"}N" + b"\x85" * 100_000 + b"K\x01s.", b"N" + b"\x85" * 100_000 + b".", b"]" * 500_000 + b"."):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02" + program)
        with pytest.raises(WeightsError):
            read_state_dict(file, HINT)


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10_000_000)}, tmp_path / "whole.ckpt")
    bomb = zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "whole.ckpt") as whole, bomb as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name))
    assert (tmp_path / "bomb.ckpt").stat().st_size < 1 << 20
    with pytest.raises(WeightsError, match="compressed"):
        read_state_dict(tmp_path / "bomb.ckpt", HINT)


def test_entries_that_overlap_are_refused(tmp_path: Path) -> None:
    """The directory says of one small entry that it is huge."""
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a.ckpt")
    content = bytearray((tmp_path / "a.ckpt").read_bytes())
    place = content.rfind(b"PK\x01\x02", 0, content.rfind(b"data/0"))
    content[place + 20 : place + 28] = (1 << 31).to_bytes(4, "little") * 2
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(WeightsError):
        read_state_dict(tmp_path / "a.ckpt", HINT)


def test_truth_values_are_zero_or_one(tmp_path: Path) -> None:
    torch.save({"a": torch.tensor([True] * 64)}, tmp_path / "a.ckpt", _use_new_zipfile_serialization=False)
    content = (tmp_path / "a.ckpt").read_bytes()
    (tmp_path / "a.ckpt").write_bytes(content[:-1] + b"\x07")
    with pytest.raises(WeightsError, match="neither 0 nor 1"):
        read_state_dict(tmp_path / "a.ckpt", HINT)


def test_a_plain_pickle_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(WeightsError, match="no file of PyTorch"):
        read_state_dict(tmp_path / "a.ckpt", HINT)
