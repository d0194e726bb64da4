"""Mutates recordings and looks what the reader and `repair` make of them, in child processes with limits.

    python -m tests.handdgp_core.sessions.fuzz_recordings --cases 5000 [--seed 1]

prints a table of outcomes by kind of mutation. "whole": everything came back; "told": something is missing, and the
user is told; "silent": something is missing or different without a word; "crash": an error that is none of ours;
"killed": the child went beyond 2 GiB or 20 s for one file. Cases of the last three kinds are printed.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcap.opcode import Opcode
from mcap.writer import CompressionType

from handdgp_core.errors import HandDGPError
from handdgp_core.sessions import DamagedFrame, SessionReader, repair
from tests.handdgp_core.sessions.conftest import number_of, write_session
from tests.handdgp_core.sessions.foreign import write_foreign
from tests.places import ROOT

MEMORY_BYTES, CPU_S = 2 << 30, 20
BAD = ("silent", "crash", "killed")

Content = dict[int, tuple[bytes, str, Any]]  # frames by their number: the image's bytes, the result as text, the camera


@dataclass(frozen=True)
class Look:
    """What the reader made of a file."""

    content: Content
    is_damage_met: bool
    warnings: frozenset[str]


def look(path: Path) -> Look:
    """All frames and results of a file. Raises whatever the reader raises."""
    content: Content = {}
    with SessionReader(path) as read:
        is_damage_met = False
        for place in range(read.frame_count):
            try:
                frame, facts, found = read.frame(place), read.facts_of(place), read.hands(place)
                read.thumbnail(place)
                read.settings_at(place)
            except DamagedFrame:
                is_damage_met = True
                continue
            hands = [] if found is None else [hand.root_m.tolist() for hand in found.hands]
            camera = None if frame.camera is None else frame.camera.matrix.tolist()
            number = number_of(frame.image) if facts.name is None and not read.facts else facts.index
            content[number] = frame.image.tobytes(), f"{found is None} {hands}", camera
        warnings = frozenset(warning.replace(path.name, "") for warning in read.warnings)
        return Look(content, is_damage_met or bool(read.losses), warnings)


def judged(path: Path, good: Look, compares: bool) -> str:
    """The outcome for the reader."""
    try:
        seen = look(path)
    except HandDGPError:
        return "told"
    except Exception as error:
        return f"crash {type(error).__name__}: {error}"
    if seen.content == good.content or not compares:
        return "whole"
    wrong = any(not _is_part_of(value, good.content.get(number)) for number, value in seen.content.items())
    is_told = seen.is_damage_met or bool(seen.warnings - good.warnings)
    return "silent" if wrong or not is_told else "told"


def _is_part_of(value: tuple[bytes, str, Any], whole: tuple[bytes, str, Any] | None) -> bool:
    """The same picture, with the same result and camera or without them."""
    if whole is None:
        return False
    image, result, camera = value
    return image == whole[0] and result in (whole[1], "True []") and camera in (whole[2], None)


def judged_repair(path: Path, output: Path, good: Look, compares: bool) -> str:
    """The outcome for `repair`, and for the reader of what it made."""
    try:
        report = repair(path, None if path.suffix == ".part" else output)
    except HandDGPError:
        return "told"
    except Exception as error:
        return f"crash {type(error).__name__}: {error}"
    outcome = judged(report.path, good, compares)
    report.path.unlink()
    return "told" if outcome == "silent" and report.losses else outcome


# Mutations ------------------------------------------------------------------------------------------------------------


def records(data: bytes) -> list[tuple[int, int, int]]:
    """(opcode, start, end) of the records outside of chunks."""
    found, position = [], 8
    while position + 9 <= len(data):
        opcode, length = struct.unpack_from("<BQ", data, position)
        if position + 9 + length > len(data):
            break
        found.append((opcode, position, position + 9 + length))
        position += 9 + length
    return found


def flip_anywhere(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_unprotected(data: bytearray, rng: random.Random) -> None:
    """One bit of a head of a chunk or of a message index: nothing there has a checksum."""
    spans = [(start, min(end, start + 49)) for opcode, start, end in records(data) if opcode == Opcode.CHUNK]
    spans += [(start, end) for opcode, start, end in records(data) if opcode == Opcode.MESSAGE_INDEX]
    start, end = rng.choice(spans or [(8, len(data))])
    data[rng.randrange(start, end)] ^= 1 << rng.randrange(8)


def noise(data: bytearray, rng: random.Random) -> None:
    place, size = rng.randrange(len(data)), rng.randint(1, 400)
    data[place : place + size] = rng.randbytes(size)


def zeros(data: bytearray, rng: random.Random) -> None:
    place, size = rng.randrange(len(data)), rng.randint(1, 4096)
    data[place : place + size] = bytes(size)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(20, len(data)) :]


def insert(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data))
    data[place:place] = rng.randbytes(rng.randint(1, 400))


def remove(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data))
    del data[place : place + rng.randint(1, 4000)]


def extremes(data: bytearray, rng: random.Random) -> None:
    """A length, size or time that is as large as it can be, in the head of some record."""
    _, start, end = rng.choice(records(data) or [(0, 8, len(data))])
    place = rng.randrange(start, min(end, start + 64))
    value = rng.choice([0, 1, 2**31 - 1, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1])
    data[place : place + 8] = struct.pack("<Q", value)


def crafted(data: bytearray, rng: random.Random) -> None:
    """Changes inside of a chunk that is not compressed, with a right checksum: what only a malicious writer makes."""
    chunks = [(start, end) for opcode, start, end in records(data) if opcode == Opcode.CHUNK]
    if not chunks:
        extremes(data, rng)
        return
    start, end = rng.choice(chunks)
    (name_length,) = struct.unpack_from("<I", data, start + 9 + 28)
    body = start + 9 + 28 + 4 + min(name_length, 8) + 8
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(body, end) if body < end else start
        if rng.random() < 0.5:
            data[place] ^= 1 << rng.randrange(8)
        else:
            size = min(8, end - place)
            data[place : place + size] = struct.pack("<Q", rng.choice([0, 2**31, 2**63, 2**64 - 1]))[:size]
    data[start + 9 + 24 : start + 9 + 28] = struct.pack("<I", zlib.crc32(bytes(data[body:end])))


Mutation = Callable[[bytearray, random.Random], None]
MUTATIONS: dict[str, Mutation] = {
    mutate.__name__: mutate
    for mutate in (flip_anywhere, flip_unprotected, noise, zeros, cut, insert, remove, extremes, crafted)
}


def bases(folder: Path) -> dict[str, Path]:
    """Recordings to start from."""
    return {
        "session": write_session(folder / "session.mcap", count=20, flush_every=4),
        "unfinished": write_session(folder / "unfinished.mcap", count=20, flush_every=4, finish=False),
        "zstd": write_foreign(folder / "zstd.mcap", chunk_size=4000),
        "lz4": write_foreign(folder / "lz4.mcap", chunk_size=4000, compression=CompressionType.LZ4),
        "loose": write_foreign(folder / "loose.mcap", use_chunking=False),
    }


def compares(base: str, kind: str) -> bool:
    """Whether damage can be seen: messages outside of chunks have no checksum, and a crafted one is right."""
    return kind != "crafted" and base != "loose"


# Processes ------------------------------------------------------------------------------------------------------------


def run_child(folder: Path, seed: int, first: int, count: int) -> None:
    """Cases `first` to `first + count`, one line each, under limits."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    files = {name: folder / path.name for name, path in _paths(folder).items()}
    good = {name: look(path) for name, path in files.items()}
    for number in range(first, first + count):
        rng = random.Random(seed * 1_000_003 + number)
        base, kind = rng.choice(list(files)), rng.choice(list(MUTATIONS))
        data = bytearray(files[base].read_bytes())
        MUTATIONS[kind](data, rng)
        path = folder / f"case-{first}{''.join(files[base].suffixes)}"
        path.write_bytes(data)
        used_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        resource.setrlimit(resource.RLIMIT_CPU, (int(used_s) + CPU_S, -1))
        print(json.dumps([number, base, kind, "begun", "begun"]), flush=True)
        read = judged(path, good[base], compares(base, kind))
        repaired = judged_repair(path, folder / f"out-{first}.mcap", good[base], compares(base, kind))
        print(json.dumps([number, base, kind, read, repaired]), flush=True)


def _paths(folder: Path) -> dict[str, Path]:
    names = ("session.mcap", "unfinished.mcap.part", "zstd.mcap", "lz4.mcap", "loose.mcap")
    return {name.partition(".")[0]: folder / name for name in names}


def fuzz(cases: int, seed: int) -> tuple[Counter[tuple[str, str, str]], list[list[object]]]:
    """Outcomes by (reader or repair, mutation, outcome), and the cases that are faults."""
    counts: Counter[tuple[str, str, str]] = Counter()
    faults: list[list[object]] = []
    with tempfile.TemporaryDirectory() as name:
        bases(Path(name))
        first = 0
        while first < cases:
            command = [sys.executable, "-m", "tests.handdgp_core.sessions.fuzz_recordings", "--child", name]
            given = ["--seed", str(seed), "--first", str(first), "--cases", str(cases - first)]
            done = subprocess.run([*command, *given], cwd=ROOT, capture_output=True, text=True)
            lines = [json.loads(line) for line in done.stdout.splitlines()]
            if not lines:
                raise RuntimeError(done.stderr)
            finished = {line[0]: line for line in lines if line[3] != "begun"}
            if lines[-1][3] == "begun":
                number, base, kind, *_ = lines[-1]
                finished[number] = [number, base, kind, "killed", "killed"]
            for line in finished.values():
                for who, outcome in zip(("reader", "repair"), line[3:], strict=True):
                    word = outcome.partition(" ")[0]
                    counts[who, line[2], word] += 1
                    if word in BAD:
                        faults.append([who, *line[:3], outcome])
            first = lines[-1][0] + 1
    return counts, faults


def main() -> int:
    """Run, print the table, and fail where there was a fault."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--child", type=Path)
    given = parser.parse_args()
    if given.child is not None:
        run_child(given.child, given.seed, given.first, given.cases)
        return 0
    counts, faults = fuzz(given.cases, given.seed)
    words = ("whole", "told", *BAD)
    print("| | mutation |", " | ".join(words), "|\n|", "--- |" * (2 + len(words)))
    for who in ("reader", "repair"):
        for kind in MUTATIONS:
            print(f"| {who} | {kind} |", " | ".join(str(counts[who, kind, word]) for word in words), "|")
        print(f"| {who} | all |", " | ".join(str(sum(counts[who, k, w] for k in MUTATIONS)) for w in words), "|")
    for fault in faults[:20]:
        print(fault)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
