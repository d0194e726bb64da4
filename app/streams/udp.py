"""`udp://`: one datagram of JSON for each hand."""

from __future__ import annotations

import socket
import time

from app.streams.content import FrameContent
from app.streams.messages import hand_lines
from app.streams.sinks import Address

__all__ = ["OpenedSink", "datagram_socket"]


class OpenedSink:
    """Sends datagrams to one address; nobody need be there."""

    def __init__(self, address: Address) -> None:
        self._socket = datagram_socket(address)

    def send(self, content: FrameContent) -> None:
        """A datagram a hand; none for a frame without hands."""
        for line in hand_lines(content, time.time_ns()):
            self._socket.send(line.encode() + b"\n")

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


def datagram_socket(address: Address) -> socket.socket:
    """A socket that sends to this address and never waits. Raises OSError: the host is not known."""
    family, kind, protocol, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.connect(place)
    except OSError:
        opened.close()
        raise
    opened.setblocking(False)
    return opened
