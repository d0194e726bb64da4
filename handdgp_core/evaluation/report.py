"""The report of an evaluation: one HTML file that needs no other, and the same figures as JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
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
_TEMPLATE = "report.html.jinja"


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
        results: figures of `summarise` by the name of the solve or of the root.
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
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, undefined=StrictUndefined
    )
    measured = any(result["camera_space_mm"]["count"] for result in results.values())
    return templates.get_template(_TEMPLATE).render(
        title="Evaluation: " + ", ".join(about.values()),
        results=results,
        tables={"Errors, mm: mean / median / 90th percentile": _errors(results), "Scores": _scores(results)},
        plots=_plots(results) if measured else {},
        pictures=[(caption, _jpeg(picture)) for caption, picture in pictures],
    )


def _errors(results: Mapping[str, dict[str, Any]]) -> list[list[str]]:
    return [
        [name, *(_three(result.get(key)) for result in results.values())]
        for key, name in _ROWS.items()
        if any(key in result for result in results.values())
    ]


def _scores(results: Mapping[str, dict[str, Any]]) -> list[list[str]]:
    first = next(iter(results.values()))
    low, high = first["pck"]["range_mm"]
    rows = [
        [
            f"PCK AUC {low:g}-{high:g} mm, {kind.replace('_', ' ')}",
            *(_number(result["pck"]["auc"][kind], 3) for result in results.values()),
        ]
        for kind in first["pck"]["auc"]
    ]
    for kind in ("raw", "aligned"):
        for threshold in first.get("f_score", {}).get(kind, {}):
            values = (_number(result["f_score"][kind][threshold], 3) for result in results.values())
            rows.append([f"F-score at {threshold}, {kind}", *values])
    return rows


def _plots(results: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    plots = {"PCK: part of joints within a distance": plot_pck(results)}
    for key, title, label in (
        ("camera_space_mm_by_distance", "By distance", "distance from the camera"),
        ("camera_space_mm_by_view", "By view", "angle between palm normal and line of sight (0 face-on, 90 edge-on)"),
    ):
        if any(result[key] for result in results.values()):
            plots[title] = plot_by_range(results, key, label)
    return plots


def _three(spread: Mapping[str, float] | None) -> str:
    if not spread or not spread["count"]:
        return "-"
    return " / ".join(_number(spread[key], 1) for key in ("mean", "median", "percentile_90"))


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _jpeg(picture: NDArray[np.uint8]) -> str:
    """The picture as base64."""
    encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    return base64.b64encode(encoded.tobytes()).decode()
