"""Robot hands as URDF, with the links that dex-retargeting looks for and plain numbers for their sizes."""

from __future__ import annotations

from pathlib import Path

SPREAD_M = 0.045  # from knuckle to knuckle
PHALANGES_M = (0.055, 0.04, 0.03)


def _link(name: str) -> str:
    mass = (
        '<inertial><mass value="0.01"/><inertia ixx="1e-6" ixy="0" ixz="0" iyy="1e-6" iyz="0" izz="1e-6"/></inertial>'
    )
    return f'<link name="{name}">{mass}</link>'


def _joint(name: str, parent: str, child: str, place: tuple, turn: tuple = (0, 0, 0), axis: tuple | None = None) -> str:
    kind = "fixed" if axis is None else "revolute"
    moves = "" if axis is None else f'<axis xyz="{_text(axis)}"/>' + _LIMITS[axis]
    origin = f'<origin xyz="{_text(place)}" rpy="{_text(turn)}"/>'
    parts = f'<parent link="{parent}"/><child link="{child}"/>{origin}{moves}'
    return f'<joint name="{name}" type="{kind}">{parts}</joint>'


def _text(values: tuple) -> str:
    return " ".join(f"{value:g}" for value in values)


_LIMITS = {
    (0, 0, 1): '<limit effort="1" velocity="1" lower="-0.5" upper="0.5"/>',
    (0, 1, 0): '<limit effort="1" velocity="1" lower="-0.2" upper="1.7"/>',
}


def _finger(root: str, links: list[str], joints: list[str], place: tuple, turn: tuple = (0, 0, 0)) -> str:
    """A spreading joint, three bending ones, and a tip. Fingers point along z and bend about y, palm towards +x."""
    text, parent = "", root
    steps = [place, (0, 0, 0), (0, 0, PHALANGES_M[0]), (0, 0, PHALANGES_M[1]), (0, 0, PHALANGES_M[2])]
    for number, (link, step) in enumerate(zip(links, steps, strict=True)):
        axis = None if number == 4 else (0, 0, 1) if number == 0 else (0, 1, 0)
        name = f"{link}_fixed" if axis is None else joints[number]
        text += _link(link) + _joint(name, parent, link, step, turn if number == 0 else (0, 0, 0), axis)
        parent = link
    return text


def write_allegro(folder: Path, side: str = "right") -> None:
    """Four fingers: index, middle, ring, thumb."""
    across = 1.0 if side == "right" else -1.0  # the thumb's side; the fingers are numbered along y of either hand
    text = _link("base_link") + _link("wrist") + _joint("wrist_joint", "base_link", "wrist", (0, 0, -0.095))
    for finger in range(4):
        numbers = [4 * finger + number for number in range(4)]
        links = [*(f"link_{number}.0" for number in numbers), f"link_{numbers[-1]}.0_tip"]
        joints = [f"joint_{number}.0" for number in numbers]
        place = (0, SPREAD_M * (1 - finger), 0) if finger < 3 else (0.01, across * 0.03, -0.06)
        text += _finger("base_link", links, joints, place, (across * -0.9, 0, 0) if finger == 3 else (0, 0, 0))
    _write(folder / "allegro_hand" / f"allegro_hand_{side}.urdf", text)


def write_shadow(folder: Path, side: str = "right") -> None:
    """Five fingers."""
    across = 1.0 if side == "right" else -1.0
    text = _link("palm")
    for place, finger in enumerate(("th", "ff", "mf", "rf", "lf")):
        links = [f"{finger}{part}" for part in ("knuckle", "proximal", "middle", "distal", "tip")]
        joints = [f"{finger.upper()}J{number}" for number in (4, 3, 2, 1)]
        at = (0.01, across * 0.03, 0.02) if finger == "th" else (0, across * 0.022 * (2.5 - place), 0.09)
        text += _finger("palm", links, joints, at, (across * -0.9, 0, 0) if finger == "th" else (0, 0, 0))
    _write(folder / "shadow_hand" / f"shadow_hand_{side}.urdf", text)


def _write(path: Path, links: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'<?xml version="1.0"?><robot name="hand">{links}</robot>')
