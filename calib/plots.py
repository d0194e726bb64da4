"""Plots of a calibration, by matplotlib without any window, as SVG."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calib.difference import HandShift, PixelShift
from calib.solve import Solution
from calib.uncertainty import UncertaintyMap
from handdgp_core.svg import svg_text, tidy_axes

__all__ = ["plot_coverage", "plot_difference", "plot_hand_shift", "plot_residuals", "plot_uncertainty", "plot_views"]

_BLUE, _ORANGE = "#3b7dd8", "#e08a1e"


def plot_views(solution: Solution, outliers: tuple[int, ...]) -> str:
    """The rms of every view as bars, as SVG text; views that do not fit the others stand out."""
    rms = solution.view_rms_px
    figure = Figure(figsize=(max(5.0, 0.32 * len(rms) + 2), 2.8), layout="constrained")
    place = figure.subplots()
    colours = [_ORANGE if index in outliers else _BLUE for index in range(len(rms))]
    place.bar(np.arange(1, len(rms) + 1), rms, color=colours)
    place.axhline(solution.rms_px, color="#5c6475", linewidth=0.8)
    place.set(xlabel="view", ylabel="rms, px", xlim=(0.3, len(rms) + 0.7))
    tidy_axes(place)
    return svg_text(figure)


def plot_residuals(solution: Solution) -> str:
    """Where projected corners fall beside the seen ones, and their size by distance from the middle, as SVG text."""
    every = np.concatenate(solution.residuals_px)
    corners = np.concatenate([view.corners_px for view in solution.views])
    radius = np.linalg.norm(corners - solution.camera.matrix[:2, 2], axis=1)
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.scatter(every[:, 0], every[:, 1], s=4, color=_BLUE, alpha=0.5, linewidths=0)
    limit = max(0.2, float(np.percentile(np.abs(every), 99.5)) * 1.3)
    left.set(xlabel="right, px", ylabel="down, px", xlim=(-limit, limit), ylim=(limit, -limit), aspect="equal")
    right.scatter(radius, np.linalg.norm(every, axis=1), s=4, color=_BLUE, alpha=0.5, linewidths=0)
    right.set(xlabel="distance from the principal point, px", ylabel="residual, px", ylim=(0, None))
    for place in (left, right):
        tidy_axes(place)
    return svg_text(figure)


def plot_coverage(solution: Solution) -> str:
    """Every corner that was seen, in the picture, as SVG text."""
    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    place = figure.subplots()
    for view in solution.views:
        place.scatter(view.corners_px[:, 0], view.corners_px[:, 1], s=5, alpha=0.7, linewidths=0)
    _image_axes(place, solution.camera.size)
    return svg_text(figure)


def plot_uncertainty(solution: Solution) -> str:
    """Standard deviation of the projection over the picture, as SVG text."""
    std = UncertaintyMap(solution.camera).std_px(solution.covariance)
    width, height = solution.camera.size
    figure = Figure(figsize=(5.8, 3.2), layout="constrained")
    place = figure.subplots()
    top = max(0.3, float(np.nanmax(std)))
    shown = place.imshow(std, extent=(-0.5, width - 0.5, height - 0.5, -0.5), cmap="viridis", vmin=0, vmax=top)
    figure.colorbar(shown, ax=place, label="px")
    _image_axes(place, solution.camera.size)
    return svg_text(figure)


def plot_difference(shift: PixelShift, size: tuple[int, int]) -> str:
    """How far apart two cameras see the same, in pixels over the picture of one, with arrows, as SVG text."""
    width, height = size
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    place = figure.subplots()
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    top = max(0.1, float(np.nanpercentile(shift.distance_px, 98)))
    shown = place.imshow(shift.distance_px, extent=extent, cmap="viridis", vmin=0, vmax=top)
    figure.colorbar(shown, ax=place, label="px")
    rows, columns = shift.distance_px.shape
    u = (np.arange(columns) + 0.5) * width / columns - 0.5
    v = (np.arange(rows) + 0.5) * height / rows - 0.5
    every = (slice(1, None, 3), slice(1, None, 3))
    place.quiver(
        *np.meshgrid(u[1::3], v[1::3]),
        *np.moveaxis(shift.shift_px[every], -1, 0),
        color="white",
        angles="xy",
        width=2e-3,
    )
    _image_axes(place, size)
    return svg_text(figure)


def plot_hand_shift(shift: HandShift, size: tuple[int, int]) -> str:
    """How far apart two cameras put a hand, in millimetres over the picture, as SVG text."""
    width, height = size
    figure = Figure(figsize=(5.2, 3.0), layout="constrained")
    place = figure.subplots()
    shown = place.imshow(shift.map_mm, extent=(-0.5, width - 0.5, height - 0.5, -0.5), cmap="viridis", vmin=0)
    figure.colorbar(shown, ax=place, label=f"mm at {100 * shift.distance_m:.0f} cm")
    _image_axes(place, size)
    return svg_text(figure)


def _image_axes(place: Axes, size: tuple[int, int]) -> None:
    width, height = size
    place.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal", xlabel="u, px", ylabel="v, px")
