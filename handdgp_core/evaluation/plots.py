"""Plots of a report, by matplotlib without any window, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from handdgp_core.svg import svg_text, tidy_axes

__all__ = ["plot_by_range", "plot_pck"]

_COLOURS = ("#3b7dd8", "#e08a1e", "#3a9d5d", "#b14ac2")
_TITLES = {
    "camera_space": "camera space",
    "root_relative": "root-relative",
    "procrustes_aligned": "Procrustes-aligned",
}


def plot_pck(results: Mapping[str, dict[str, Any]]) -> str:
    """PCK curves of every solve, one plot for each kind of alignment, as SVG text.

    Args:
        results: figures of `summarise` by the name of the solve.
    """
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    for place, (kind, title) in zip(figure.subplots(1, len(_TITLES), sharey=True), _TITLES.items(), strict=True):
        for colour, (method, result) in zip(_COLOURS, results.items(), strict=False):
            pck = result["pck"]
            label = f"{method} (AUC {pck['auc'][kind]:.3f})"
            place.plot(pck["thresholds_mm"], pck["curves"][kind], color=colour, label=label, linewidth=1.8)
        low, high = next(iter(results.values()))["pck"]["range_mm"]
        place.set(title=title, xlabel="threshold, mm", xlim=(low, high), ylim=(0, 1.01))
        place.legend(loc="lower right", fontsize=8, frameon=False)
        tidy_axes(place)
    figure.axes[0].set_ylabel("part of joints within")
    return svg_text(figure)


def plot_by_range(results: Mapping[str, dict[str, Any]], key: str, label: str) -> str:
    """Mean camera-space error in each range of something, bars side by side for every solve, as SVG text.

    Args:
        results: figures of `summarise` by the name of the solve.
        key: such as "camera_space_mm_by_distance".
        label: of the horizontal axis.
    """
    names = list(dict.fromkeys(name for result in results.values() for name in result[key]))
    figure = Figure(figsize=(max(4.5, 1.1 * len(names) + 2), 3.2), layout="constrained")
    place = figure.subplots()
    width = 0.8 / max(1, len(results))
    for number, (colour, (method, result)) in enumerate(zip(_COLOURS, results.items(), strict=False)):
        values = [result[key].get(name, {}).get("mean", np.nan) for name in names]
        offset = (number - 0.5 * (len(results) - 1)) * width
        place.bar(np.arange(len(names)) + offset, values, width, color=colour, label=method)
    counts = [next(r[key][name]["count"] for r in results.values() if name in r[key]) for name in names]
    place.set_xticks(
        np.arange(len(names)), [f"{name}\n{count} hands" for name, count in zip(names, counts, strict=True)]
    )
    place.set(xlabel=label, ylabel="CS-MJE, mm")
    place.legend(fontsize=8, frameon=False)
    tidy_axes(place)
    return svg_text(figure)
