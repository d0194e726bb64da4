"""What is installed: the program's version and packages, the error for a missing one, and whether there is a screen.

Imports the standard library alone, so that it works where everything else is missing.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from handdgp_core.errors import HandDGPError, UsageError

PROGRAM = "handdgp-live"
EXTRAS = {
    "train": "for training and synthetic data",
    "licensed": "for the user's own MANO and SMPL files",
    "stream": "for sending hands live to other programs",
    "rerun": "for sending hands to a Rerun viewer",
    "robot": "for exports to ROS 2 and LeRobot",
    "batch": "for many inputs at a time",
    "retarget": "for the example that moves robots' hands",
    "usd": "for exports to OpenUSD",
}
SETUP = "In a checkout, ./run.sh installs everything"
# Modules that are not named after the package that brings them.
_PACKAGES = {
    "PIL": "Pillow",
    "cv2": "opencv-contrib-python",
    "foxglove": "foxglove-sdk",
    "google": "protobuf",
    "pythonosc": "python-osc",
    "pxr": "usd-core",
    "rerun": "rerun-sdk",
    "yaml": "PyYAML",
}
_OWN = ("app", "calib", "handdgp_core")


def version_of(package: str = PROGRAM) -> str:
    """The version of an installed package, or "not installed"; the program's own also in a checkout."""
    project = _checkout()
    if package == PROGRAM and project is not None:
        return str(project["version"])
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def requirements(extra: str = "") -> list[str]:
    """What the program, or one of its extras, asks for: "torch==2.13.0", with markers where there are any."""
    project = _checkout()
    if project is not None:
        return list(project["optional-dependencies"].get(extra, []) if extra else project["dependencies"])
    ending = re.compile(r"""\s*(?:and|;)\s*extra\s*==\s*['"]([\w.-]+)['"]\s*$""")
    found = [(ending.search(line), line) for line in requires(PROGRAM) or []]
    return [ending.sub("", line) for match, line in found if (match[1] if match else "") == extra]


def missing_part(error: ImportError) -> HandDGPError | None:
    """The error to show where a package or a system library is missing; None where the import fails for another reason.

    Args:
        error: what an import raised.
    """
    library = re.match(r"(lib[\w+.-]+\.so[\w.]*): cannot open shared object file", error.msg or "")
    if library:
        hint = f"On Debian and Ubuntu, ./run.sh installs it. Elsewhere, install the system package with {library[1]}."
        return UsageError(f"The system library {library[1]} is not installed.", hint=hint)
    module = (error.name or "").split(".")[0]
    if not isinstance(error, ModuleNotFoundError) or not module or module in _OWN:
        return None
    package = _PACKAGES.get(module, module.replace("_", "-"))
    problem = f"The package {package} is not installed: there is no module {error.name} in {sys.prefix}."
    return UsageError(problem, hint=how_to_get(package))


def how_to_get(package: str) -> str:
    """A sentence on how to install a missing package: its extra, or that package alone."""
    for extra in EXTRAS:
        if package.lower() in map(_name_of, requirements(extra)):
            return (
                f"It comes with the extra `{extra}`: pip install -e '.[{extra}]' in a checkout, or {PROGRAM}[{extra}]."
            )
    required = next((line for line in requirements() if _name_of(line) == package.lower()), package)
    return f"{SETUP}; or: {sys.executable} -m pip install '{required.partition(';')[0].strip()}'."


def has_display() -> bool:
    """Whether a window can be opened here."""
    if sys.platform in ("win32", "darwin") or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _name_of(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


@cache
def _checkout() -> dict[str, Any] | None:
    """The `project` table of pyproject.toml where the program runs from a checkout: what is installed may be older."""
    path = Path(__file__).parents[1] / "pyproject.toml"
    if not path.is_file():
        return None
    project: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    return project if project.get("name") == PROGRAM else None
