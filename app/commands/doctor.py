"""`doctor`: what the program needs, what is here, and what to do about the rest."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from rich.console import Console

from app.display import has_display
from handdgp_core.errors import HandDGPError

_PARTS = ("torch", "mediapipe", "opencv-contrib-python", "open3d", "PyQt6", "pyqtgraph", "numpy", "scipy")


@dataclass(frozen=True)
class Finding:
    """One line of the report. `needed` findings that are not `good` make the program's exit code 2."""

    what: str
    good: bool
    text: str
    needed: bool = True


def run_doctor() -> bool:
    """Print all findings; True if everything that is needed is here."""
    console, healthy = Console(highlight=False), True
    for finding in findings():
        mark = "ok  " if finding.good else ("BAD " if finding.needed else "note")
        style = "green" if finding.good else ("red" if finding.needed else "yellow")
        console.print(f"[{style}]{mark}[/{style}] {finding.what:12} ", end="")
        console.print(finding.text, markup=False, soft_wrap=True)
        healthy &= finding.good or not finding.needed
    return healthy


def findings() -> Iterator[Finding]:
    """Every check, one after the other."""
    inside = (3, 10) <= sys.version_info[:2] < (3, 13)
    yield Finding("Python", inside, f"{platform.python_version()} (3.10 to 3.12 wanted)")
    for part in _PARTS:
        yield _part(part)
    yield _device()
    yield _guarded("detector", _load_detector)
    yield _guarded("hand model", _load_hand)
    yield _guarded("demo", _load_demo)
    yield _display()
    yield _opengl()
    yield _webcams()


def _part(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed: run ./run.sh, or pip install -e .")


def _device() -> Finding:
    import torch

    found = torch.cuda.is_available()
    return Finding("device", True, torch.cuda.get_device_name(0) if found else f"CPU, {os.cpu_count()} cores")


def _guarded(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, check())
    except HandDGPError as error:
        return Finding(what, False, error.message)


def _load_detector() -> str:
    from handdgp_core.networks.mediapipe_landmarks import MediaPipeLandmarks

    count = sum(parameter.numel() for parameter in MediaPipeLandmarks.load().parameters())
    return f"landmark network with {count / 1e6:.2f} M parameters"


def _load_hand() -> str:
    from handdgp_core.hands.open_hand import OpenHand

    hand = OpenHand.load()
    return f"open hand with {len(hand.vertices)} vertices"


def _load_demo() -> str:
    from handdgp_core.sources.demo import DemoSource

    with DemoSource() as demo:
        return f"clip of {demo.size[0]} x {demo.size[1]}"


def _display() -> Finding:
    text = "a window can be opened" if has_display() else "none: the window needs one; `process` does not"
    return Finding("display", has_display(), text, needed=False)


def _opengl() -> Finding:
    from app.viewport.probe import working_rung

    rung = working_rung()
    if rung is None:
        text = "does not work: the 3D view falls back to a painter (on Debian, apt-get install libegl1 libgl1-mesa-dri)"
        return Finding("OpenGL", False, text, needed=False)
    return Finding("OpenGL", True, f"Open3D renders ({rung.name})")


def _webcams() -> Finding:
    from handdgp_core.sources.webcam_list import list_webcams

    names = [f"{camera.index}: {camera.name}" for camera in list_webcams()]
    return Finding("webcams", bool(names), ", ".join(names) or "none found: the demo runs instead", needed=False)
