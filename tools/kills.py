"""Kills recordings at any moment, repairs them, and tells what was lost: docs/session-format.md.

python -m tools.kills --kills 50
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handdgp_core.errors import SourceError
from handdgp_core.sessions import SessionReader, repair
from tests.places import ROOT

RECORD = "tests.handdgp_core.sessions.recording_process"


@dataclass(frozen=True)
class Kill:
    """What came of one recording.

    Attributes:
        taken, counted, kept: frames that the recorder had taken in, had counted as written, and that are in the file.
        lost_ms: between the last frame that was taken in and the last in the file.
        fault: what is wrong with the file; empty where it holds what it should.
    """

    taken: int
    counted: int
    kept: int
    lost_ms: float
    fault: str = ""


def start_recording(path: Path, fps: float, seconds: float, *limits: int) -> subprocess.Popen[str]:
    """A process that records to `path`; limits: bytes that a file may have (0 for any), bytes in reserve."""
    arguments = [str(value) for value in (path, fps, seconds, *(limits or (0, 1 << 20)))]
    return subprocess.Popen(
        [sys.executable, "-m", RECORD, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def kill_one(path: Path, after_s: float, at_once: bool = False) -> Kill:
    """Start a recording, kill it `after_s` after it has written something (or begun, `at_once`), and repair it."""
    process = start_recording(path, 60, 60)
    assert process.stdout is not None
    said = [_said(process.stdout.readline())]
    while not at_once and said[-1][2] == 0:
        said.append(_said(process.stdout.readline()))
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    rest = process.communicate()[0].splitlines(keepends=True)
    said += [_said(line) for line in rest if line.endswith("\n")]  # the last one may be cut off
    return _judged(path, said)


def _said(line: str) -> tuple[int, int, int]:
    """Number, stamp, and frames known to be written."""
    index, stamp_ns, written = map(int, line.split())
    return index, stamp_ns, written


def _judged(path: Path, said: Sequence[tuple[int, int, int]]) -> Kill:
    stamps_ns = [stamp_ns for _, stamp_ns, _ in said]
    counted = max(written for _, _, written in said)
    try:
        with SessionReader(repair(path.with_name(path.name + ".part")).path) as read:
            kept = [read.facts_of(place) for place in range(read.frame_count)]
            has_results = all(read.hands(place) is not None for place in range(read.frame_count - 1))
    except SourceError as error:  # killed before anything was due
        return Kill(len(said), counted, 0, (stamps_ns[-1] - stamps_ns[0]) / 1e6, str(error) if counted else "")
    fault = ""
    if [facts.index for facts in kept] != list(range(len(kept))) or not has_results:
        fault = "frames or results are missing between others"
    elif [facts.stamp_ns for facts in kept[: len(said)]] != stamps_ns[: len(kept)]:
        fault = "frames have other times"
    elif not counted <= len(kept) <= len(said) + 1:  # the last may be taken in and not told yet
        fault = f"{len(kept)} frames, where {counted} were counted as written and {len(said)} taken in"
    return Kill(len(said), counted, len(kept), (stamps_ns[-1] - kept[-1].stamp_ns) / 1e6, fault)


def main() -> int:
    """Prints each fault and the losses; 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=11)
    given = parser.parse_args()
    rng, kills = random.Random(given.seed), list[Kill]()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.kills):
            kills.append(kill_one(Path(folder) / f"killed-{number}.mcap", rng.uniform(0.0, 2.0), at_once=number == 0))
            if kills[-1].fault:
                print(f"kill {number}: {kills[-1]}", flush=True)
    losses_ms, load = [kill.lost_ms for kill in kills], os.getloadavg()[0]
    faults = sum(bool(kill.fault) for kill in kills)
    print(
        f"{len(kills)} kills of {sum(kill.taken for kill in kills)} frames taken in, {faults} faults; lost "
        f"{np.median(losses_ms):.0f} ms in the median, {max(losses_ms):.0f} ms at worst; load {load:.0f}"
    )
    return int(faults > 0)


if __name__ == "__main__":
    raise SystemExit(main())
