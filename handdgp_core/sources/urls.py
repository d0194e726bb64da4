"""Addresses of streams and of files behind them."""

from __future__ import annotations

from urllib.parse import urlsplit

from handdgp_core.errors import UsageError
from handdgp_core.privacy import without_secrets

__all__ = ["SCHEMES", "is_url", "shown_url"]

SCHEMES = ("rtsp", "rtsps", "rtp", "rtmp", "rtmps", "http", "https", "udp", "tcp", "srt")


def is_url(spec: str) -> bool:
    """True for `scheme://...` with a scheme that streams use. Raises UsageError where what follows makes no sense."""
    if spec.partition("://")[0].lower() not in SCHEMES or "://" not in spec:
        return False
    try:
        _ = urlsplit(spec).port  # checked only when asked for
    except ValueError as error:
        raise UsageError(f"This is not a stream address: {error}.", hint="Use rtsp://host:port/path.") from error
    return True


def shown_url(url: str) -> str:
    """The URL without user, password, query and fragment, any of which may hold a secret: fit for a title or a log."""
    return str(without_secrets(url))
