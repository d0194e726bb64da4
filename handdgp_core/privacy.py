"""What must not be shown or stored: the user's access to streams."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["without_secrets"]

_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<rest>\S*)", re.IGNORECASE)


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
