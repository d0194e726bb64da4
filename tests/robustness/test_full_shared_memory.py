"""A /dev/shm that is full: the 3D view does without it. In a mount of its own, where such a thing can be made."""

import shutil
import subprocess
import sys

import pytest

from tests.places import ROOT

MOUNT = "mount -t tmpfs -o size=256k tmpfs /dev/shm"
DRAW = """
from app.viewport.backends import BLOCK_BYTES, reserved_memory
try:
    reserved_memory(BLOCK_BYTES)
except OSError as error:
    print("refused:", error.strerror)
memory = reserved_memory(1 << 16)
memory.buf[:] = bytes(1 << 16)
memory.close()
memory.unlink()
print("written")
"""


def in_full_memory(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{MOUNT} && exec "$@"', "sh", *command], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.skipif(
    shutil.which("unshare") is None or in_full_memory("true").returncode != 0, reason="needs a mount of its own"
)
def test_shared_memory_that_is_full_is_an_error_and_no_crash():
    found = in_full_memory(sys.executable, "-c", DRAW)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == ["refused: No space left on device", "written"]
