"""Values of camera files: numbers, matrices and sizes in the forms that their writers use, and the names of lenses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

__all__ = [
    "Coefficients", "Number", "Numbers", "Pair", "Refusal", "Switch", "Text", "Whole", "lens_kind", "lens_of",
]  # fmt: skip

_MODELS_OPENCV = ("plumb_bob", "radtan", "radial_tangential", "rational_polynomial", "none", "")
_MODELS_FISHEYE = ("equidistant", "fisheye", "opencv_fisheye", "kannala_brandt", "kannala_brandt4")


class Refusal(Exception):
    """Why a file cannot be used, as a part of a sentence, and what to do about it."""

    def __init__(self, reason: str, hint: str = "") -> None:
        self.reason, self.hint = reason, hint
        super().__init__(reason)


def lens_of(model: str, coefficients: list[float]) -> tuple[Literal["opencv", "fisheye"], list[float]]:
    """The lens of `Camera` and its coefficients, from the name that a file or message gives the distortion model.

    Raises:
        Refusal: another model, or a number of coefficients that it does not have.
    """
    plain = re.sub(r"[\s-]+", "_", model.strip().lower())
    used = coefficients[: max((i + 1 for i, k in enumerate(coefficients) if k != 0), default=0)]
    if plain in _MODELS_FISHEYE:
        if len(used) > 4 or len(coefficients) < 4:
            raise Refusal(f'its lens model "{plain}" has 4 coefficients, not {len(coefficients)}')
        return "fisheye", coefficients[:4]
    if plain not in _MODELS_OPENCV:
        raise Refusal(
            f'its lens model "{plain}" is not known here (plumb_bob, rational_polynomial and equidistant are)',
            "Calibrate with one of these models.",
        )
    most = {"": 14, "none": 0, "rational_polynomial": 14}.get(plain, 5)
    if len(used) > most:
        raise Refusal(f'its lens model "{plain or "none"}" has {most} coefficients at most, not {len(used)}')
    if plain == "rational_polynomial" and used and len(coefficients) < 8:
        raise Refusal(f'its lens model "rational_polynomial" has 8 coefficients, not {len(coefficients)}')
    return "opencv", coefficients[: len(coefficients) if len(coefficients) <= most else most]


def lens_kind(model: str) -> str:
    """Which of the two lenses of `Camera` a name means; nothing where it says neither."""
    plain = re.sub(r"[\s-]+", "_", model.strip().lower())
    return "fisheye" if plain in _MODELS_FISHEYE else "" if plain in ("", "pinhole") else "opencv"


def _float(value: Any) -> float:
    # YAML 1.1 as pyyaml reads it takes "1e-05" and OpenCV's ".Nan" for text.
    if isinstance(value, bool):
        raise Refusal(f"{value} stands where a number should")
    try:
        return float(re.sub(r"\A([-+]?)\.(?=[a-zA-Z])", r"\1", value.strip()) if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        raise Refusal(f"it must have numbers, not {value!r:.60}") from None


def _flat(value: Any) -> list[float]:
    """Numbers from one number, a list, or a list of lists."""
    rows = value if isinstance(value, list) else [value]
    return [_float(item) for row in rows for item in (row if isinstance(row, list) else [row])]


def _numbers(value: Any) -> list[float]:
    """The same, or from a mapping with `data`, as many as its rows x cols."""
    if not isinstance(value, Mapping):
        return _flat(value)
    numbers, (rows, columns) = _headed(value)
    if rows * columns not in (0, len(numbers)):
        raise Refusal(
            f"a matrix must have {rows} x {columns} numbers, not {len(numbers)}", "The file is damaged: write it again."
        )
    return numbers


def _headed(value: Mapping[str, Any]) -> tuple[list[float], tuple[int, int]]:
    unknown = set(value) - {"rows", "cols", "sizes", "data", "dt", "type_id"}
    if unknown or "data" not in value:
        raise Refusal(f"a matrix has rows, cols and data, not {', '.join(map(str, value)) or 'nothing'}"[:200])
    shape = value.get("rows"), value.get("cols")
    known = all(isinstance(side, int) and not isinstance(side, bool) and side >= 0 for side in shape)
    return _flat(value["data"] if value["data"] is not None else []), (shape if known else (0, 0))  # type: ignore[return-value]


def _coefficients(value: Any) -> list[float]:
    """As `_numbers`; a header may say 1 x 5 above the eight of a rational lens, as ROS' calibrator used to write."""
    if isinstance(value, Mapping) and "data" in value:
        numbers, shape = _headed(value)
        if sorted(shape) == [1, 5] and len(numbers) == 8:
            return numbers
    return _numbers(value)


def _pair(value: Any) -> tuple[int, int]:
    numbers = _numbers(value)
    if len(numbers) != 2 or not all(number.is_integer() for number in numbers):
        raise Refusal(f"an image size must be two whole numbers, not {numbers}"[:200])
    return int(numbers[0]), int(numbers[1])


def _whole(value: Any) -> int:
    number = _float(value)
    if not number.is_integer() or number < 0:
        raise Refusal(f"{value!r:.40} must be a whole number: a width, a height or a binning")
    return int(number)


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float) or len(str(value)) > 200:
        raise Refusal(f"a name or model must be a short text, not {value!r:.60}")
    return str(value)


def _yes(value: Any) -> bool:
    plain = str(value).strip().lower()
    if plain not in ("0", "1", "0.0", "1.0", "true", "false"):
        raise Refusal(f"a switch for fisheye must be 0 or 1, not {value!r:.60}")
    return plain in ("1", "1.0", "true")


Numbers = Annotated[list[float], BeforeValidator(_numbers)]
Coefficients = Annotated[list[float], BeforeValidator(_coefficients)]
Pair = Annotated[tuple[int, int], BeforeValidator(_pair)]
Whole = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, BeforeValidator(_float)]
Text = Annotated[str, BeforeValidator(_text)]
Switch = Annotated[bool, BeforeValidator(_yes)]
