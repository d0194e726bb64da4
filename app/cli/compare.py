"""`compare`: what two camera files differ by, in pixels and in where they put a hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from app.cli.options import DONE
from calib.difference import hand_shift, pixel_shift
from handdgp_core.geometry.camera import Camera

__all__ = ["hand_differences"]

_HAND_DISTANCES_M = (0.3, 0.6)


def hand_differences(before: Camera, now: Camera) -> list[str]:
    """Where `before` puts a hand instead, in sentences, one a distance."""
    return [_hand_difference(before, now, distance_m) for distance_m in _HAND_DISTANCES_M]


def _hand_difference(before: Camera, now: Camera, distance_m: float) -> str:
    shift = hand_shift(now, before, distance_m)
    text = (
        f"The camera compared with puts a hand at {100 * distance_m:.0f} cm elsewhere by {shift.mean_mm:.1f} mm in the "
        f"mean over the picture, {shift.largest_mm:.1f} mm at most."
    )
    return text + (
        f" One of them has no answer for {100 * shift.unknown:.0f} % of the picture." if shift.unknown else ""
    )


def _pixel_differences(one: Camera, other: Camera) -> list[str]:
    free, whole = pixel_shift(one, other), pixel_shift(one, other, turned=False)
    if not np.isfinite(free.distance_px).any():
        return ["There is no place in the picture for which both have an answer."]
    said = (
        f"What the first sees, the second sees {whole.rms_px:.2f} px away (rms over the picture, "
        f"{np.nanmax(whole.distance_px):.2f} px at most); but for a turn of the whole camera by "
        f"{np.rad2deg(np.linalg.norm(free.turn_rad)):.2f} degrees {free.rms_px:.2f} px "
        f"({np.nanmax(free.distance_px):.2f} px at most)."
    )
    focal = [100 * (b / a - 1) for a, b in zip(one.focal_px, other.scaled_to(*one.size).focal_px, strict=True)]
    return [f"The second has focal lengths that differ by {focal[0]:+.2f} and {focal[1]:+.2f} %.", said]


def command(
    one: Annotated[Path, typer.Argument(help="A camera file.")],
    other: Annotated[Path, typer.Argument(help="Another one, of the same camera.")],
    report: Annotated[Path | None, typer.Option("--report", help="HTML page with maps over the picture.")] = None,
) -> int:
    """Say what two camera files differ by."""
    from app.cli.console import console

    first, second = Camera.load(one), Camera.load(other)
    lines = [*_pixel_differences(first, second), *hand_differences(second, first)]
    if report is not None:
        from calib.report import write_comparison

        write_comparison(report, f"{one.name} against {other.name}", first, second, lines, _HAND_DISTANCES_M)
        lines.append(f"Wrote {report}.")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    return DONE
