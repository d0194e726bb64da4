"""A short run of the mutations of `fuzz_recordings`, and every kind of bit that no checksum protects."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest
from mcap.opcode import Opcode

from handdgp_core.sessions import repair
from tests.handdgp_core.sessions.conftest import write_session
from tests.handdgp_core.sessions.fuzz_recordings import BAD, fuzz, look, records

CASES = int(os.environ.get("HANDDGP_FUZZ_CASES", "60"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of processes")
def test_no_mutation_crashes_hangs_or_hides_a_loss() -> None:
    counts, faults = fuzz(CASES, seed=20)
    assert not faults
    assert sum(count for (who, _, word), count in counts.items() if who == "reader" and word not in BAD) == CASES


def test_one_bit_of_what_has_no_checksum_costs_nothing_where_the_file_has_its_index(session: Path) -> None:
    """Heads of chunks and message indexes: times, places, channels, lengths, codes."""
    whole, good = session.read_bytes(), look(session)
    rng = random.Random(14)
    protected = range(9 + 24, 9 + 28)  # the checksum of the chunk's data itself
    for opcode, start, end in records(whole):
        if opcode == Opcode.CHUNK:
            spots = [spot for spot in range(49) if spot not in protected]
        elif opcode == Opcode.MESSAGE_INDEX:
            spots = rng.sample(range(end - start), 4)
        else:
            continue
        for spot in rng.sample(spots, 4):
            data = bytearray(whole)
            data[start + spot] ^= 1 << rng.randrange(8)
            session.write_bytes(data)
            assert look(session).content == good.content, (opcode, start, spot)
    report = repair(session)
    assert look(report.path).content == good.content and not report.losses


def test_the_fuzzer_sees_a_loss_that_is_not_told(tmp_path: Path) -> None:
    """It must be able to fail: a file with fewer results is no part of the whole one for `look`."""
    whole = look(write_session(tmp_path / "whole.mcap", count=6))
    fewer = look(write_session(tmp_path / "fewer.mcap", count=5))
    assert whole.content != fewer.content and not fewer.is_damage_met and not fewer.warnings
