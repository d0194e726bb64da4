"""The layout that MANO's and SMPL's files share: a pickled dictionary of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handdgp_core.arrays import Array
from handdgp_core.hands.licensed.restricted_pickle import numbers, read_pickle, unreadable, whole_numbers

__all__ = ["LinearModelFile", "read_linear_model"]


@dataclass(frozen=True, eq=False)
class LinearModelFile:
    """A linear-blend-skinned model.

    Attributes:
        file: where it came from.
        vertices: (V, 3) mean shape, metres.
        faces: (F, 3).
        joint_regressor: (J, V).
        content: everything in the file, plain arrays.
    """

    file: Path
    vertices: Array
    faces: NDArray[np.int32]
    joint_regressor: Array
    content: dict[str, Any]


def read_linear_model(file: Path, what: str, hint: str) -> LinearModelFile:
    """Read such a file without running anything in it.

    Raises:
        AssetError: the file is missing, damaged, of another layout, or would run code.
    """
    content = read_pickle(file, what, hint)
    if not isinstance(content, dict):
        raise unreadable(file, what, f"it holds {type(content).__name__} instead of a dictionary", hint)
    missing = [key for key in ("v_template", "f", "J_regressor") if key not in content]
    if missing:
        raise unreadable(file, what, f"it has no {', '.join(missing)}", hint)
    try:
        vertices = numbers(content["v_template"])
        faces = whole_numbers(content["f"])
        regressor = numbers(content["J_regressor"])
    except (TypeError, ValueError) as error:
        raise unreadable(file, what, f"some values are not arrays ({error})", hint) from error
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise unreadable(file, what, f"its vertices are {vertices.shape} and its faces {faces.shape}", hint)
    if regressor.ndim != 2 or regressor.shape[1] != len(vertices):
        raise unreadable(file, what, f"its joint regressor is {regressor.shape}", hint)
    if faces.size and not (faces.min() >= 0 and faces.max() < len(vertices)):
        raise unreadable(file, what, f"it has faces beyond its {len(vertices)} vertices", hint)
    return LinearModelFile(file, vertices, faces, regressor, content)
