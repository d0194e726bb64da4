"""Open hands whose fingers all move, for tests of animations."""

from __future__ import annotations

import numpy as np

from handdgp_core.types import Hand
from tests.open_hands import OPEN, open_hand


def moving_hand(side: str, number: int, count: int = 24) -> Hand:
    """All fingers bend and spread at their own paces while the hand moves away."""
    low, high = np.degrees(OPEN.dof_limits_rad.T)
    phases = 0.5 + 0.5 * np.sin(2 * np.pi * number / count + np.arange(len(low)))
    bends = 0.6 * (low + (high - low) * phases)
    names = [name.replace(" ", "_") for name in OPEN.dof_names]
    return open_hand(side, (0.02, -0.05, 0.4 + 0.005 * number), **dict(zip(names, bends.tolist(), strict=True)))
