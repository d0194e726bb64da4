"""The views of a calibration as the report shows them: each picture with its corners, and those that do not fit."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.solve import Solution
from calib.view_fit import ViewFit, view_fit
from calib.views import View
from handdgp_core.arrays import Array

__all__ = ["ViewImage", "images_html", "view_image"]

_WIDTH = 640  # of a picture in the report, at most
_JPEG_QUALITY = 80
_ARROW = 20.0  # residuals are drawn so many times as long
_GOOD, _BAD = "#3b7dd8", "#e0261e"


@dataclass(frozen=True)
class ViewImage:
    """A picture of the board, small, with every corner that was found in it.

    Attributes:
        view: as it was found, in pixels of the whole picture.
        jpeg: the picture as a grey JPEG file.
    """

    view: View
    jpeg: bytes


def view_image(grey: NDArray[np.uint8], view: View) -> ViewImage:
    """The picture (height, width) of a view, made small."""
    scale = min(1.0, _WIDTH / grey.shape[1])
    size = (round(grey.shape[1] * scale), max(1, round(grey.shape[0] * scale)))
    small = grey if scale == 1.0 else cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return ViewImage(view, cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes())


def images_html(solution: Solution, pictures: Sequence[ViewImage]) -> str:
    """One figure for each view whose picture is there, the worst first; pictures are found by the name of the view."""
    by_name = {picture.view.name: picture for picture in pictures}
    worst_first = np.argsort(-solution.view_rms_px)
    return "".join(
        _figure(solution, int(index), by_name[solution.views[index].name])
        for index in worst_first
        if solution.views[index].name in by_name
    )


def _figure(solution: Solution, index: int, picture: ViewImage) -> str:
    width, height = picture.view.size
    fit = view_fit(solution, index, picture.view)
    data = base64.b64encode(picture.jpeg).decode("ascii")
    title = f"{index + 1}. {picture.view.name}: {solution.view_rms_px[index]:.3f} px"
    title += f", left-out corners: {len(fit.left_out)}" if len(fit.left_out) else ""
    drawn = "".join(_marks(fit))
    # SVG puts the corner of a pixel at whole numbers, this project its middle.
    return (
        f"<figure><svg viewBox='0 0 {width} {height}' width='{min(width, _WIDTH)}'>"
        f"<image href='data:image/jpeg;base64,{data}' width='{width}' height='{height}'/>"
        f"<g transform='translate(0.5 0.5)'>{drawn}</g></svg><figcaption>{html.escape(title)}</figcaption></figure>"
    )


def _marks(fit: ViewFit) -> Iterator[str]:
    view, unit = fit.view, fit.view.size[0] / _WIDTH
    ends = view.corners_px + _ARROW * fit.off_px
    lines = "".join(_line(start, end) for start, end in zip(view.corners_px, ends, strict=True))
    yield f"<path d='{lines}' stroke='{_GOOD}' stroke-width='{1.2 * unit:.2f}' fill='none'/>"
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in view.corners_px)
    yield f"<path d='{dots}' stroke='{_GOOD}' stroke-width='{4 * unit:.2f}' stroke-linecap='round'/>"
    far = fit.far
    for corner, (x, y), (right, down) in zip(view.ids[far], view.corners_px[far], fit.off_px[far], strict=True):
        yield _ring(x, y, unit, f"corner {corner}: {float(np.hypot(right, down)):.2f} px off, used")
    for corner, (x, y) in zip(fit.left_out, fit.left_out_px, strict=True):
        yield _ring(x, y, unit, f"corner {corner}: does not fit, left out")


def _line(start: Array, end: Array) -> str:
    return f"M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}"


def _ring(x: float, y: float, unit: float, title: str) -> str:
    return (
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{7 * unit:.1f}' fill='none' stroke='{_BAD}' "
        f"stroke-width='{2 * unit:.1f}'><title>{html.escape(title)}</title></circle>"
    )
