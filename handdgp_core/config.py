"""Base of the configuration models: immutable values with known keys, and what is wrong with some as one sentence."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterable
from difflib import get_close_matches
from inspect import signature
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator

from handdgp_core.errors import HandDGPError, UsageError

__all__ = ["Config", "Fraction", "SelfChecking", "parse"]

Fraction = Annotated[float, Field(ge=0, le=1)]
M = TypeVar("M", bound="Config")

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "model_type": "keys and values",
    "dataclass_type": "keys and values",
}


class Config(BaseModel):
    """Values that belong together; what is not given keeps its default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    def to_plain(self) -> dict[str, Any]:
        """Numbers, text, lists and dicts, for YAML or JSON; `parse` is the way back."""
        return self.model_dump(mode="json")


def _with_path(value: Any, handler: Any) -> Any:
    try:
        return handler(_tuples(value))  # here the values are Python's, and strictly a list is no tuple
    except UsageError as error:
        raise ValueError(error.message) from error  # which pydantic notes together with the path


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


# Marks a part of a model that raises UsageError by itself, so that the message names its path.
SelfChecking = WrapValidator(_with_path)


def parse(kind: type[M], values: Any, error: type[HandDGPError] = UsageError) -> M:
    """A model from what YAML or JSON gave, every value of the declared type.

    Args:
        kind: the model.
        values: plain values.
        error: what to raise.

    Raises:
        HandDGPError: of type `error`: a key that is unknown or missing, or a value of another type or out of range. It
            names the path of the first one.
    """
    try:
        text = json.dumps(values, default=str)
    except (TypeError, ValueError, RecursionError) as failure:
        raise error(f"The configuration holds what is neither text nor a number ({failure}).") from failure
    try:
        return kind.model_validate_json(text, strict=True)
    except ValidationError as problems:
        problem, hint = _sentence(kind, problems.errors(include_url=False)[0])
        raise error(problem, hint=hint) from problems


def _sentence(kind: type[Config], details: Any) -> tuple[str, str]:
    """The problem, and a hint or nothing."""
    sort, path = details["type"], ".".join(str(part) for part in details["loc"]) or "The configuration"
    if sort in _UNKNOWN:
        known = _keys_at(kind, details["loc"][:-1])
        near = get_close_matches(str(details["loc"][-1]), known, n=1)
        return f"{path}: unknown{f'; did you mean {near[0]}?' if near else '.'}", f"Known keys: {', '.join(known)}."
    if sort == "missing":
        return f"{path}: a value is missing.", ""
    if sort == "value_error":
        return f"{path}: {details['ctx']['error']}", ""
    expected = _EXPECTED.get(sort) or details["msg"].removeprefix("Input should be ")
    if sort.startswith(("greater_than", "less_than")):
        expected = f"a number {expected}"
    return f"{path}: expected {expected}, got {_shown(details['input'])}.", ""


def _keys_at(kind: Any, path: Iterable[int | str]) -> list[str]:
    """Names of the entries of the model, or dataclass, at this path below another."""
    for part in path:
        kind = kind.model_fields[part].annotation if isinstance(part, str) else get_args(kind)[0]
        kind = kind.__origin__ if hasattr(kind, "__metadata__") else kind  # out of Annotated
    return list(signature(kind).parameters)


def _shown(value: Any) -> str:
    return "nothing" if value is None else reprlib.repr(value)
