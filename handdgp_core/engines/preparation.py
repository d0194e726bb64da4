"""A network made ready for another engine: exported, adapted and compared with PyTorch, once on a machine.

That takes many seconds. A program that must not wait runs PyTorch meanwhile (`PreparingEngine`): the work goes to a
process of its own at low priority, for in a thread it would hold Python's lock, and with it the window.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handdgp_core.engines.agreement import compare
from handdgp_core.engines.onnx_runtime import OnnxRuntimeEngine
from handdgp_core.engines.protocol import Engine, EngineOutput, Floats
from handdgp_core.engines.store import Kept, key_of, recall, remember
from handdgp_core.engines.threads import limit_threads, thread_count

__all__ = ["PreparingEngine", "prepare"]

# Beside a program that wants every core it gets a tenth of one, and is ready within minutes; at 19 it would get
# a hundredth and might never be.
_NICENESS = 10
_END_S = 5.0
_log = logging.getLogger(__name__)


def prepare(checkpoint: Path, name: str) -> Kept:
    """The checkpoint's network in an engine's form, and how it agrees; kept for the next time.

    Raises:
        RuntimeError: the network cannot be exported, or the engine cannot load it.
    """
    from handdgp_core.engines.export import onnx_bytes
    from handdgp_core.networks.checkpoints.weights import load_network

    key = key_of(checkpoint, name)
    network = load_network(checkpoint)
    content = OnnxRuntimeEngine.adapted(onnx_bytes(network))
    engine = OnnxRuntimeEngine(content, 1)
    kept = Kept(content, compare(network, engine))
    engine.close()
    if key_of(checkpoint, name) == key:  # else somebody wrote another checkpoint there meanwhile
        remember(key, kept)
    return kept


def _prepare_apart(checkpoint: str, name: str) -> None:
    """In a process of its own, which yields to everything else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends this process
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    limit_threads(1)
    prepare(Path(checkpoint), name)


class PreparingEngine:
    """See `Engine`. Runs as the first engine until another one is ready and `settle` is called.

    Args:
        first: what runs meanwhile.
        checkpoint: of its network.
        name: the engine that is made ready.
    """

    def __init__(self, first: Engine, checkpoint: Path, name: str) -> None:
        self._next: Engine | None = None
        self._use(first)
        self._checkpoint, self._wanted = checkpoint, name
        self._closed = threading.Event()
        context = multiprocessing.get_context("spawn")
        self._process: BaseProcess = context.Process(
            target=_prepare_apart, args=(str(checkpoint), name), name="handdgp-engine", daemon=True
        )
        self._thread = threading.Thread(target=self._prepare, name="engine", daemon=True)
        self._started = False

    def warm_up(self) -> None:
        self._now.warm_up()
        if not self._started:  # not before: the first picture is more urgent
            self._started = True
            self._thread.start()

    def run(self, images: NDArray[np.uint8], matrices: Floats) -> EngineOutput:
        return self._now.run(images, matrices)

    def settle(self) -> None:
        ready, self._next = self._next, None
        if ready is not None:
            self._now.close()
            self._use(ready)

    def close(self) -> None:
        self._closed.set()
        if self._started:
            if self._process.pid is not None and self._process.is_alive():
                self._process.terminate()
            self._thread.join(_END_S)
        self.settle()
        self._now.close()

    def _use(self, engine: Engine) -> None:
        self._now = engine
        self.name, self.device, self.precision = engine.name, engine.device, engine.precision

    def _prepare(self) -> None:
        try:
            self._process.start()
            self._process.join()
            kept = None if self._closed.is_set() else recall(key_of(self._checkpoint, self._wanted))
            if kept is None or not kept.agreement.is_enough:
                _log.info("PyTorch goes on: there is no other engine for %s", self._checkpoint.name)
                return
            engine = OnnxRuntimeEngine(kept.content, thread_count())
            engine.warm_up()
            self._next = engine
        except (OSError, RuntimeError) as error:
            _log.warning("PyTorch goes on: %s could not be made ready (%s)", self._wanted, error)
