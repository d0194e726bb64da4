"""In which order a training run reads its samples: shuffled, repeatable, and resumable in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from handdgp_core.errors import UsageError

__all__ = ["BlockShuffle"]


class BlockShuffle(Sampler[int]):
    """Every sample once per epoch, in an order that follows from the seed and the epoch alone.

    Shards are best read front to back: their order is shuffled, and the samples of `window` neighbours in that order
    are mixed. With one block (a data set whose pictures are files of their own) this is a plain shuffle.

    Args:
        lengths: number of samples of every block of consecutive samples, e.g. `Shards.lengths` or [len(dataset)].
        seed: of the order.
        shuffle: off for the natural order.
        window: how many blocks are mixed.
        rank: this process among `ranks`, each of which gets its own, equally long part; what does not divide is left
            out, other samples in every epoch.
        ranks: number of processes.

    Raises:
        UsageError: no samples, fewer than processes, or a rank outside.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        seed: int = 0,
        shuffle: bool = True,
        window: int = 8,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self._starts = np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))])
        if self._starts[-1] < max(1, ranks):
            raise UsageError(f"{self._starts[-1]} samples are too few for {ranks} processes.")
        if not 0 <= rank < ranks or window < 1:
            raise UsageError(f"There is no rank {rank} of {ranks} processes with a window of {window} samples.")
        self.seed, self.shuffle, self.window = seed, shuffle, window
        self.rank, self.ranks = rank, ranks
        self.epoch = 0
        self._position = 0

    def __len__(self) -> int:
        """Samples of a whole epoch of this process."""
        return int(self._starts[-1]) // self.ranks

    def __iter__(self) -> Iterator[int]:
        """From the resumed position on; the next epoch starts at its beginning."""
        order = self.order(self.epoch)[self._position :]
        self._position = 0
        yield from (int(index) for index in order)

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes next. Lightning calls this by itself."""
        self.epoch = epoch

    def resume(self, epoch: int, done: int) -> None:
        """Go on in the middle: the next iteration leaves out the first `done` samples of this process.

        The loader hands samples out ahead of the training step, so the number comes from the steps taken (steps times
        batch size), never from how far this iterator has got.
        """
        self.epoch, self._position = epoch, done

    def order(self, epoch: int) -> NDArray[np.int64]:
        """This process's sample numbers of a whole epoch."""
        count = int(self._starts[-1])
        if not self.shuffle:
            order = np.arange(count)
        else:
            rng = np.random.default_rng([self.seed, epoch])
            blocks = rng.permutation(len(self._starts) - 1)
            windows = (blocks[first : first + self.window] for first in range(0, len(blocks), self.window))
            order = np.concatenate([rng.permutation(self._members(window)) for window in windows])
        return order[: count - count % self.ranks][self.rank :: self.ranks]

    def _members(self, blocks: NDArray[Any]) -> NDArray[np.int64]:
        return np.concatenate([np.arange(self._starts[block], self._starts[block + 1]) for block in blocks])
