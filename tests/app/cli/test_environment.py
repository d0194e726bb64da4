"""What is installed, and one line in place of a traceback where something is not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app import environment
from app.cli import doctor
from app.cli.main import main
from app.cli.options import BAD_INPUT, DONE
from tests.places import ROOT


def run_without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python main.py ...` where importing `module` fails as if it had never been installed."""
    program = (
        "import sys, runpy\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] == {module!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        f"sys.argv = ['main.py', *{arguments!r}]\n"
        "runpy.run_path('main.py', run_name='__main__')\n"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("module", "command", "said"),
    [
        ("typer", ("--help",), "The package typer is not installed"),
        ("safetensors", ("process", "demo", "--output", "{tmp}", "--limit", "1"), "pip install 'safetensors>="),
        ("cv2", ("process", "demo", "--output", "{tmp}"), "The package opencv-contrib-python is not installed"),
        ("matplotlib", ("calibrate", ".", "--board", "chessboard:9x6:25", "--output", "{tmp}/c.yaml"), "matplotlib"),
        ("moderngl", ("synth", "--output", "{tmp}", "--count", "1"), "the extra `train`"),
        ("lightning", ("train", "--config", "configs/tiny.yaml"), "the extra `train`"),
    ],
)  # fmt: skip
def test_a_missing_package_is_one_line_that_says_how_to_get_it(
    module: str, command: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = run_without(module, *(part.format(tmp=tmp_path) for part in command))
    assert done.returncode == BAD_INPUT, done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr and "Internal error" not in done.stderr


def test_doctor_names_every_part_and_goes_on_without_one() -> None:
    done = run_without("torch", "doctor")
    assert done.returncode == BAD_INPUT, done.stderr
    assert "Traceback" not in done.stderr
    for name in ("safetensors", "matplotlib", "PyQt6", "extra train", "webcams"):
        assert name in done.stdout
    assert re.search(r"BAD +device +.*The package torch", done.stdout)


def test_doctor_tells_versions_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version_of", lambda name: "1.0")
    found = {finding.what: finding for finding in doctor.findings() if finding.what in ("torch", "mediapipe")}
    assert not found["torch"].good and "==2.13.0" in found["torch"].text


def test_missing_system_libraries_and_faults_of_our_own() -> None:
    library = ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
    told = environment.missing_part(library)
    assert told is not None and "libGL.so.1" in told.message and "run.sh" in told.message
    assert environment.missing_part(ModuleNotFoundError("No module named 'app.nothing'", name="app.nothing")) is None
    assert environment.missing_part(ImportError("cannot import name 'x' from 'numpy'", name="numpy")) is None


@pytest.mark.parametrize("extra", ["", "train", "licensed"])
def test_requirements_are_the_same_in_a_checkout_and_installed(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def names() -> set[str]:
        return {re.split(r"[^\w.-]", line)[0].lower() for line in environment.requirements(extra)}

    in_checkout = names()
    monkeypatch.setattr(environment, "_checkout", lambda: None)
    assert names() == in_checkout != set()


@pytest.mark.parametrize("arguments", [["--version"], ["process", "--version"], ["live", "--version"]])
def test_the_version_can_be_asked_for_everywhere(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == DONE
    assert re.fullmatch(r"handdgp-live \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize("command", ["", "live", "process", "doctor", "train", "board"])
def test_short_help_works_everywhere(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "-h"]) == DONE
    assert "--help" in capsys.readouterr().out
