"""Batches on Ray: two nodes on this machine, and a worker that is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from app.batch.cluster import ClusterOptions
from app.batch.run import BatchOptions, run_batch
from handdgp_core.errors import UsageError
from tests.app.batch.takes import (
    FRAMES,
    LANDMARKS,
    assert_same_as_process,
    demo_frames,
    result_of,
    write_takes,
)
from tests.painted_hand import write_clip

pytest.importorskip("ray", reason="the extra `batch` is not installed")


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_takes(tmp_path_factory.mktemp("takes"))


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one processor each."""
    from ray.cluster_utils import Cluster

    try:
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
    except Exception as error:  # a node that does not answer within Ray's own 30 s
        pytest.skip(f"This machine is too busy for Ray: {error}")
    yield nodes
    nodes.shutdown()


@pytest.fixture(scope="module")
def on_two_nodes(cluster, takes: Path, tmp_path_factory: pytest.TempPathFactory):
    output = tmp_path_factory.mktemp("batch")
    options = BatchOptions((str(takes),), output, LANDMARKS, ClusterOptions(address=cluster.address, workers=2))
    return options, run_batch(options)


def test_two_nodes_give_what_process_gives(on_two_nodes, takes: Path, tmp_path: Path) -> None:
    options, report = on_two_nodes
    assert report.workers == 2 and len(report.done) == 3 and report.frames == 3 * FRAMES
    for number in range(3):
        assert_same_as_process(options.output, takes, number, tmp_path)


def workers_with(mark: str) -> list[int]:
    """Processes of Ray's that this test has caused."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            is_worker = entry.name.isdecimal() and (entry / "cmdline").read_bytes().startswith(b"ray::Worker")
            if is_worker and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_a_worker_that_is_killed_is_replaced(takes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = f"mark-{os.getpid()}-{time.time_ns()}"
    monkeypatch.setenv("HANDDGP_TEST_MARK", mark)
    long_take = write_clip(tmp_path / "long.avi", demo_frames(60, 12))
    output = tmp_path / "out"
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while not killed and not ended.is_set():
            if list(output.glob("*/*.part.mcap")):  # it is at work
                killed.extend(workers_with(mark)[:1])
                for process in killed:
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        report = run_batch(BatchOptions((str(long_take),), output, LANDMARKS, ClusterOptions(workers=1)))
    except UsageError as error:
        pytest.skip(error.problem)
    finally:
        ended.set()
        killer.join()
    assert len(killed) == 1 and report.failed == {} and len(report.done) == 1
    assert set(result_of(output, "long")["frame_index"]) <= set(range(12))
    assert report.frames == 12
