"""tools/setup.sh with everything it calls replaced by scripts that note how they were called."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the script is for Debian and Ubuntu")

REAL = ("awk", "bash", "cat", "chmod", "dirname", "env", "grep", "mkdir", "mktemp", "rm", "sed", "sha256sum")
SCRIPT = ROOT / "tools" / "setup.sh"
PACKAGES = re.findall(r"^packages=\((.*?)\)", SCRIPT.read_text(), re.DOTALL | re.MULTILINE)[0].split()

# As the real one: it tells of every package that it knows, and fails when it does not know one.
DPKG_QUERY = """
status=0
for name in "${@:3}"; do
  if grep -qx "$name" "$FAKES/installed"; then echo "installed $name"; else status=1; fi
done
exit $status"""
# A Python that fits, makes environments that hold itself, and notes what pip and uv are asked for.
PYTHON = """
case "$1 ${2:-}" in
  "-c import torch") exit 1 ;;
  "-m venv") mkdir -p "${@: -1}/bin"; cat "$0" >"${@: -1}/bin/python"; chmod +x "${@: -1}/bin/python" ;;
  "-m pip")
    echo "pip ${*:3}" >>"$FAKES/calls"
    case "$*" in *" uv") cat "$FAKES/uv" >"${0%/*}/uv"; chmod +x "${0%/*}/uv" ;; esac ;;
esac"""


class Machine:
    """A checkout that holds the script alone, on a machine that holds nothing but what is given here."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.fakes = folder / "checkout", folder / "fakes"
        (self.checkout / "tools").mkdir(parents=True)
        self.fakes.mkdir()
        shutil.copy(SCRIPT, self.checkout / "tools")
        shutil.copy(ROOT / "pyproject.toml", self.checkout)
        for name in REAL:
            (self.fakes / name).symlink_to(shutil.which(name) or name)
        self.fake("dpkg-query", DPKG_QUERY)
        self.fake("apt-get", 'echo "apt-get $*" >>"$FAKES/calls"')
        self.fake("python3", PYTHON)
        self.fake("uv", 'echo "uv $*" >>"$FAKES/calls"')
        self.fake("id", "echo 0")
        self.fake("df", "echo header; echo /dev/disk 100000000 1 90000000 1% /")
        self.install(*PACKAGES)

    def fake(self, name: str, script: str) -> None:
        path = self.fakes / name
        path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        path.chmod(0o755)

    def install(self, *packages: str) -> None:
        (self.fakes / "installed").write_text("\n".join(packages) + "\n")

    def run(self, extras: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        (self.fakes / "calls").write_text("")
        values = {"PATH": str(self.fakes), "FAKES": str(self.fakes), **environment}
        command = ["bash", str(self.checkout / "tools" / "setup.sh"), extras]
        return subprocess.run(command, env=values, capture_output=True, text=True, timeout=120)

    @property
    def calls(self) -> list[str]:
        return (self.fakes / "calls").read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_second_start_calls_neither_apt_nor_pip(machine: Machine) -> None:
    first = machine.run()
    assert first.returncode == 0, first.stderr
    assert any(call.startswith("pip install") and call.endswith("-e .") for call in machine.calls)
    second = machine.run()
    assert second.returncode == 0, second.stderr
    assert machine.calls == [] and second.stderr == ""
    assert second.stdout == f"{machine.checkout}/.venv/bin/python\n" == first.stdout


def test_the_first_start_says_how_much_disk_it_takes_and_pip_shows_its_progress(machine: Machine) -> None:
    said = machine.run("test,train").stderr
    assert "3.3 GB" in said and "HANDDGP_TORCH=cuda" in said
    (own,) = [call for call in machine.calls if call.endswith("-e .[test,train]")]
    assert " -q" not in own


def test_packages_under_their_64_bit_time_names_are_there(machine: Machine) -> None:
    machine.install(*(f"{name}t64" if name == "libglib2.0-0" else name for name in PACKAGES))
    assert machine.run().returncode == 0
    assert not [call for call in machine.calls if call.startswith("apt-get")]


def test_what_is_missing_is_installed_and_nothing_else(machine: Machine) -> None:
    machine.install(*(name for name in PACKAGES if name not in ("libegl1", "libgl1")))
    assert machine.run().returncode == 0
    apt = [call for call in machine.calls if call.startswith("apt-get")]
    assert apt == ["apt-get update -qq", "apt-get install -y -qq --no-install-recommends libgl1 libegl1"]


def test_without_root_sudo_is_used_or_the_command_is_told(machine: Machine) -> None:
    machine.install(*PACKAGES[1:])
    machine.fake("id", "echo 1000")
    refused = machine.run()
    assert refused.returncode == 2 and "apt-get install libgl1" in refused.stderr
    machine.fake("sudo", '"$@"')
    assert machine.run().returncode == 0
    assert "apt-get update -qq" in machine.calls


def test_a_machine_without_an_nvidia_card_gets_the_small_pytorch(machine: Machine) -> None:
    assert machine.run(HANDDGP_TORCH="auto").returncode == 0
    (uv,) = [call for call in machine.calls if call.startswith("uv ")]
    assert "--torch-backend cpu torch==" in uv
    assert machine.calls.index(uv) < machine.calls.index(next(call for call in machine.calls if call.endswith("-e .")))


def test_where_the_small_pytorch_is_not_to_be_had_the_usual_one_follows(machine: Machine) -> None:
    machine.fake("uv", "exit 1")
    done = machine.run()
    assert done.returncode == 0 and "usual one follows" in done.stderr
    assert machine.calls[-1].endswith("-e .")


def test_an_nvidia_card_or_the_person_asks_for_the_large_one(machine: Machine) -> None:
    assert machine.run(HANDDGP_TORCH="cuda").returncode == 0
    assert not [call for call in machine.calls if call.startswith("uv ")]
    shutil.rmtree(machine.checkout / ".venv")
    machine.fake("nvidia-smi", "true")
    assert "7 GB" in machine.run().stderr
    assert not [call for call in machine.calls if call.startswith("uv ")]


def test_a_build_that_does_not_exist_and_a_full_disk_are_refused_in_a_sentence(machine: Machine) -> None:
    refused = machine.run(HANDDGP_TORCH="rocm")
    assert refused.returncode == 2 and "auto, cpu or cuda" in refused.stderr
    machine.fake("df", "echo header; echo /dev/disk 100000000 1 900000 99% /")
    refused = machine.run()
    assert refused.returncode == 2 and "HANDDGP_VENV" in refused.stderr
    assert not [call for call in machine.calls if "-e ." in call]


def test_another_folder_for_the_environment(machine: Machine, tmp_path: Path) -> None:
    done = machine.run(HANDDGP_VENV=str(tmp_path / "elsewhere" / "venv"))
    assert done.stdout == f"{tmp_path}/elsewhere/venv/bin/python\n", done.stderr
    assert os.access(tmp_path / "elsewhere" / "venv" / "bin" / "python", os.X_OK)
