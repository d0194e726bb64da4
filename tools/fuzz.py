"""Damages files for as long as it is told, and counts what every loader makes of them: docs/reliability.md.

python -m tools.fuzz --minutes 60
python -m tools.fuzz --inputs 2000 --loader pickle --loader views
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.robustness.child import GOOD, Child, Outcome
from tests.robustness.loaders import LOADERS
from tests.robustness.mutations import drawn

_KINDS = ("read", "refused", "raw", "crash", "hang", "memory")


def fuzz(name: str, folder: Path, seed: int, inputs: int, seconds: float) -> tuple[Counter[str], list[str], float]:
    """Outcomes of one loader by kind, what went wrong (each kind of fault once), and the most memory in MB."""
    rng = random.Random(f"{seed} {name}")
    counts: Counter[str] = Counter()
    faults: dict[str, str] = {}
    most_mb = 0.0
    with Child(name, folder) as child:
        child.load(0, [])  # starting takes seconds, which are no part of its share
        end_s = time.monotonic() + seconds
        while sum(counts.values()) < inputs and time.monotonic() < end_s:
            number, mutations = rng.randrange(6), drawn(rng)
            outcome = child.load(number, mutations)
            counts[outcome.kind] += 1
            most_mb = max(most_mb, outcome.mb)
            if outcome.kind not in GOOD:
                faults.setdefault(_sort(outcome), json.dumps({"what": outcome.what, "seed": number, "do": mutations}))
    return counts, list(faults.values()), most_mb


def _sort(outcome: Outcome) -> str:
    return f"{outcome.kind} {outcome.what.split(':')[0]}"


def main() -> int:
    """Prints a table; 1 where a loader did anything but read or refuse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="in all, shared by the loaders")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="at most, of each loader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--loader", action="append", choices=tuple(LOADERS), help="these alone")
    given = parser.parse_args()
    names = given.loader or list(LOADERS)
    print("| loader | inputs | " + " | ".join(_KINDS) + " | most MB |\n|" + " --- |" * (len(_KINDS) + 3))
    total: Counter[str] = Counter()
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            share_s = 60 * given.minutes / len(names)
            counts, faults, most_mb = fuzz(name, Path(folder), given.seed, given.inputs, share_s)
        total += counts
        cells = " | ".join(str(counts[kind]) for kind in _KINDS)
        print(f"| {name} | {sum(counts.values())} | {cells} | {most_mb:.0f} |", flush=True)
        for fault in faults:
            print(f"    {fault}", flush=True)
    print(f"| all | {sum(total.values())} | " + " | ".join(str(total[kind]) for kind in _KINDS) + " | |")
    return int(any(total[kind] for kind in _KINDS if kind not in GOOD))


if __name__ == "__main__":
    raise SystemExit(main())
