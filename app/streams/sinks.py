"""Where a stream goes: a URI names a protocol and an address, each protocol has one file with one sink."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from app.environment import missing_part
from app.live.mailbox import Mailbox
from app.streams.content import FrameContent
from handdgp_core.errors import HandDGPError, UsageError

__all__ = ["SCHEMES", "Address", "Sink", "SinkThread", "open_sinks", "parse_uri"]

_WAIT_S = 0.2
_JOIN_S = 2.0


@dataclass(frozen=True)
class Scheme:
    """A protocol.

    Attributes:
        module: its file in this folder; has a class `OpenedSink`.
        port: where nothing else is said.
        listens: clients connect to us; else we send to the address.
        about: what it is, in a few words.
    """

    module: str
    port: int
    listens: bool
    about: str


SCHEMES: dict[str, Scheme] = {
    "ws": Scheme("websocket", 8787, True, "JSON to any number of WebSocket clients"),
    "udp": Scheme("udp", 8788, False, "a line of JSON for each hand"),
    "osc": Scheme("osc", 9000, False, "OSC messages, for TouchDesigner, Max and others"),
    "vmc": Scheme("vmc", 39539, False, "VMC bone messages, for VSeeFace, Warudo and Blender"),
    "hts": Scheme("hts", 9000, False, "the CSV of Meta's Hand Tracking Streamer over UDP"),
    "foxglove": Scheme("foxglove_live", 8765, True, "Foxglove, with the schemas of our recordings"),
    "rerun": Scheme("rerun_viewer", 9876, False, "a Rerun viewer that is running"),
}


@dataclass(frozen=True)
class Address:
    """A destination: `uri` as it was given, and its parts."""

    uri: str
    scheme: str
    host: str
    port: int

    @property
    def warning(self) -> str | None:
        """What to say where hands leave this computer, or None."""
        if self.host == "localhost" or _is_loopback(self.host):
            return None
        if SCHEMES[self.scheme].listens:
            return f"{self.uri}: any computer that reaches {self.host}:{self.port} can watch these hands."
        return f"{self.uri}: hands are sent to another computer, {self.host}, unencrypted."


class Sink(Protocol):
    """One destination. All methods are called in one thread of its own, which may wait."""

    def send(self, content: FrameContent) -> None:
        """Send one frame. Raises OSError or HandDGPError where it could not; the next is tried all the same."""

    def close(self) -> None:
        """Release the address."""


def parse_uri(uri: str) -> Address:
    """Take a destination apart: "ws://", "udp://127.0.0.1:9000" ... Without a host it is this computer.

    Raises:
        UsageError: an unknown protocol, a bad port, or more than an address.
    """
    known = ", ".join(f"{name}://" for name in SCHEMES)
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise UsageError(f"{uri!r} is no address to stream to.", hint="Give e.g. ws://127.0.0.1:8787.") from None
    if "://" not in uri or parts.scheme not in SCHEMES:
        raise UsageError(f"Cannot stream to {uri!r}: unknown protocol.", hint=f"Use one of {known}.")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise UsageError(f"{uri!r} has more than a host and a port.", hint=f"Give {parts.scheme}://HOST:PORT.")
    return Address(uri, parts.scheme, parts.hostname or "127.0.0.1", port or SCHEMES[parts.scheme].port)


class SinkThread:
    """A sink in a thread of its own, which takes the newest frame alone: a slow one never holds up the estimate.

    Attributes:
        address: where it goes.
        sent: frames sent so far.
        problem: why the last frame could not be sent, or None.
    """

    def __init__(self, address: Address, sink: Sink) -> None:
        self.address = address
        self.sent = 0
        self.problem: str | None = None
        self._sink = sink
        self._newest: Mailbox[FrameContent] = Mailbox()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"stream {address.scheme}", daemon=True)
        self._thread.start()

    @property
    def skipped(self) -> int:
        """Frames that a newer one replaced before they could be sent."""
        return self._newest.replaced

    @property
    def report(self) -> str:
        """What was sent, or why the last frame was not, in a line."""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return self.problem or f"{self.address.uri}: {self.sent} sent{skipped}"

    def put(self, content: FrameContent) -> None:
        """Leave a frame to be sent. Never waits."""
        self._newest.put(content)

    def close(self) -> None:
        """Send what waits, then end."""
        self._ended.set()
        self._thread.join(_JOIN_S)
        self._newest.close()

    def _run(self) -> None:
        try:
            while True:
                ending = self._ended.is_set()
                content = self._newest.take(0.0 if ending else _WAIT_S)
                if content is not None:
                    self._send(content)
                elif ending:
                    return
        finally:
            self._sink.close()

    def _send(self, content: FrameContent) -> None:
        try:
            self._sink.send(content)
        except OSError as error:
            self.problem = f"{self.address.uri}: {error.strerror or error}"
        except HandDGPError as error:
            self.problem = f"{self.address.uri}: {error.problem}"
        else:
            self.sent += 1
            self.problem = None


def open_sinks(uris: Sequence[str]) -> list[SinkThread]:
    """Open every destination, or none.

    Args:
        uris: as `parse_uri` takes them.

    Raises:
        UsageError: a URI that is not understood, or one that is given twice.
        HandDGPError: an address cannot be used, or a package is missing.
    """
    addresses = [parse_uri(uri) for uri in uris]
    places = [(address.scheme, address.host, address.port) for address in addresses]
    twice = next((address.uri for address, place in zip(addresses, places, strict=True) if places.count(place) > 1), "")
    if twice:
        raise UsageError(f"{twice} is given twice.")
    opened: list[SinkThread] = []
    try:
        for address in addresses:
            opened.append(SinkThread(address, _open(address)))
    except BaseException:
        for thread in opened:
            thread.close()
        raise
    return opened


def _open(address: Address) -> Sink:
    try:
        module = import_module(f"app.streams.{SCHEMES[address.scheme].module}")
    except ImportError as error:
        raise missing_part(error) or error from None
    try:
        sink: Sink = module.OpenedSink(address)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        hint = "Is another program using this port?" if SCHEMES[address.scheme].listens else "Check host and port."
        raise HandDGPError(f"Could not open {address.uri}: {reason}.", hint=hint) from None
    return sink


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
