"""Names for what stands everywhere in signatures: arrays, and which hand it is."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Handedness"]

Array = NDArray[np.float64]
Handedness = Literal["left", "right"]
