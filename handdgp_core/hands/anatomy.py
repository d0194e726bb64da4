"""Bones and degrees of freedom of the open hand: which joints bend, about what, and how far.

Ranges of motion are the textbook values for healthy adults (AAOS, "The Clinical Measurement of Joint Motion", 1994;
Kapandji, "The Physiology of the Joints", vol. 1), rounded to 5 degrees. They are anatomical angles: 0 is a straight
finger in line with the palm. The natural mean and standard deviation describe hands in everyday use, from a fist to a
spread hand; they are deliberately wide and only serve as a weak prior of a fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handdgp_core.hands.keypoints import FINGERS, WRIST

Motion = Literal["flexion", "abduction", "twist"]


@dataclass(frozen=True)
class Bone:
    """A bone of the hand: its name, its parent, the joints at both ends and the Anny bones that make it up.

    `head` and `tail` are keypoint numbers. `head` is None where no keypoint marks the joint (base of a metacarpal).
    """

    name: str
    parent: int
    head: int | None
    tail: int
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Dof:
    """One rotation of one bone, in anatomical degrees. `relative` limits count from the rest pose instead."""

    bone: str
    motion: Motion
    low_deg: float
    high_deg: float
    mean_deg: float
    sd_deg: float
    relative: bool = False

    @property
    def name(self) -> str:
        """For example "index MCP flexion"."""
        return f"{JOINT_OF_BONE[self.bone]} {self.motion}"


PALM = "palm"
_JOINTS = {"thumb": ("CMC", "MCP", "IP"), **{finger: ("MCP", "PIP", "DIP") for finger in FINGERS if finger != "thumb"}}
_PHALANGES = ("proximal", "middle", "distal")
_THUMB_BONES = ("metacarpal", "proximal", "distal")
JOINT_OF_BONE: dict[str, str] = {
    "ring metacarpal": "ring CMC",
    "little metacarpal": "little CMC",
    **{
        f"{finger} {bone}": f"{finger} {joint}"
        for finger, joints in _JOINTS.items()
        for bone, joint in zip(_THUMB_BONES if finger == "thumb" else _PHALANGES, joints, strict=True)
    },
}


def _make_bones() -> tuple[Bone, ...]:
    bones = [
        Bone(PALM, -1, WRIST, FINGERS["middle"][0], ("root", "wrist.R", "metacarpal1.R", "metacarpal2.R")),
        Bone("ring metacarpal", 0, None, FINGERS["ring"][0], ("metacarpal3.R",)),
        Bone("little metacarpal", 0, None, FINGERS["little"][0], ("metacarpal4.R",)),
    ]
    base = {"ring": 1, "little": 2}
    for number, (finger, keypoints) in enumerate(FINGERS.items(), start=1):
        parent = base.get(finger, 0)
        for part in range(3):
            name = f"{finger} {(_THUMB_BONES if finger == 'thumb' else _PHALANGES)[part]}"
            bones.append(Bone(name, parent, keypoints[part], keypoints[part + 1], (f"finger{number}-{part + 1}.R",)))
            parent = len(bones) - 1
    return tuple(bones)


def _make_dofs() -> tuple[Dof, ...]:
    dofs = [
        Dof("ring metacarpal", "flexion", 0, 10, 2, 3, relative=True),
        Dof("little metacarpal", "flexion", 0, 20, 4, 5, relative=True),
        # The relaxed thumb is the zero of its saddle joint: clinics do not agree on another one.
        Dof("thumb metacarpal", "flexion", -25, 40, 3, 14, relative=True),
        Dof("thumb metacarpal", "abduction", -30, 30, 0, 13, relative=True),
        Dof("thumb metacarpal", "twist", -15, 35, 3, 10, relative=True),
        Dof("thumb proximal", "flexion", -10, 55, 15, 18),
        Dof("thumb proximal", "abduction", -10, 10, 0, 5, relative=True),
        Dof("thumb distal", "flexion", -15, 80, 20, 22),
    ]
    spread = {"index": (-15, 20, 4), "middle": (-15, 15, 1), "ring": (-15, 20, 6), "little": (-15, 30, 13)}
    for finger, (low, high, mean) in spread.items():
        dofs += [
            Dof(f"{finger} proximal", "flexion", -25, 90, 25, 28),
            Dof(f"{finger} proximal", "abduction", low, high, mean, 7),
            Dof(f"{finger} middle", "flexion", -5, 110, 35, 30),
            Dof(f"{finger} distal", "flexion", -10, 80, 20, 18),
        ]
    return tuple(dofs)


BONES = _make_bones()
DOFS = _make_dofs()
