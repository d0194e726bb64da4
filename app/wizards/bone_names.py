"""Bones as a person reads them. No Qt."""

from __future__ import annotations

__all__ = ["title_of_bone"]


def title_of_bone(bone: str) -> str:
    """ "index_proximal" as a person reads it: "Index finger, proximal bone"."""
    finger, _, part = bone.partition("_")
    if part:
        return f"{finger.capitalize()} finger, {part} bone" if finger != "thumb" else f"Thumb, {part} bone"
    return "Palm: wrist crease to middle knuckle" if bone == "palm" else f"{finger.capitalize()} finger, whole"
