"""A few small drawn pictures as shards."""

from __future__ import annotations

from pathlib import Path

from handdgp_core.datasets.shards import ShardInfo, Shards, ShardWriter
from handdgp_core.synthetic.studio import Studio, StudioOptions

PLAIN = StudioOptions(size=160, variants=1, sleeves=2, rooms=0, texture_size=64)


def small_shards(folder: Path, seed: int, count: int = 6) -> Shards:
    """`count` pictures in one shard."""
    writer = ShardWriter(folder, ShardInfo(1609, origin=f"seed {seed}"))
    with Studio(seed, PLAIN) as studio:
        writer.write(0, (studio.sample(number) for number in range(count)))
    return Shards(folder)
