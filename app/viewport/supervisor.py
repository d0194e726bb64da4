"""Owner of the renderers, free of Qt: starts the Open3D child, finds an environment in which it works, notices its
death, replaces it, and falls back to the painter.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from app.viewport.backends import PainterThread, Picture, RenderChild
from app.viewport.protocol import RenderRequest

__all__ = ["STATUS_OPEN3D", "GLConfig", "RenderSupervisor", "default_configs"]

log = logging.getLogger(__name__)

RENDER_LIMIT = 100_000  # Open3D 0.19 goes blank after about 131 000
START_TIMEOUT_S, PICTURE_TIMEOUT_S = 60.0, 10.0
START_PATIENCE = 5
STATUS_OPEN3D = "3D: Open3D"
MAX_DEATHS, DEATH_MEMORY_S = 2, 600.0


@dataclass(frozen=True)
class GLConfig:
    """One way to start OpenGL: environment variables to set, or to unset where None."""

    name: str
    environment: Mapping[str, str | None]


def default_configs() -> list[GLConfig]:
    """Ways to try on this system, best first; none without Open3D, which has no wheel for some Pythons.

    "surfaceless" is Mesa's word; other drivers want it unset.
    """
    if find_spec("open3d") is None:
        return []
    if not sys.platform.startswith("linux"):
        return [GLConfig("system", {})]
    configs = [GLConfig("system", {})] if "EGL_PLATFORM" in os.environ else []
    configs.append(GLConfig("surfaceless", {"EGL_PLATFORM": "surfaceless"}))
    if os.environ.get("DISPLAY"):
        configs.append(GLConfig("display", {"EGL_PLATFORM": None}))
    configs.append(GLConfig("software", {"EGL_PLATFORM": "surfaceless", "LIBGL_ALWAYS_SOFTWARE": "1"}))
    return configs


class RenderSupervisor:
    """Makes pictures by the best means that works.

    While a child starts (some seconds), the painter draws, so the view is never empty. A child that dies before its
    first picture disqualifies its config, and so does one that is not ready in five minutes: on a busy machine a minute
    is not much. One that dies or hangs later starts again, once.
    Then, or without a config left, the painter stays.

    Args:
        configs: environments to try, best first; empty means painter only.
        preferred: name of the config that worked last time, tried first.
        on_config: called with the name of the config that worked, to be remembered.
        render_limit: pictures after which a child is replaced.
        start_timeout_s: after so long the status says that starting takes long; five times as long is too long.
    """

    def __init__(
        self,
        configs: Sequence[GLConfig] | None = None,
        preferred: str | None = None,
        on_config: Callable[[str], None] | None = None,
        render_limit: int = RENDER_LIMIT,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        configs = list(default_configs() if configs is None else configs)
        self._configs = sorted(configs, key=lambda config: config.name != preferred)  # stable: the rest keeps its order
        self._on_config, self._render_limit, self._start_timeout_s = on_config, render_limit, start_timeout_s
        self._child: RenderChild | None = None
        self._spare: RenderChild | None = None
        self._retiring: list[RenderChild] = []
        self._painter: PainterThread | None = None
        self._deaths_s: list[float] = []
        self._reason = self._too_slow = ""
        self._given_up = not self._configs
        self._stopped = False

    @property
    def status(self) -> str:
        """One line for the status bar."""
        if self._given_up:
            return f"3D: basic renderer ({self._reason or 'Open3D is turned off'})"
        if self._child is not None and self._child.state == "ready":
            return STATUS_OPEN3D
        if self._child is not None and time.monotonic() - self._child.started_s > self._start_timeout_s:
            return "3D: Open3D is still starting"
        return "3D: starting Open3D" if not self._deaths_s else "3D: Open3D crashed, restarting"

    @property
    def child_pid(self) -> int | None:
        """Process id of the Open3D child that draws now, if any."""
        return None if self._child is None else self._child.pid

    @property
    def busy(self) -> bool:
        """The renderer that would get the next request has one already."""
        if self._child is not None and self._child.state == "ready":
            return self._child.busy
        return self._painter is not None and self._painter.busy

    def start(self) -> None:
        """Start the first child. Does nothing when started or stopped before."""
        if self._child is None and not self._given_up and not self._stopped:
            self._child = self._new_child()

    def request(self, request: RenderRequest) -> None:
        """Ask for a picture; it comes out of `poll`. Not while `busy`."""
        if self._stopped:
            return
        if self._child is not None and self._child.state == "ready":
            self._child.request(request)
            return
        if self._painter is None:
            self._painter = PainterThread()
        self._painter.request(request)

    def poll(self) -> Picture | None:
        """Look after the processes; the newest finished picture, if there is one. Never waits."""
        picture = None if self._painter is None else self._painter.poll()
        if self._child is not None:
            was_ready = self._child.was_ready
            picture = self._child.poll() or picture
            self._look_after(self._child, was_ready)
        self._look_after_spare()
        for old in [child for child in self._retiring if child.has_ended()]:
            old.stop()
            self._retiring.remove(old)
        return picture

    def stop(self) -> None:
        """End every process and thread and free all shared memory. Waits for them; safe to repeat."""
        self._stopped = True
        children = [child for child in (self._child, self._spare, *self._retiring) if child is not None]
        for child in children:
            child.ask_to_stop()
        for child in children:
            # One that is still importing cannot hear the request.
            child.stop(3.0 if child.state == "ready" else 0.2)
        if self._painter is not None:
            self._painter.stop()
        self._child = self._spare = self._painter = None
        self._retiring = []

    def _look_after(self, child: RenderChild, was_ready: bool) -> None:
        limit_s = START_PATIENCE * self._start_timeout_s
        if child.state == "starting" and time.monotonic() - child.started_s > limit_s:
            self._too_slow = f"Open3D did not start within {limit_s:.0f} s; restart the program to try again"
            self._start_failed(child, self._too_slow)
        elif was_ready and (child.state == "dead" or child.waited_s > PICTURE_TIMEOUT_S):
            self._died(child)
        elif child.state == "dead":
            self._start_failed(child, child.reason)
        elif child.state == "ready" and not was_ready:
            self._painter_rests()
            if self._on_config is not None:
                self._on_config(self._configs[0].name)

    def _look_after_spare(self) -> None:
        child = self._child
        if child is None or child.state != "ready" or not child.expired:
            return
        if self._spare is None:
            self._spare = self._new_child()
            return
        self._spare.poll()
        if self._spare.state == "ready" and not child.busy:
            self._retire(child)
            self._child, self._spare = self._spare, None
        elif self._spare.state == "dead":
            self._retire(self._spare)
            self._spare = None
            self._count_death()

    def _start_failed(self, child: RenderChild, reason: str) -> None:
        self._retire(child)
        failed = self._configs.pop(0)
        log.warning("3D: Open3D does not start with '%s': %s", failed.name, reason)
        self._child = None
        if self._configs:
            self._child = self._new_child()
        else:
            missing = "OpenGL is not available; install libgl1, libegl1 and the graphics driver"
            self._give_up(self._too_slow or missing)

    def _died(self, child: RenderChild) -> None:
        self._retire(child)
        self._child = None
        self._count_death()
        if not self._given_up:
            self._child = self._new_child()

    def _count_death(self) -> None:
        now = time.monotonic()
        self._deaths_s = [then for then in self._deaths_s if now - then < DEATH_MEMORY_S] + [now]
        if len(self._deaths_s) >= MAX_DEATHS:
            self._give_up("Open3D crashed twice; restart the program to try again")

    def _give_up(self, reason: str) -> None:
        self._given_up, self._reason = True, reason
        for child in (self._child, self._spare):
            if child is not None:
                self._retire(child)
        self._child = self._spare = None
        log.warning("3D: basic renderer in use: %s", reason)

    def _new_child(self) -> RenderChild | None:
        try:
            return RenderChild(self._configs[0].environment, self._render_limit)
        except OSError as error:
            self._give_up(f"no render process: {error}")
            return None

    def _retire(self, child: RenderChild) -> None:
        """End it without waiting: it may be importing, rendering or gone."""
        child.ask_to_stop()
        if child.state != "ready" or child.busy:
            child.kill()
        self._retiring.append(child)

    def _painter_rests(self) -> None:
        if self._painter is not None:
            self._painter.stop(0.0)
            self._painter = None
