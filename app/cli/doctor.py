"""`doctor`: what the program needs, what is installed, and what to do about the rest."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from packaging.requirements import Requirement
from rich.console import Console

from app.cli.options import BAD_INPUT, DONE
from app.environment import EXTRAS, SETUP, has_display, how_to_get, missing_part, requirements, version_of
from handdgp_core.errors import AssetError, HandDGPError, SourceError

_BASIC_RENDERER = "The basic 3D renderer is used instead."


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
        console.print(f"[{style}]{mark}[/{style}] {finding.what:25} ", end="")
        console.print(finding.text, markup=False, soft_wrap=True)
        healthy &= finding.good or not finding.needed
    return healthy


def findings() -> Iterator[Finding]:
    """Every check, one after the other."""
    inside = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding("Python", inside, f"{platform.python_version()} (3.11 to 3.13 are supported)")
    for requirement in map(Requirement, requirements()):
        if requirement.marker is None or requirement.marker.evaluate():
            yield _part(requirement)
    for extra, purpose in EXTRAS.items():
        yield _extra(extra, purpose)
    yield _guarded("device", _device)
    yield _guarded("detector", _load_detector)
    yield _guarded("hand model", _load_hand)
    yield _guarded("network", _load_network)
    yield _guarded("demo", _load_demo)
    yield _display()
    yield _guarded("OpenGL", _opengl, needed=False)
    yield _guarded("webcams", _webcams, needed=False)


def _part(requirement: Requirement) -> Finding:
    found = version_of(requirement.name)
    if found == "not installed":
        return Finding(requirement.name, False, f"not installed. {how_to_get(requirement.name)}")
    fits = requirement.specifier.contains(found, prereleases=True)
    return Finding(
        requirement.name, fits, found if fits else f"{found}, but {requirement.specifier} is needed. {SETUP}."
    )


def _extra(name: str, purpose: str) -> Finding:
    """One line for all packages of an extra: the program itself needs none of them."""
    missing = [part.name for part in map(Requirement, requirements(name)) if version_of(part.name) == "not installed"]
    text = f"not installed, {purpose}: no {', '.join(missing)}" if missing else f"installed, {purpose}"
    return Finding(f"extra {name}", not missing, text, needed=False)


def _guarded(what: str, check: Callable[[], str], needed: bool = True) -> Finding:
    try:
        return Finding(what, True, check(), needed)
    except HandDGPError as error:
        return Finding(what, False, error.message, needed)
    except ImportError as error:
        missing = missing_part(error)
        if missing is None:
            raise
        return Finding(what, False, missing.message, needed)


def _device() -> str:
    import torch

    found = torch.cuda.is_available()
    return torch.cuda.get_device_name(0) if found else f"CPU, {os.cpu_count()} cores"


def _load_detector() -> str:
    from handdgp_core.networks.backbones.mediapipe_landmarks import MediaPipeLandmarks

    count = sum(parameter.numel() for parameter in MediaPipeLandmarks.load().parameters())
    return f"landmark network with {count / 1e6:.2f} M parameters"


def _load_hand() -> str:
    from handdgp_core.hands.open_hand.open_hand import OpenHand

    hand = OpenHand.load()
    return f"open hand with {len(hand.vertices)} vertices"


def _load_network() -> str:
    from handdgp_core.estimation.models import DEFAULT_MODEL, load_predictor

    load_predictor(DEFAULT_MODEL, "cpu")
    return f"the model `{DEFAULT_MODEL}` loads"


def _load_demo() -> str:
    from handdgp_core.sources.demo import DemoSource

    with DemoSource() as demo:
        return f"clip of {demo.size[0]} x {demo.size[1]}"


def _display() -> Finding:
    text = "a window can be opened" if has_display() else "none. The window needs one; `process` does not."
    return Finding("display", has_display(), text, needed=False)


def _opengl() -> str:
    from app.viewport.probe import working_config

    if find_spec("open3d") is None:
        version = platform.python_version()
        raise AssetError(f"Open3D is not installed: it has no wheel for Python {version}.", hint=_BASIC_RENDERER)
    config = working_config()
    if config is None:
        hint = f"{_BASIC_RENDERER} On Debian: apt-get install libegl1 libgl1-mesa-dri."
        raise AssetError("Open3D cannot render here.", hint=hint)
    return f"Open3D renders ({config.name})"


def _webcams() -> str:
    from handdgp_core.sources.webcam_list import list_webcams

    names = [f"{camera.index}: {camera.name}" for camera in list_webcams()]
    if not names:
        raise SourceError("No webcam is connected.", hint="The demo runs instead.")
    return ", ".join(names)


def command() -> int:
    """Check what the program needs here: parts, assets, display, OpenGL, cameras."""
    return DONE if run_doctor() else BAD_INPUT
