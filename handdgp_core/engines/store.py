"""Networks in the form of another engine, and how they agreed, in the user's cache folder: made and compared once.

A cache must never be a reason to fail: what cannot be read is made again, what cannot be written is not kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_cache_path

from handdgp_core.engines.agreement import Agreement
from handdgp_core.errors import OutputError
from handdgp_core.files import write_bytes, write_text
from handdgp_core.plain_files import read_json

__all__ = ["Kept", "key_of", "recall", "remember"]

_MOST_KEPT = 8
_OWN = Path(__file__).parents[1]
_DECIDING = ("networks", "engines", "geometry")  # the packages whose code decides a network's numbers
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """A network in an engine's form, and how it agreed with PyTorch here."""

    content: bytes
    agreement: Agreement


def folder() -> Path:
    """Where networks are kept; the environment variable HANDDGP_CACHE names another place."""
    chosen = os.environ.get("HANDDGP_CACHE")
    return (Path(chosen) if chosen else user_cache_path("handdgp-live", appauthor=False)) / "engines"


def key_of(checkpoint: Path, engine: str) -> str:
    """By everything that decides the numbers: the checkpoint (weights, config, mesh), the code, versions, processor."""
    digest = hashlib.sha256(checkpoint.read_bytes())
    versions = f"{engine} {version(engine)} {version('torch')} {platform.machine()} {_processor()}"
    digest.update(f"{versions} {_code()}".encode())
    return digest.hexdigest()


@cache
def _code() -> str:
    digest = hashlib.sha256()
    for file in sorted(file for package in _DECIDING for file in (_OWN / package).rglob("*.py")):
        digest.update(f"{file.relative_to(_OWN).as_posix()} ".encode() + file.read_bytes())
    return digest.hexdigest()


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("model name")), "")


def recall(key: str) -> Kept | None:
    """What is kept under a key, or None. A file that is not the one that was compared does not count."""
    file = folder() / f"{key}.onnx"
    try:
        content, facts = file.read_bytes(), read_json(file.with_suffix(".json"))
        if hashlib.sha256(content).hexdigest() != facts["sha256"]:
            raise ValueError("not the file that was compared")
        return Kept(content, Agreement(float(facts["root_mm"]), float(facts["keypoint_px"])))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("Exporting a network again: %s cannot be used (%s)", file, error)
        return None


def remember(key: str, kept: Kept) -> None:
    """Keep it; a full or read-only disk is only worth a warning. The oldest of many go."""
    facts = {**kept.agreement._asdict(), "sha256": hashlib.sha256(kept.content).hexdigest()}
    try:
        folder().mkdir(parents=True, exist_ok=True)
        write_bytes(folder() / f"{key}.onnx", kept.content)
        write_text(folder() / f"{key}.json", json.dumps(facts))
        files = sorted(folder().glob("*.onnx"), key=lambda file: file.stat().st_mtime)
        for file in files[:-_MOST_KEPT]:
            file.unlink(missing_ok=True)
            file.with_suffix(".json").unlink(missing_ok=True)
    except (OSError, OutputError) as error:
        _log.warning("An exported network is not kept for the next start: %s", error)
