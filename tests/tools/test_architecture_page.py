"""docs/architecture.md lists every folder and module at the top of the packages, and nothing that is not there."""

from __future__ import annotations

import re

import pytest

from tests.places import ROOT

_ENTRY = re.compile(r"[\w./]+(?:/|\.py)")


def _listed(package: str) -> set[str]:
    """The names that begin the lines below `package/`, which are indented by two more."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    below = re.search(rf"^    {package}/ .*\n((?:      .*\n)+)", page, re.MULTILINE)
    assert below, f"{package}/ is not in the list"
    names: set[str] = set()
    for line in re.findall(r"^      (\S.*)$", below[1], re.MULTILINE):
        first, *more = line.split()
        names |= {first} | {word for word in more if first.endswith(".py") and word.endswith(".py")}
    return {name for name in names if _ENTRY.fullmatch(name)}


@pytest.mark.parametrize("package", ["app", "handdgp_core"])
def test_the_list_of_folders_is_what_is_there(package: str) -> None:
    folder = ROOT / package
    there = {f"{path.name}/" for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    there |= {path.name for path in folder.glob("*.py")} - ({"__init__.py"} if package == "app" else set())
    assert _listed(package) == there


def test_every_folder_at_the_top_is_listed() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for package in ("app", "calib", "handdgp_core", "tests", "tools", "examples", "assets", "configs"):
        assert re.search(rf"^    (?:\w+/ )*{package}/ ", page, re.MULTILINE), package
