"""The report of a calibration, or of two compared: one HTML file that needs no other."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calib.board_shape import BEND_NAMES
from calib.difference import hand_shift, pixel_shift
from calib.plots import plot_coverage, plot_difference, plot_hand_shift, plot_residuals, plot_uncertainty, plot_views
from calib.quality import Verdict, tilts_rad
from calib.report_images import ViewImage, images_html
from calib.solve import Solution
from handdgp_core.files import write_text
from handdgp_core.geometry.camera import Camera

__all__ = ["write_comparison", "write_report"]

_PINHOLE = ("fx, px", "fy, px", "cx, px", "cy, px")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2230; max-width: 1000px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse }
th, td { padding: .25rem .9rem; text-align: right; border-bottom: 1px solid #e3e5ea }
th:first-child, td:first-child { text-align: left; padding-left: 0 } svg { max-width: 100%; height: auto }
figure { display: inline-block; margin: 0 .6rem 1rem 0 } figcaption { color: #5c6475; font-size: .85rem }
.excellent, .good, .fair { color: #1f7a3a } .rough { color: #8a5a00 }
.refused { color: #b3261e } .note { color: #5c6475; font-size: .85rem }
"""
_PICTURES = (
    "<h2>Views, the worst first</h2><p class='note'>Lines lead from a corner to its projection, 20 times as long "
    "as they are. Red rings mark corners that are far off; point at one to see whether it was left out.</p>"
)


def write_report(
    path: Path,
    title: str,
    solution: Solution,
    verdict: Verdict,
    remarks: Sequence[str] = (),
    pictures: Sequence[ViewImage] = (),
) -> None:
    """Write the report, whole or not at all.

    Args:
        path: of the HTML file.
        title: what was calibrated.
        solution, verdict: what is reported.
        remarks: sentences of the caller, such as which images were skipped.
        pictures: of the views, to show with their corners.

    Raises:
        OutputError: the place cannot be written.
    """
    write_text(path, _page(title, solution, verdict, remarks, images_html(solution, pictures)))


def _page(title: str, solution: Solution, verdict: Verdict, remarks: Sequence[str], pictures: str) -> str:
    lines = [*verdict.reasons[1:], *([f"What to do: {verdict.advice}."] if verdict.advice else [])]
    lines += [*verdict.notes, *remarks]
    body = [
        f"<h1>Calibration of {html.escape(title)}</h1>",
        f"<p class='{verdict.grade}'><b>{html.escape(verdict.headline)}.</b></p>",
        *(f"<p>{html.escape(line)}</p>" for line in lines),
        "<h2>Parameters</h2>",
        _parameters(solution),
        "<p class='note'>± is two standard deviations. The board's own shape is estimated with the camera.</p>",
        "<h2>Reprojection error of each view</h2>",
        plot_views(solution, verdict.outliers),
        _views(solution, verdict),
        "<h2>Residuals of all corners</h2>",
        plot_residuals(solution),
        "<h2>Where corners were seen</h2>",
        plot_coverage(solution),
        "<h2>Uncertainty over the picture</h2>",
        "<p class='note'>One standard deviation of where a point appears; without a turn of the whole camera.</p>",
        plot_uncertainty(solution),
        *([_PICTURES, pictures] if pictures else []),
    ]
    return _html(f"Calibration of {title}", body)


def write_comparison(
    path: Path, title: str, one: Camera, other: Camera, lines: Sequence[str], distances_m: Sequence[float]
) -> None:
    """Write a page about what two cameras differ by, whole or not at all.

    Args:
        path: of the HTML file.
        title: which two they are.
        one, other: the cameras.
        lines: what is said of them in words.
        distances_m: of a hand, for which a map is drawn.

    Raises:
        OutputError: the place cannot be written.
    """
    hands = "".join(plot_hand_shift(hand_shift(one, other, distance), one.size) for distance in distances_m)
    body = [
        f"<h1>{html.escape(title)}</h1>",
        *(f"<p>{html.escape(line)}</p>" for line in lines),
        "<h2>Where the second sees what the first sees, a turn of the camera taken out</h2>",
        plot_difference(pixel_shift(one, other), one.size),
        "<h2>The same with the turn</h2>",
        plot_difference(pixel_shift(one, other, turned=False), one.size),
        "<h2>How far apart they put a hand</h2>",
        hands,
        "<p class='note'>White: one of the lenses has no answer there.</p>",
    ]
    write_text(path, _html(title, body))


def _html(title: str, body: Sequence[str]) -> str:
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _parameters(solution: Solution) -> str:
    std = np.sqrt(np.diag(solution.covariance))
    names = (*_PINHOLE, *solution.lens.coefficients)
    digits_of = [2] * 4 + [5 if name in ("p1", "p2") else 4 for name in solution.lens.coefficients]
    rows = [
        (name, f"{value:.{digits}f}", f"± {2 * spread:.{digits}f}")
        for name, value, spread, digits in zip(names, solution.shared, std, digits_of, strict=False)
    ]
    for name, value, spread in zip(BEND_NAMES, 1e3 * solution.shape_m, 1e3 * solution.shape_std_m, strict=True):
        rows.append((f"board: {name}, mm", f"{value:.2f}", f"± {2 * spread:.2f}"))
    stretch = f"{100 * solution.stretch:.2f}", f"± {200 * solution.stretch_std:.2f}"
    rows.append(("board: stretch along the columns, %", *stretch))
    rows.append(("lens model", solution.lens.name, ""))
    rows.append(("picture, px", f"{solution.camera.width} x {solution.camera.height}", ""))
    rows.append(("board", solution.board.spec, ""))
    rows.append(("rms of all corners, px", f"{solution.rms_px:.3f}", ""))
    rows.append(("noise of a corner, px per axis", f"{solution.noise_px:.3f}", ""))
    return _table(("parameter", "value", ""), rows)


def _views(solution: Solution, verdict: Verdict) -> str:
    rows = []
    for index, (view, rms, tilt) in enumerate(
        zip(solution.views, solution.view_rms_px, np.rad2deg(tilts_rad(solution)), strict=True)
    ):
        mark = "does not fit" if index in verdict.outliers else ""
        distance = 1e3 * float(np.linalg.norm(solution.poses[index, 3:]))
        rows.append((f"{index + 1}. {view.name}", str(len(view)), f"{rms:.3f}", f"{tilt:.0f}", f"{distance:.0f}", mark))
    return _table(("view", "corners", "rms, px", "tilt, degrees", "distance, mm", ""), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in header) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>" + "".join(lines) + "</table>"
