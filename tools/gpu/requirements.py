"""What the program's commands without a window need, and training, all but PyTorch: `name==version`, one a line.

Versions are those that are installed here, with which the tests ran.

python tools/gpu/requirements.py 3.12    the Python of the machine that they are for
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"
_OF_THE_WINDOW = ("open3d", "pyqt6", "pyqtgraph", "qtawesome", "pygltflib", "cv2-enumerate-cameras")
_TESTS = ("pytest", "pytest-timeout", "hypothesis")
_TORCH = "torch"  # and what it brings


def wanted() -> list[str]:
    """Of the program, of its extra `train`, and to run tests."""
    table = tomllib.loads(_PROJECT.read_text())["project"]
    extras = table["optional-dependencies"]
    return table["dependencies"] + extras["train"] + [line for line in extras["test"] if line.split(">")[0] in _TESTS]


def closure(lines: list[str], python: str) -> dict[str, str]:
    """Versions by name of what these lines need on Linux, directly or not."""
    here = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    todo, versions = [Requirement(line) for line in lines], dict[str, str]()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate(here)
        if not applies or name in versions or name in _OF_THE_WINDOW or name == _TORCH:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:  # of another Python than this: the newest will do
            versions[name] = ""
            continue
        versions[name] = found.version
        todo += [Requirement(line) for line in found.requires or ()]
    return versions


if __name__ == "__main__":
    for name, version in sorted(closure(wanted(), sys.argv[1]).items()):
        print(f"{name}=={version}" if version else name)
