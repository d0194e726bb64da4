"""Archives that state what no reader of them can do; found by tools/fuzz.py."""

import io
import struct
import zipfile

import numpy as np
import pytest
import torch

from handdgp_core.errors import WeightsError
from handdgp_core.networks.checkpoints.foreign_weights import read_torch_file
from handdgp_core.plain_files import read_npz


def of_two_disks(content: bytes) -> bytes:
    """The same archive with a record that says that it goes on on another disk."""
    end = content.rindex(b"PK\x05\x06")
    return content[:end] + b"PK\x06\x07" + struct.pack("<LQL", 0, end, 2) + content[end:]


def test_an_archive_of_several_disks_is_refused(tmp_path):
    arrays, tensors = io.BytesIO(), io.BytesIO()
    np.savez(arrays, a=np.arange(3))
    torch.save({"a": torch.arange(3)}, tensors)
    for name, made in (("a.npz", arrays), ("a.ckpt", tensors)):
        (tmp_path / name).write_bytes(of_two_disks(made.getvalue()))
        with pytest.raises(zipfile.BadZipFile):
            zipfile.is_zipfile(tmp_path / name)
    with pytest.raises(ValueError, match="disks"):
        read_npz(tmp_path / "a.npz")
    with pytest.raises(WeightsError, match="disks"):
        read_torch_file(tmp_path / "a.ckpt", "Get it again.")
