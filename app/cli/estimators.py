"""The estimator of a command, and the hand length that it begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.cli.console import console
from handdgp_core.estimation.hand_size import MeasuredLength
from handdgp_core.sources.protocol import Source
from handdgp_core.sources.session import length_of

if TYPE_CHECKING:
    from handdgp_core.estimation.estimator import HandEstimator

__all__ = ["hand_length_for", "load_estimator"]

# ONNX Runtime saves about 9 ms a frame of one hand, and takes 6 s to be made ready (docs/performance.md).
_WORTH_PREPARING = 600


def load_estimator(
    model: str,
    device: str,
    length: MeasuredLength,
    max_hands: int = 2,
    engine: str = "auto",
    frames: int | None = None,
) -> HandEstimator:
    """An estimator for a hand of that length, if it is known. Errors as of `HandEstimator.from_weights`.

    `frames` is how many it is for, where that is known: for a few, "auto" does not make a network ready for another
    engine on its first use on a machine.
    """
    from handdgp_core.estimation.estimator import HandEstimator  # PyTorch takes seconds, which --help need not
    from handdgp_core.estimation.models import is_prepared

    if engine == "auto" and frames is not None and frames < _WORTH_PREPARING and not is_prepared(model):
        engine = "pytorch"
    return HandEstimator.from_weights(
        model, device, length.length_m, max_hands, hand_length_std=length.std, engine=engine
    )


def hand_length_for(source: Source, given_m: float | None, given_std: float) -> MeasuredLength:
    """The hand length that was given, else the one that a session was recorded with."""
    length = length_of(source, MeasuredLength(given_m, given_std))
    if given_m is None and length.length_m is not None:
        console.print(f"Hand length as recorded: {length.length_m * 1e3:.1f} mm.")
    return length
