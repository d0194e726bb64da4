"""Many labelled pictures in shards, by several processes; what is there already is kept.

A shard's pictures follow from the seed and the shard's number alone. So a run that was stopped goes on where it was,
more processes make the same files, and a larger count only adds to a smaller one.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

from handdgp_core.datasets.files import DatasetError
from handdgp_core.datasets.sample import LabelledHand
from handdgp_core.datasets.shards import ShardInfo, ShardWriter, read_info
from handdgp_core.errors import UsageError
from handdgp_core.synthetic.studio import Studio

__all__ = ["SHARD_SIZE", "SynthResult", "generate"]

SHARD_SIZE = 250
_TEMPLATE = "open"
_VERTICES = 1609
_LOOK_S = 0.5  # between looks at whether the caller asks to stop

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SynthResult:
    """Attributes:
    made: pictures that this run made.
    kept: pictures that were there before.
    finished: whether all are there now.
    """

    made: int
    kept: int
    finished: bool


def generate(
    folder: Path, count: int, seed: int, workers: int, progress: Progress, cancelled: threading.Event | None = None
) -> SynthResult:
    """Make shards until `count` pictures are in `folder`, in whole shards of `SHARD_SIZE`.

    Args:
        folder: made where due. Pictures of the same seed are kept and added to.
        count: how many pictures; rounded up to whole shards.
        seed: of all pictures. Take different ones for training and validation.
        workers: processes.
        progress: told (pictures done, pictures in all), from the calling thread.
        cancelled: stops when set; shards under way are given up, whole ones are kept.

    Raises:
        UsageError: a count or number of workers below 1, a negative seed.
        DatasetError: the folder holds shards of another kind or another seed.
        OutputError: the folder cannot be written.
        RenderError, AssetError: no OpenGL, or `anny` is missing.
    """
    if count < 1 or workers < 1 or seed < 0:
        raise UsageError(
            f"Could not draw with count {count}, workers {workers} and seed {seed}.",
            hint="Count and workers are 1 or more, the seed is not negative.",
        )
    info = ShardInfo(_VERTICES, mesh=_TEMPLATE, origin=f"python main.py synth --seed {seed}")
    writer = ShardWriter(folder, info)
    _check_origin(writer, info)
    total = -(-count // SHARD_SIZE)
    finished = writer.finished & set(range(total))
    missing = [number for number in range(total) if number not in finished]
    kept, made = len(finished) * SHARD_SIZE, 0
    progress(kept, total * SHARD_SIZE)
    stop = _Stop(cancelled)
    with _started(min(workers, len(missing)), folder, info, seed, stop) as results:
        for number in results(missing):
            made += SHARD_SIZE if number is not None else 0
            progress(kept + made, total * SHARD_SIZE)
    return SynthResult(made, kept, kept + made >= total * SHARD_SIZE)


def _check_origin(writer: ShardWriter, info: ShardInfo) -> None:
    found = read_info(writer.folder).origin
    if found != info.origin:
        raise DatasetError(
            f"Could not add images of `{info.origin}` to {writer.folder}, which holds images of `{found}`.",
            hint="Write into an empty folder, or give the same seed.",
        )


class _Stop:
    """The caller's request to stop, for this process and for others."""

    def __init__(self, cancelled: threading.Event | None) -> None:
        self._here = cancelled
        self.elsewhere: Any = None

    def is_set(self) -> bool:
        """Asks the caller; passes it on."""
        requested = self._here is not None and self._here.is_set()
        if requested and self.elsewhere is not None:
            self.elsewhere.set()
        return requested


@contextmanager
def _started(
    workers: int, folder: Path, info: ShardInfo, seed: int, stop: _Stop
) -> Iterator[Callable[[Sequence[int]], Iterator[int | None]]]:
    """A function that gives the numbers of shards as they get done, None for those that were stopped."""
    if workers <= 1:
        yield lambda numbers: _alone(numbers, folder, info, seed, stop)
        return
    context = multiprocessing.get_context("spawn")  # an OpenGL context does not survive a fork
    stop.elsewhere = context.Event()
    pool: Pool = context.Pool(workers, _start_worker, (folder, info, seed, stop.elsewhere))
    try:
        yield lambda numbers: _together(pool, numbers, stop)
        pool.close()
    except BaseException:
        pool.terminate()
        raise
    finally:
        pool.join()


def _together(pool: Pool, numbers: Sequence[int], stop: _Stop) -> Iterator[int | None]:
    results = pool.imap_unordered(_make, numbers)
    for _ in numbers:
        while True:
            try:
                found = results.next(timeout=_LOOK_S)
                break
            except multiprocessing.TimeoutError:
                stop.is_set()
        yield found


def _alone(numbers: Sequence[int], folder: Path, info: ShardInfo, seed: int, stop: Any) -> Iterator[int | None]:
    if not numbers:
        return
    writer = ShardWriter(folder, info)
    with Studio(seed) as studio:
        for number in numbers:
            yield _write(writer, studio, stop, number)


_worker: tuple[ShardWriter, Studio, Any] | None = None


def _start_worker(folder: Path, info: ShardInfo, seed: int, stop: Any) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process sees to an orderly end
    _worker = (ShardWriter(folder, info), Studio(seed), stop)


def _make(number: int) -> int | None:
    assert _worker is not None
    return _write(*_worker, number)


class _Stopped(Exception):
    pass


def _write(writer: ShardWriter, studio: Studio, stop: Any, number: int) -> int | None:
    """One shard; None, and nothing of it on disk, where the caller asked to stop."""
    try:
        writer.write(number, _samples(studio, stop, number * SHARD_SIZE))
    except _Stopped:
        return None
    return number


def _samples(studio: Studio, stop: Any, first: int) -> Iterator[LabelledHand]:
    for index in range(first, first + SHARD_SIZE):
        if stop.is_set():
            raise _Stopped
        yield studio.sample(index)
