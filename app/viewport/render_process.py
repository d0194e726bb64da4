"""Main function of the child process that owns Open3D.

Rendering holds the GIL and broken OpenGL is a crash rather than an exception, so the window never does it itself. The
child also serves as the probe: it reports ready only after a first picture that shows something.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING, Any, cast

from app.viewport.protocol import EMPTY_REQUEST, CameraView, RenderBlock, RenderRequest, SceneState

if TYPE_CHECKING:
    from app.viewport.open3d_scene import Open3DScene

__all__ = ["STOP", "render_main"]

STOP = b"null"
# Below inference in the scheduler's eyes: a late picture hurts less than a late hand.
NICENESS = 5
ADDITION_LIMIT = 40_000


def render_main(
    pipe: Connection,
    block_name: str,
    environment: Mapping[str, str | None],
    render_limit: int,
    warm_size: tuple[int, int],
) -> None:
    """Render requests until the pipe closes or `STOP` comes; to be run by a spawned process.

    Args:
        pipe: requests come in, JSON answers go out: {"kind": "ready" | "picture" | "failed", ...}.
        block_name: shared memory of `BLOCK_BYTES`.
        environment: variables to set, or to unset where None, before Open3D is imported.
        render_limit: pictures after which every answer asks for a replacement.
        warm_size: (width, height) of the first, unseen picture.
    """
    for ending in ("SIGINT", "SIGHUP"):  # these reach the whole group; the window decides
        if hasattr(signal, ending):
            signal.signal(getattr(signal, ending), signal.SIG_IGN)
    _prepare(environment)
    memory = SharedMemory(name=block_name)
    block = RenderBlock(cast("memoryview", memory.buf))
    try:
        _serve(pipe, block, render_limit, warm_size)
    finally:
        block.release()
        memory.close()
        pipe.close()
    # Open3D's own end takes up to a second, can crash, and nothing here needs it.
    os._exit(0)


def _prepare(environment: Mapping[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    # Filament greets on standard output, which may be the pipe of somebody's `--json` command.
    sys.stdout.flush()
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.close(quiet)


def _serve(pipe: Connection, block: RenderBlock, render_limit: int, warm_size: tuple[int, int]) -> None:
    try:
        from app.viewport.open3d_scene import Open3DScene

        scene = Open3DScene()
    except (ImportError, OSError, RuntimeError) as error:
        _answer(pipe, kind="failed", reason=f"Open3D cannot start: {error}")
        return
    try:
        if _shows_something(scene, warm_size):
            _answer(pipe, kind="ready")
            _loop(pipe, block, scene, render_limit)
        else:
            _answer(pipe, kind="failed", reason="OpenGL gives an empty picture")
    except (EOFError, ConnectionError):
        pass  # the window is gone


def _shows_something(scene: Open3DScene, size: tuple[int, int]) -> bool:
    camera = CameraView(640, 480, (500.0, 500.0, 319.5, 239.5))
    probe = RenderRequest(SceneState((), camera), EMPTY_REQUEST.orbit, EMPTY_REQUEST.options, *size)
    picture = scene.draw(probe)
    return bool(picture.shape[:2] == (size[1], size[0]) and picture.max() > 2 * picture[0, 0].max())


def _loop(pipe: Connection, block: RenderBlock, scene: Open3DScene, render_limit: int) -> None:
    while True:
        message = pipe.recv_bytes()
        while pipe.poll(0):
            message = pipe.recv_bytes()  # only the newest counts
        if message == STOP:
            return
        began = time.perf_counter()
        request = block.read_request(message)
        block.picture(request.width, request.height)[:] = scene.draw(request)
        expired = scene.renders >= render_limit or scene.additions >= ADDITION_LIMIT
        took_ms = 1e3 * (time.perf_counter() - began)
        _answer(pipe, kind="picture", render_ms=took_ms, expired=expired)


def _answer(pipe: Connection, **fields: Any) -> None:
    pipe.send_bytes(json.dumps(fields).encode())
