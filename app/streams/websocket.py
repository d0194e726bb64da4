"""`ws://`: a WebSocket server; every client gets the description, then the newest frame when it is ready for one."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from app.streams.content import FrameContent
from app.streams.messages import as_json, description, frame_message
from app.streams.sinks import Address

__all__ = ["OpenedSink"]

_START_S = 10.0
_LOG = logging.getLogger(__name__)


class OpenedSink:
    """The server, in a thread with an event loop of its own. A client that stalls delays nobody but itself.

    Raises:
        OSError: the address is taken or not this computer's.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._started = threading.Event()
        self._problem: OSError | None = None
        self._newest: str | None = None
        self._number = 0
        self._thread = threading.Thread(target=self._serve, name="websocket server", daemon=True)
        self._thread.start()
        self._started.wait(_START_S)
        if self._problem is not None:
            raise self._problem

    def send(self, content: FrameContent) -> None:
        """Make this frame the newest for all clients."""
        text = as_json(frame_message(content, time.time_ns()))
        self._loop.call_soon_threadsafe(self._put, text)

    def close(self) -> None:
        """Say goodbye to all clients."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_START_S)

    def _serve(self) -> None:
        try:
            asyncio.run(self._run())
        except OSError as error:
            self._problem = error
        finally:
            self._started.set()

    async def _run(self) -> None:
        self._loop, self._stop, self._changed = asyncio.get_running_loop(), asyncio.Event(), asyncio.Condition()
        self._pending: set[asyncio.Task[Any]] = set()
        server: Server
        async with serve(
            self._client, self._address.host, self._address.port, max_size=1 << 16, close_timeout=1
        ) as server:
            self._started.set()
            await self._stop.wait()
            server.close()

    def _put(self, text: str) -> None:
        self._newest, self._number = text, self._number + 1
        task = self._loop.create_task(self._wake())
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _client(self, connection: ServerConnection) -> None:
        """Lasts as long as the client: nothing that it sends has a meaning, but its going must be noticed."""
        sender = asyncio.create_task(self._send_newest(connection))
        try:
            async for _ in connection:
                pass
        except ConnectionClosed:
            _LOG.debug("a WebSocket client has gone without goodbye")
        finally:
            sender.cancel()

    async def _send_newest(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await connection.send(as_json(description()))
            last = 0
            while True:
                async with self._changed:
                    while self._number == last:
                        await self._changed.wait()
                last, text = self._number, self._newest
                if text is not None:
                    await connection.send(text)
