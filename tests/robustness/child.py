"""A process that loads damaged files with little memory and time, and says what came of each.

Run as `python -m tests.robustness.child NAME FOLDER`: a line of JSON in ([number of the good file, mutations]), a line
out ({"kind": "read" | "refused" | "raw", "type", "text", "mb", "s"}). A crash or a hang is what its parent sees of it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from tests.places import ROOT
from tests.robustness.mutations import Mutation

MEMORY_MB = 1000  # of address space beyond what the program itself takes
LARGE_MB = 400  # that a file of some kilobytes must not take
CPU_S = 10
READY = "ready"
GOOD = ("read", "refused")


@dataclass(frozen=True)
class Outcome:
    """What came of one file.

    Attributes:
        kind: "read", "refused" (a HandDGPError), "raw" (any other error), "crash", "hang" or "memory".
        what: type and text of the error, or the signal.
        mb: memory that it took at its highest, beyond what was in use.
        s: CPU seconds.
    """

    kind: str
    what: str = ""
    mb: float = 0.0
    s: float = 0.0


class Child:
    """The process, restarted when it dies. Leaving the `with` block ends it."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._process: subprocess.Popen[str] | None = None

    def load(self, seed: int, mutations: Sequence[Mutation]) -> Outcome:
        """What comes of one file."""
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([seed, list(mutations)]) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if answer:
            outcome = Outcome(**json.loads(answer))
            return replace(outcome, kind="memory") if outcome.mb > LARGE_MB else outcome
        number = -process.wait()
        self.__exit__(None, None, None)
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return Outcome("hang", f"more than {CPU_S} s")
        return Outcome("crash", signal.Signals(number).name if number > 0 else f"exit code {-number}")

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
            self._process.wait()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.robustness.child", self._name, str(self._folder)]
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        if process.stdout.readline().strip() != READY:
            raise RuntimeError(f"the child for {self._name} does not start: {process.wait()}")
        self._process = process
        return process


def main(name: str, folder: Path) -> None:
    """Answer until the input ends."""
    from tests.robustness.loaders import LOADERS, seeds
    from tests.robustness.mutations import mutated

    loader = LOADERS[name]
    folder.mkdir(parents=True, exist_ok=True)
    good = seeds(loader, folder)
    file = folder / loader.file
    loader.load(file)  # imports what it needs, before the limits
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _limit_memory()
    print(READY, file=answers, flush=True)
    for line in sys.stdin:
        seed, mutations = json.loads(line)
        content = good[seed % len(good)]
        head = loader.head or len(content)
        file.write_bytes(mutated(content[:head], [tuple(entry) for entry in mutations]) + content[head:])
        print(json.dumps(_outcome(loader.load, file)), file=answers, flush=True)


def _outcome(load: object, file: Path) -> dict[str, object]:
    from handdgp_core.errors import HandDGPError

    assert callable(load)
    start_s = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(start_s) + CPU_S, resource.RLIM_INFINITY))
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark begins anew
    before_mb = _memory_mb("VmHWM")
    kind, what = "read", ""
    try:
        load(file)
    except HandDGPError as error:
        kind, what = "refused", error.problem
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind, what = "raw", f"{type(error).__name__} in {Path(place.filename).name}: {error}"
    taken_mb = _memory_mb("VmHWM") - before_mb
    return {"kind": kind, "what": what[:200], "mb": round(taken_mb, 1), "s": round(time.process_time() - start_s, 3)}


def _limit_memory() -> None:
    size = int((_memory_mb("VmSize") + MEMORY_MB) * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _memory_mb(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(name)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
