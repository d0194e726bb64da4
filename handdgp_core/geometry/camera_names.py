"""The names in camera files: which are read, which say nothing of the lens, and which stop the reader.

A value under a name that is not known is refused where it has numbers or sounds like a lens, for half a lens is worse
than none. What calibrators write beside the camera (times, boards, errors, poses) is skipped by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from handdgp_core.geometry.camera_values import Refusal

__all__ = ["known_values"]

# Names that may describe a lens, whatever stands under them; checked before the harmless ones.
_LENS_LIKE = re.compile(
    r"dist|coef|lens|fish|model|radial|tangent|skew|intrinsic|(?<!re)projection|matrix|resolution|focal|principal"
    r"|^xi|^alpha|^[dkpsm]\d|^[fc][xyuv]|^pp[xy]|mirror|rotat|flip|crop|camera\d|^cam\d"
)
_HARMLESS = re.compile(
    r"time|date|stamp|version|flag|board|square|marker|pattern|chess|points|frames|views?$|error|rms|residual|rate|fps"
    r"|exposure|gain|serial|^u?guid|^uuid|^id$|extrinsic|^t[bc]|overlap|shift|header|^seq|comment|aspectratio|topic"
    r"|delay|temperature|unit|author|baseline|validintrinsics|icam|optimization"
)


def known_values(
    content: Mapping[Any, Any], names: Mapping[str, tuple[str, ...]], skipped: Sequence[str]
) -> dict[str, Any]:
    """The values of a file under our names.

    Args:
        content: of the file.
        names: for each of our fields those that it goes by, lower case, without underscores, dashes and blanks.
        skipped: more of them, which are known and not needed.

    Raises:
        Refusal: a name that is not known and may describe a lens, or a value given twice.
    """
    field_of = {name: field for field, known in names.items() for name in known}
    found: dict[str, Any] = {}
    unknown: list[str] = []
    for key, value in content.items():
        plain = _plain(key)
        field = field_of.get(plain)
        if value is None or plain in skipped:
            continue
        if field is None:
            unknown += [] if _is_harmless(plain, value) else [str(key)]
        elif found.get(field, value) != value:
            raise Refusal(f"it gives the same twice with different values (a second time as {str(key)[:40]})")
        else:
            found[field] = value
    if unknown:
        raise _unknown(unknown, content)
    return found


def _plain(key: Any) -> str:
    return re.sub(r"[\s_-]", "", str(key).lower())


def _is_harmless(plain: str, value: Any) -> bool:
    if _LENS_LIKE.search(plain):
        return False
    return bool(_HARMLESS.search(plain)) or not _has_numbers(value)


def _has_numbers(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_LENS_LIKE.search(_plain(key)) or _has_numbers(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return any(map(_has_numbers, value))
    if isinstance(value, str):
        return bool(re.fullmatch(r"\s*[-+]?\.?\d[\d.eE+-]*\s*", value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unknown(unknown: list[str], content: Mapping[Any, Any]) -> Refusal:
    listed = ", ".join(key[:40] for key in unknown[:5]) + (", …" if len(unknown) > 5 else "")
    numbered = {re.sub(r"\d+$|left|right", "", _plain(key)) for key in unknown}
    cameras = [key for key in unknown if isinstance(content.get(key), Mapping | list) and _has_matrix(content[key])]
    if len(numbered) < len(unknown) or cameras:
        return Refusal(f"it holds more than one camera ({listed})", "Keep only the camera that you use.")
    return Refusal(
        f"it has values under names that are not known here ({listed}), which may describe the lens",
        "Name them as ROS does (distortion_model, distortion_coefficients), or remove them if they say nothing of it.",
    )


def _has_matrix(value: Any) -> bool:
    items = value.values() if isinstance(value, Mapping) else value
    keys = set(map(_plain, value)) if isinstance(value, Mapping) else set()
    named = keys & {"k", "cameramatrix", "intrinsics", "intrinsicmatrix", "imagewidth", "distortionmodel"}
    return bool(named) or any(isinstance(item, Mapping | list) and _has_matrix(item) for item in items)
