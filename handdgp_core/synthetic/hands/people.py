"""Whose hand it is: its size, its shape, its skin, and what is worn over the wrist.

**Size.** Length from the wrist crease to the tip of the middle finger: men 193 mm, women 172 mm, each with a standard
deviation of 5 % (the figures of the open hand's builder), and children of 5 to 14 years: 120 mm plus 5.8 mm a year
from five years on, standard deviation 6 %. Shares: 46 % men, 46 % women, 8 % children.

**Skin.** The Monk Skin Tone scale (Ellis Monk, 2022; ten steps, 1 lightest), all steps equally often. The scale's
swatches are the colour of the back of the hand; the palm follows: close to the back for light skin, much lighter than
the back for dark skin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handdgp_core.arrays import Array
from handdgp_core.synthetic.hands.skin import Colour, SkinTone

__all__ = ["SKIN_TONES", "Build", "draw_build", "skin_tone"]

SKIN_TONES = 10
_SWATCHES = ("f6ede4", "f3e7db", "f7ead0", "eadaba", "d7bd96", "a07e56", "825c43", "604134", "3a312a", "292420")
_MEN, _WOMEN, _CHILDREN = 0.46, 0.46, 0.08
_MEAN_M, _MEN_M, _WOMEN_M = 0.1825, 0.193, 0.172
# Blood under the skin: the swatches are flat colours of faces; hands are redder. More where skin is light.
_RED_LIGHT, _RED_DARK = np.array([0.90, 0.735, 0.645]), np.array([1.08, 0.80, 0.68])
_PINK = np.array([0.84, 0.63, 0.54])


@dataclass(frozen=True)
class Build:
    """Size and form of a hand.

    Attributes:
        scale: factor on the mean adult hand.
        shape: (S,) standard deviations of the open hand's shape modes.
        child: whether it is a child's.
    """

    scale: float
    shape: Array
    child: bool


def draw_build(rng: np.random.Generator, shape_count: int) -> Build:
    """A person's hand by the shares above."""
    group = rng.random()
    shape = np.clip(rng.normal(0, 1, shape_count), -2.5, 2.5)
    if group < _CHILDREN:
        length = (0.120 + 0.0058 * rng.uniform(0, 9)) * (1 + 0.06 * rng.normal())
        return Build(float(length / _MEAN_M), shape, True)
    mean = _MEN_M if group < _CHILDREN + _MEN else _WOMEN_M
    return Build(float(mean / _MEAN_M * (1 + 0.05 * np.clip(rng.normal(), -3, 3))), shape, False)


def skin_tone(step: int, rng: np.random.Generator) -> SkinTone:
    """Colours of a person at a step (1 to 10) of the Monk Skin Tone scale."""
    swatch = _SWATCHES[step - 1]
    base = np.array([int(swatch[place : place + 2], 16) for place in (0, 2, 4)]) / 255
    light = float(base.mean())
    back = base * (light * _RED_LIGHT + (1 - light) * _RED_DARK) * rng.normal(1, 0.03, 3) * rng.uniform(0.94, 1.04)
    pale = 0.25 + 0.42 * (1 - light) * rng.uniform(0.7, 1.0)
    palm = back * (1 - pale) + pale * _PINK * min(1.0, 0.55 + 0.6 * light)
    flush = palm * np.array([0.98, 0.74, 0.74])
    crease = back * np.array([0.72, 0.58, 0.55])
    nail = 0.55 * back + 0.45 * np.array([0.87, 0.68, 0.63]) * min(1.0, 0.6 + 0.5 * light)
    variation = int(rng.integers(1, 1 << 20))
    return SkinTone(_colour(back), _colour(palm), _colour(flush), _colour(crease), _colour(nail), variation)


def _colour(values: Array) -> Colour:
    red, green, blue = np.clip(values, 0.02, 0.95).tolist()
    return red, green, blue
