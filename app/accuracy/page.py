"""The card as a page: rows for the terminal, and the same rows as one HTML file to print."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.accuracy.checker import FEWEST_PLACES, Card
from app.accuracy.touch import CORNER_NAMES
from app.notices import count_of
from handdgp_core.files import write_text
from handdgp_core.geometry.camera import Camera

__all__ = ["About", "page", "rows", "title", "verdict", "write_page"]

_TEMPLATE = "card.html.jinja"


@dataclass(frozen=True)
class About:
    """What was checked.

    Attributes:
        date: as shown.
        program: name and version.
        source: of the frames.
        camera: that was used.
        model: that estimated.
        hand_length_m, hand_length_std: that were used; None for a mean adult's.
        board: its text form, with the sizes as printed.
    """

    date: str
    program: str
    source: str
    camera: Camera
    model: str
    hand_length_m: float | None
    hand_length_std: float
    board: str


def verdict(card: Card) -> str:
    """The card in one sentence."""
    way = "too far" if card.mean_mm > 0 else "too near"
    return (
        f"Distances are off by {card.rms_mm:.0f} mm ({card.rms_percent:.1f} %) rms, on average "
        f"{abs(card.mean_mm):.0f} mm ({abs(card.mean_percent):.1f} %) {way}."
    )


def title(card: Card) -> str:
    """What was compared, in a few words."""
    return "A hand flat on the board" if card.touches is None else "A fingertip on its corners"


def rows(about: About, card: Card) -> list[tuple[str, str]]:
    """What the terminal shows, line by line: name and value."""
    return [*_figures(card), *_conditions(about)]


def _figures(card: Card) -> list[tuple[str, str]]:
    """What was found, line by line."""
    near, far = card.distance_m
    few = "" if card.places >= FEWEST_PLACES else "; too few to say much about hands elsewhere"
    rejected = "; ".join(f"{count}: {reason.value}" for reason, count in card.rejected.items()) or "none"
    return [
        ("Error of distance, mean", f"{card.mean_mm:+.1f} mm, {card.mean_percent:+.1f} % (positive: too far)"),
        ("Error of distance, rms", f"{card.rms_mm:.1f} mm, {card.rms_percent:.1f} %"),
        ("Stated ± (one standard deviation)", _stated(card)),
        ("Across the line of sight", f"{card.across_mm:.1f} mm {_against(card)}"),
        ("Distances checked", f"{100 * near:.0f} to {100 * far:.0f} cm"),
        ("Compared", _compared(card)),
        ("Frames used", f"{card.frames}, {card.hands} hand, in {count_of(card.places, 'place')}{few}"),
        ("Frames not used", rejected),
        ("Calibration", _calibration(card)),
    ]


def _conditions(about: About) -> list[tuple[str, str]]:
    """What it holds for, line by line."""
    return [
        ("Camera", _camera(about.camera)),
        ("Hand length", _hand_length(about)),
        ("Model", about.model),
        ("Board", about.board),
        ("Source", about.source),
        ("Date", f"{about.date}, {about.program}"),
    ]


def write_page(path: Path, about: About, *cards: Card) -> None:
    """Write the page as HTML; several cards of one desk stand beside each other.

    Raises:
        OutputError: the place cannot be written.
    """
    write_text(path, page(about, *cards))


def page(about: About, *cards: Card) -> str:
    """The page as HTML."""
    names = [name for name, _ in _figures(cards[0])]
    columns = [[value for _, value in _figures(card)] for card in cards]
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, undefined=StrictUndefined
    )
    return templates.get_template(_TEMPLATE).render(
        cards=[(title(card), verdict(card), card.touches is not None) for card in cards],
        figures=list(zip(names, zip(*columns, strict=True), strict=True)),
        conditions=_conditions(about),
    )


def _against(card: Card) -> str:
    return "against the picture's own 2D keypoints" if card.touches is None else "on average, from the corner touched"


def _compared(card: Card) -> str:
    if card.touches is None:
        return "the middle of the palm of a hand lying flat on the board"
    counts = ", ".join(f"{name} {count}" for name, count in zip(CORNER_NAMES, card.touches, strict=True))
    return f"the tip of the index finger on corners of the board; touches by corner: {counts}"


def _stated(card: Card) -> str:
    if math.isnan(card.stated_percent):
        return "none: nobody has measured the error of this model"
    one, two = (100 * share for share in card.inside)
    return (
        f"{card.stated_percent:.1f} %; holds {one:.0f} % of frames (68 expected), twice that {two:.0f} % (95 expected)"
    )


def _camera(camera: Camera) -> str:
    fx, fy = camera.focal_px
    known = ""
    if camera.std is not None:
        known = f" ± {200 * float(np.max(camera.std[:2] / camera.focal_px)):.2f} %"
    return f"{camera.name or 'unnamed'}, {camera.width} x {camera.height}, focal length {fx:.1f}, {fy:.1f} px{known}"


def _calibration(card: Card) -> str:
    blind = (
        "The board's distance comes from the same calibration: an error of focal length would not show in the errors."
    )
    if card.calibration.outcome == "holds":
        return card.calibration.words
    return f"not confirmed by these views. {card.calibration.words} {blind}"


def _hand_length(about: About) -> str:
    if about.hand_length_m is None:
        return "not measured: a mean adult's is assumed"
    error = f" ± {200 * about.hand_length_std:.0f} %" if about.hand_length_std else ""
    return f"{1e3 * about.hand_length_m:.0f} mm{error}, as given"
