"""The report of an evaluation: one HTML file that needs no other, and the same figures as JSON."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from handdgp_core.evaluation.plots import plot_by_range, plot_pck
from handdgp_core.evaluation.summary import without_nan
from handdgp_core.files import write_text

__all__ = ["write_report"]

HTML, JSON = "report.html", "report.json"
_ROWS = {
    "camera_space_mm": "joints, camera space (CS-MJE)",
    "vertices_camera_space_mm": "vertices, camera space (CS-MVE)",
    "root_mm": "root",
    "root_depth_mm": "depth of the root",
    "depth_mm": "depth, mean of the joints",
    "depth_bias_mm": "depth, signed (positive: too far)",
    "lateral_mm": "across the line of sight",
    "root_relative_mm": "joints, root-relative (MJE)",
    "vertices_root_relative_mm": "vertices, root-relative (MVE)",
    "procrustes_aligned_mm": "joints, Procrustes-aligned (PA-MPJPE)",
    "vertices_procrustes_aligned_mm": "vertices, Procrustes-aligned (PA-MPVPE)",
}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2230; max-width: 1180px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse }
th, td { padding: .25rem .9rem; text-align: right; border-bottom: 1px solid #e3e5ea }
th:first-child, td:first-child { text-align: left; padding-left: 0 } img, svg { max-width: 100%; height: auto }
figure { margin: 0 0 .8rem } figcaption, .note { color: #5c6475; font-size: .85rem }
"""


def write_report(
    folder: Path,
    about: Mapping[str, str],
    results: Mapping[str, dict[str, Any]],
    pictures: Sequence[tuple[str, NDArray[np.uint8]]] = (),
) -> Path:
    """Write report.html and report.json.

    Args:
        folder: made where it is missing.
        about: what was evaluated, shown as it is: data set, model and so on.
        results: figures of `summarise` by the name of the solve.
        pictures: title and (height, width, 3) uint8 RGB of qualitative figures.

    Returns:
        Path of the HTML file.

    Raises:
        OutputError: the folder cannot be written.
    """
    page = _page(about, results, pictures)
    content = json.dumps({**about, "positioning": without_nan(dict(results))}, indent=2, allow_nan=False) + "\n"
    write_text(folder / HTML, page)
    write_text(folder / JSON, content)
    return folder / HTML


def _page(
    about: Mapping[str, str], results: Mapping[str, dict[str, Any]], pictures: Sequence[tuple[str, NDArray[np.uint8]]]
) -> str:
    title = "Evaluation: " + ", ".join(about.values())
    parts = [f"<h1>{html.escape(title)}</h1>", _counts(results), _errors(results), _scores(results)]
    if any(result["camera_space_mm"]["count"] for result in results.values()):
        parts += _plots(results)
    if pictures:
        note = (
            "Image; projected mesh (blue) and keypoints, bright where their weight is high; the hand in camera space. "
        )
        parts.append(f"<h2>Examples</h2><p class='note'>{note}Blue is predicted, red is true; balls are roots.</p>")
        parts += [_figure(caption, picture) for caption, picture in pictures]
    body = "\n".join(parts)
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _counts(results: Mapping[str, dict[str, Any]]) -> str:
    lines = [
        f"{html.escape(method)} solve: {result['found']} of {result['hands']} hands found and placed"
        + (f"; joints left out: {result['joints_left_out']}" if result["joints_left_out"] else "")
        for method, result in results.items()
    ]
    return "<p>" + "<br>".join(lines) + ". Errors are over hands that were found and placed.</p>"


def _errors(results: Mapping[str, dict[str, Any]]) -> str:
    rows = []
    for key, name in _ROWS.items():
        if any(key in result for result in results.values()):
            rows.append([name, *(_three(result.get(key)) for result in results.values())])
    return "<h2>Errors, mm: mean / median / 90th percentile</h2>" + _table(["", *results], rows)


def _scores(results: Mapping[str, dict[str, Any]]) -> str:
    low, high = next(iter(results.values()))["pck"]["range_mm"]
    rows = [
        [
            f"PCK AUC {low:g}-{high:g} mm, {kind.replace('_', ' ')}",
            *(_number(r["pck"]["auc"][kind], 3) for r in results.values()),
        ]
        for kind in next(iter(results.values()))["pck"]["auc"]
    ]
    for kind in ("raw", "aligned"):
        for threshold in next(iter(results.values())).get("f_score", {}).get(kind, {}):
            values = (_number(result["f_score"][kind][threshold], 3) for result in results.values())
            rows.append([f"F-score at {threshold}, {kind}", *values])
    return "<h2>Scores</h2>" + _table(["", *results], rows)


def _plots(results: Mapping[str, dict[str, Any]]) -> list[str]:
    parts = ["<h2>PCK: part of joints within a distance</h2>", plot_pck(results)]
    for key, title, label in (
        ("camera_space_mm_by_distance", "By distance", "distance from the camera"),
        ("camera_space_mm_by_view", "By view", "angle between palm normal and line of sight (0 face-on, 90 edge-on)"),
    ):
        if any(result[key] for result in results.values()):
            parts += [f"<h2>{title}</h2>", plot_by_range(results, key, label)]
    return parts


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in header) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>" + "".join(lines) + "</table>"


def _three(spread: Mapping[str, float] | None) -> str:
    if not spread or not spread["count"]:
        return "-"
    return " / ".join(_number(spread[key], 1) for key in ("mean", "median", "percentile_90"))


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _figure(caption: str, picture: NDArray[np.uint8]) -> str:
    encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    data = base64.b64encode(encoded.tobytes()).decode()
    image = f"<img alt='' src='data:image/jpeg;base64,{data}'>"
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>"
