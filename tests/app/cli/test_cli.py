"""The command line: exit codes and messages, without Qt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.main import main
from app.cli.options import BAD_INPUT, DONE, INTERNAL
from tests.places import ROOT


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == DONE
    shown = capsys.readouterr().out
    for command in ("live", "process", "evaluate", "bench", "doctor"):
        assert command in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["process", "no_such_file.mp4", "--output", "{tmp}"], "no_such_file.mp4"),
        (["process", "demo", "--output", "{tmp}", "--engine", "tpu"], "value for '--engine': 'tpu' is not one of"),
        (["process", "demo", "--output", "{tmp}", "--model", "nonsense"], "nonsense"),
        (["process", "demo", "--output", "{tmp}", "--hand-length-mm", "18"], "18 mm"),
        (["process", "demo", "--output", "{tmp}", "--calibration", "no.yaml"], "no.yaml"),
        (["process", "demo", "--output", "{tmp}", "--bone", "femur=400"], "index_proximal"),
        (["process", "demo", "--output", "{tmp}", "--bone", "index_proximal=420"], "11 to 63 mm"),
        (["evaluate", "--dataset", "demo", "--output", "{tmp}", "--bone", "index 42"], "index_proximal=42"),
        (
            [
                "export",
                "{tmp}",
                "--output",
                "{tmp}",
                "--format",
                "obj",
                "--bone",
                "index=80",
                "--hand-length-mm",
                "180",
            ],
            "--bone",
        ),
        (["process", "demo", "--output", "{tmp}", "--export", "obj,fbx"], "fbx"),
        (["process", "demo", "--output", "{tmp}", "--device", "tpu"], "tpu"),
        (["process", "demo", "--output", "{tmp}", "--engine", "gpu"], "'--engine': 'gpu' is not one of"),
        (["process", "demo", "--output", "{tmp}", "--every", "0"], "every"),
        (["process", "demo"], "output"),
        (["evaluate", "--dataset", "frames", "--output", "{tmp}/m.json"], "--root"),
        (["evaluate", "--dataset", "mnist", "--output", "{tmp}/m.json"], "mnist"),
        (
            ["evaluate", "--dataset", "frames", "--root", "{tmp}", "--output", "{tmp}/m.json", "--leave-out", "x"],
            "joint",
        ),
        (["bench", "nothing"], "nothing"),
        (["frobnicate"], "frobnicate"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, list) else "",
)
def test_bad_usage_is_one_clear_message_and_exit_code_2(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == BAD_INPUT
    shown = capsys.readouterr().err
    assert said in " ".join(shown.split())
    assert "Traceback" not in shown


def test_a_bug_shows_its_traceback_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import app.cli.doctor

    def broken() -> bool:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(app.cli.doctor, "run_doctor", broken)
    assert main(["doctor"]) == INTERNAL
    assert "on purpose" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["process", "export", "evaluate", "bench"])
def test_help_does_not_wait_for_pytorch(command: str) -> None:
    program = f"import sys; from app.cli.main import main; main([{command!r}, '-h']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "--help" in done.stdout, done.stderr


def test_headless_commands_never_import_qt_or_open3d() -> None:
    program = (
        "import sys; from app.cli.main import main; main(['process', 'nothing.mp4', '--output', 'nowhere']);"
        "sys.exit(any(name.split('.')[0] in ('PyQt6', 'pyqtgraph', 'open3d') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "nothing.mp4" in done.stderr
