"""The table of `evaluate`: how well the hands of every root are placed, and the mean over roots."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Column, Table

from handdgp_core.evaluation.accuracy import mean_over_roots

__all__ = ["show_accuracy"]

_WIDTH = 170
_SPLIT = ("size", "distance", "turn", "direction")
_COUNTS = ("found", "degen-\nerate", "extra", "side\nright %")
_ERRORS = (
    "error\nall joints",
    "distance, %\nrms (bias)",
    "aligned\n",
    *(f"right\n{name}" for name in _SPLIT),
    "1 sigma\nholds %",
    "2 sigma\nholds %",
)


def show_accuracy(rows: Mapping[str, Mapping[str, Any]], excluded: Sequence[int]) -> None:
    """Print a row for every root, and the mean over them where there are several.

    Args:
        rows: figures of `accuracy` by the name of the root.
        excluded: joints that the errors leave out.
    """
    without = f"without {', '.join(map(str, excluded))}" if excluded else "all joints"
    table = Table(
        Column("root", overflow="fold"),
        *(Column(header, justify="right", no_wrap=True) for header in (*_COUNTS, f"error\n{without}", *_ERRORS)),
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    for name, row in rows.items():
        table.add_row(name, *_cells(row))
    if len(rows) > 1:
        table.add_section()
        table.add_row("mean over roots", *_cells(mean_over_roots(list(rows.values()))), style="bold")
    console = Console(width=_WIDTH)
    console.print(
        'Errors in mm (mean / median / 90 %) of placed hands; "right size": mean error if the size were right',
        table,
    )
    empty = [name for name, row in rows.items() if not row["placed"]]
    if empty and len(rows) > 1:
        console.print(f"No hand was placed in {', '.join(empty)}: the mean holds only the other roots' errors.")


def _cells(row: Mapping[str, Any]) -> list[str]:
    rms, bias = _percent(row["distance_rms"]), _percent(row["distance_bias"], sign=True)
    return [
        f"{row['found']}/{row['labelled']}",
        str(row["degenerate"]),
        str(row["extra"]),
        _percent(row["right_side"]),
        _three(row["error_mm"]),
        _three(row["error_all_joints_mm"]),
        f"{rms} ({bias})",
        _mm(row["aligned_mm"]),
        *(_mm(row["error_if_mm"][name]) for name in _SPLIT),
        _percent(row["within_1_sigma"], digits=0),
        _percent(row["within_2_sigma"], digits=0),
    ]


def _three(spread: Mapping[str, float]) -> str:
    return " / ".join(_mm(spread[key]) for key in ("mean", "median", "percentile_90"))


def _mm(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "-"


def _percent(part: float, digits: int = 1, sign: bool = False) -> str:
    return f"{100 * part:{'+' if sign else ''}.{digits}f}" if math.isfinite(part) else "-"
