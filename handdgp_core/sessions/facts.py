"""What a recording's metadata tells, read from text. Values that cannot be understood are as if not there."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError, WrapValidator

__all__ = ["SessionFacts"]

T = TypeVar("T")


def _or_nothing(value: Any, handler: Any) -> Any:
    """None instead of a value that is not what it should be: damaged metadata must not lose a recording."""
    try:
        return handler(value)
    except ValidationError:
        return None


Lenient = Annotated[T | None, WrapValidator(_or_nothing)]


class SessionFacts(BaseModel):
    """Facts of a recording; of those written by other programs, none.

    Attributes:
        format_version: None where none is stated.
        is_live, is_rendered: whether the recorded source was a camera, and whether it was made by a renderer.
        hand_length_mm: the user's own hand when the recording began.
        hand_length_is: which length that is; recordings of version 0.1 do not say, and mean the keypoints' chain.
        settings: of the program when the recording began.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    format_version: Lenient[int] = None
    is_live: Lenient[bool] = None
    is_rendered: Lenient[bool] = None
    hand_length_mm: Lenient[Annotated[float, Field(gt=0)]] = None
    hand_length_is: Lenient[Literal["crease to tip"]] = None
    settings: Lenient[Json[dict[str, Any]]] = None
