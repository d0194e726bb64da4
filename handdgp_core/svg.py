"""Plots as SVG text, by matplotlib without any window: what the reports of calibration and evaluation share."""

from __future__ import annotations

import io

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

__all__ = ["svg_text", "tidy_axes"]


def tidy_axes(place: Axes) -> None:
    """Horizontal grid lines behind the data, and no frame at the top and on the right."""
    place.spines[["top", "right"]].set_visible(False)
    place.grid(axis="y", color="#e3e5ea", linewidth=0.8)
    place.set_axisbelow(True)


def svg_text(figure: Figure) -> str:
    """The SVG element of a figure; the same figure always gives the same text."""
    text = io.StringIO()
    # Without date and random ids.
    with matplotlib.rc_context({"svg.hashsalt": "report", "svg.fonttype": "path", "font.size": 9}):
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]
