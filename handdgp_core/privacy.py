"""What must not be shown or stored: the user's access to streams, and where things lie on this computer."""

from __future__ import annotations

import re
from pathlib import PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

__all__ = ["public_name", "without_secrets"]

_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<rest>\S*)", re.IGNORECASE)


def public_name(spec: str) -> str:
    """What others may learn of a model or a nameless source: the name of a file without its folder, the host of a URL.

    The name of a built-in model or the number of a webcam stays as it is.
    """
    if "://" in spec:
        return urlsplit(spec).hostname or ""
    return PureWindowsPath(spec).name or spec  # knows both kinds of slashes


def without_secrets(value: Any) -> Any:
    """A text, or a list or table of texts, in which every URL has lost user name, password, query and fragment.

    Examples:
        >>> without_secrets("rtsp://me:secret@door.lan/live?token=abc")
        'rtsp://door.lan/live'
    """
    if isinstance(value, str):
        return _URL.sub(_without_access, value)
    if isinstance(value, dict):
        return {without_secrets(name): without_secrets(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(without_secrets(entry) for entry in value)
    return value


def _without_access(url: re.Match[str]) -> str:
    rest = url["rest"]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in host:
        rest = host.rpartition("@")[2] + rest[len(host) :]
    elif "@" in rest and not re.fullmatch(r"[^:]*(:\d*)?", host):  # a password with one of / ? #
        rest = rest.rpartition("@")[2]
    return url["scheme"] + re.split(r"[?#]", rest, maxsplit=1)[0]
