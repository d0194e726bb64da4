"""YAML into dataclasses: every key known, every value of its declared type, every complaint with the key in full."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from handdgp_core.bundled import bundled
from handdgp_core.errors import UsageError

__all__ = ["read_yaml", "to_dataclass", "to_plain", "with_overrides"]

T = TypeVar("T")
_NONE = type(None)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, or in one that comes with the program: `configs/open.yaml` is found anywhere.

    Raises:
        UsageError: no such file, no YAML, or no mapping.
    """
    ours = path.parent in (Path("."), Path("configs")) and not path.exists()
    try:
        content = yaml.safe_load((bundled(f"configs/{path.name}") if ours else path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"a configuration file {path}", found, "the configurations lie in configs/") from error
    except yaml.YAMLError as error:
        raise UsageError(f"YAML in {path}", " ".join(str(error).split()), "correct that line") from error
    if not isinstance(content, dict):
        raise UsageError(f"keys and values in {path}", _shown(content))
    return content


def with_overrides(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy with "dotted.key=value" put in; a number in a dotted key is a place in a list.

    Raises:
        UsageError: an override without "=", or one that goes through something that has no keys.
    """
    result: dict[str, Any] = _copied(values)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise UsageError("an override such as optimiser.learning_rate=1e-4", repr(override))
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"a value in YAML for {key}", repr(text)) from error
        _put(result, key.strip().split("."), value, key)
    return result


def to_dataclass(kind: type[T], values: Any, key: str = "") -> T:
    """A dataclass from plain values. Keys that are left out keep the dataclass's default.

    Args:
        kind: a dataclass whose fields are numbers, text, bools, literals, optionals, tuples or dataclasses.
        values: what YAML or JSON gave.
        key: name of the place in the file, for messages.

    Raises:
        UsageError: an unknown or missing key, another type, or a value that the dataclass refuses.
    """
    if not isinstance(values, dict):
        raise UsageError(f"keys and values for {key or 'the configuration'}", _shown(values))
    entries = {entry.name: entry for entry in dataclasses.fields(kind) if entry.init}  # type: ignore[arg-type]
    for name in values:
        if name not in entries:
            raise UsageError(
                f"{_in(key)}a key out of {', '.join(entries)}", repr(_joined(key, name)), _near(name, entries)
            )
    hints = get_type_hints(kind)
    made = {name: _converted(hints[name], value, _joined(key, name)) for name, value in values.items()}
    missing = [name for name, entry in entries.items() if name not in made and _required(entry)]
    if missing:
        raise UsageError(f"a value for {_joined(key, missing[0])}", "none")
    try:
        return kind(**made)
    except UsageError as error:
        raise UsageError(f"{_in(key)}{error.wanted}", error.found, error.cure) from error


def to_plain(value: Any) -> Any:
    """Dataclasses and tuples as dicts and lists, for YAML."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: to_plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: to_plain(item) for name, item in value.items()}
    return value


def _converted(hint: Any, value: Any, key: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return to_dataclass(hint, value, key)
    if origin is Literal:
        return _choice(arguments, value, key)
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, key)
    if origin in (tuple, list):
        return _sequence(origin, arguments, value, key)
    if origin is dict:
        return _mapping(arguments, value, key)
    return _scalar(hint, value, key)


def _choice(choices: tuple[Any, ...], value: Any, key: str) -> Any:
    for choice in choices:
        if str(value) == str(choice) and not isinstance(value, bool):  # YAML reads 32 as a number
            return choice
    raise UsageError(f"{key} out of {', '.join(str(choice) for choice in choices)}", _shown(value))


def _one_of(hints: tuple[Any, ...], value: Any, key: str) -> Any:
    if value is None and _NONE in hints:
        return None
    rest = [hint for hint in hints if hint is not _NONE]
    for hint in rest:
        try:
            return _converted(hint, value, key)
        except UsageError:
            if len(rest) == 1:
                raise
    raise UsageError(f"{' or '.join(_named(hint) for hint in rest)} for {key}", _shown(value))


def _sequence(kind: Any, arguments: tuple[Any, ...], value: Any, key: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise UsageError(f"a list for {key}", _shown(value))
    fixed = kind is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis)
    if fixed and len(value) != len(arguments):
        raise UsageError(f"{len(arguments)} values for {key}", f"{len(value)}")
    hints = arguments if fixed else (arguments[0],) * len(value)
    return kind(_converted(hint, item, f"{key}.{n}") for n, (hint, item) in enumerate(zip(hints, value, strict=True)))


def _mapping(arguments: tuple[Any, ...], value: Any, key: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"keys and values for {key}", _shown(value))
    return {name: _converted(arguments[1], item, _joined(key, name)) for name, item in value.items()}


def _scalar(hint: Any, value: Any, key: str) -> Any:
    if hint is float:
        number = _number(value)
        if number is not None:
            return number
    elif isinstance(hint, type) and type(value) is hint:
        return value
    raise UsageError(f"{_named(hint)} for {key}", _shown(value))


def _number(value: Any) -> float | None:
    """YAML 1.1 reads 1e-4 as text; here it is a number."""
    if isinstance(value, bool):
        return None
    try:
        return float(value) if isinstance(value, (int, float, str)) else None
    except ValueError:
        return None


def _named(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if get_origin(hint) is Literal:
        return " or ".join(str(choice) for choice in get_args(hint))
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{value!r} ({type(value).__name__})"


def _in(key: str) -> str:
    return f"in {key}: " if key else ""


def _joined(key: str, name: Any) -> str:
    return f"{key}.{name}" if key else str(name)


def _near(name: Any, entries: dict[str, Any]) -> str:
    near = get_close_matches(str(name), entries, n=1)
    return f"perhaps {near[0]} is meant" if near else ""


def _required(entry: dataclasses.Field[Any]) -> bool:
    return entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _put(place: Any, path: list[str], value: Any, key: str) -> None:
    for depth, name in enumerate(path):
        last = depth == len(path) - 1
        index: Any = name
        if isinstance(place, list):
            if not name.isdecimal() or int(name) >= len(place):
                raise UsageError(f"a number below {len(place)} after {'.'.join(path[:depth])}", repr(key))
            index = int(name)
        elif not isinstance(place, dict):
            raise UsageError(f"a key that exists, for {key}", f"{'.'.join(path[:depth])} has no keys below it")
        elif not last and place.get(name) is None:
            place[name] = {}
        if last:
            place[index] = value
        else:
            place = place[index]
