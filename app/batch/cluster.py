"""Jobs on the processes of a Ray cluster, or of this machine. Ray sends no statistics of its use, and has no dashboard.

A process that dies is replaced, and its job tried again.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from app.batch.worker import Job, JobResult, ModelOptions, Worker
from handdgp_core.errors import UsageError

__all__ = ["ClusterOptions", "joined_cluster", "run_jobs"]

_POLL_S = 0.5
_PACKAGE_ROOT = Path(__file__).parents[2]
# No statistics of use; and a process that Ray gives no GPU must not lose sight of one.
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@dataclass(frozen=True)
class ClusterOptions:
    """What processes take.

    Attributes:
        address: of a running cluster ("auto" for one on this machine); None starts Ray here, for as long as it lasts.
        workers: processes; None for as many as there is room for.
        cpus, gpus: of each; a fraction of a GPU lets several share one.
        retries: how often a job is tried again after a process died or failed.
    """

    address: str | None = None
    workers: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    retries: int = 2


@contextmanager
def joined_cluster(options: ClusterOptions) -> Iterator[int]:
    """Ray, and how many processes the batch gets.

    Raises:
        UsageError: there is no such cluster, Ray does not start, or there is no room for one process.
    """
    ray = _ray()
    paths = [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}  # a checkout that is not installed
    already = ray.is_initialized()
    try:
        if not already:
            _start(options, environment)
        yield _workers(options)
    finally:
        if not already:
            ray.shutdown()


def _start(options: ClusterOptions, environment: dict[str, str]) -> None:
    local: dict[str, Any] = {
        "num_cpus": _local_cpus(options), "include_dashboard": False, "_node_ip_address": "127.0.0.1"
    }  # fmt: skip
    try:
        _ray().init(
            address=options.address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False,
            runtime_env={"env_vars": environment}, **({} if options.address else local),
        )  # fmt: skip
    except ConnectionError as error:
        raise UsageError(
            f"Could not join the cluster at {options.address}.", hint="Check `ray status` on its first machine."
        ) from error
    except Exception as error:  # Ray has no class of its own for this
        raise UsageError(
            f"Ray could not start: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            hint="It needs some seconds of a processor to itself: try again when this machine is less busy.",
        ) from error


def _local_cpus(options: ClusterOptions) -> int:
    wanted = (options.workers or 0) * options.cpus
    return max(1, os.cpu_count() or 1, -int(-wanted // 1))


def _ray() -> Any:
    """The package, which comes with an extra and reads its environment when it is imported."""
    os.environ.update(_ENVIRONMENT)
    import ray

    return ray


def _workers(options: ClusterOptions) -> int:
    there = _ray().cluster_resources()
    room = int(there.get("CPU", 0) / options.cpus)
    if options.gpus:
        room = min(room, int(there.get("GPU", 0) / options.gpus + 1e-9))
    if room < 1:
        found = f"{there.get('CPU', 0):g} processors and {there.get('GPU', 0):g} GPUs"
        raise UsageError(
            f"The cluster has {found}: no room for a process of {options.cpus:g} and {options.gpus:g}.",
            hint="Give smaller --cpus and --gpus.",
        )
    return room if options.workers is None else min(room, options.workers)


@dataclass
class _Running:
    job: Job
    actor: Any
    attempt: int


def run_jobs(
    jobs: Iterable[Job], model: ModelOptions, options: ClusterOptions, workers: int, stop: Event
) -> Iterator[tuple[Job, JobResult]]:
    """Run jobs, and give what became of each as it ends; nothing of those that `stop` left.

    Args:
        jobs: in the order that they are begun in.
        model, options: see there.
        workers: how many at a time.
        stop: set it to begin no more.
    """
    from ray.exceptions import RayError

    ray = _ray()
    remote: Any = ray.remote(num_cpus=options.cpus, num_gpus=options.gpus)(Worker)
    waiting = deque((job, 1) for job in jobs)
    idle = [remote.remote(model) for _ in range(min(workers, len(waiting)))]
    running: dict[Any, _Running] = {}
    while running or (waiting and not stop.is_set()):
        while idle and waiting and not stop.is_set():
            actor, (job, attempt) = idle.pop(), waiting.popleft()
            running[actor.run.remote(job)] = _Running(job, actor, attempt)
        ready, _ = ray.wait(list(running), timeout=_POLL_S)
        for reference in ready:
            task = running.pop(reference)
            try:
                result = ray.get(reference)
                idle.append(task.actor)
            except RayError as error:
                ray.kill(task.actor)
                idle.append(remote.remote(model))
                result = JobResult(error=f"A process of the batch died: {type(error).__name__}.")
            if result.error is not None and not result.is_final and task.attempt <= options.retries:
                waiting.appendleft((task.job, task.attempt + 1))
            else:
                yield task.job, result
