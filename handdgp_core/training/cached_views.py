"""Views of labelled images with what frozen networks make of them, computed once and kept.

One file for every block of images and draw of their views, written whole or not at all, in a folder whose name follows
from all that the numbers depend on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from torch.utils.data import DataLoader, Subset

from handdgp_core.augmentation import ViewPairs, render_views
from handdgp_core.files import whole_file
from handdgp_core.networks.backbones.mediapipe_landmarks import INPUT_SIZE

__all__ = ["Progress", "cache_folder", "cached_files", "rendered_batches"]

VERSION = 1
Progress = Callable[[int, int], None]
Content = TypeVar("Content")


def cache_folder(cache: Path, key: Mapping[str, Any]) -> Path:
    """The folder for numbers that depend on the values of `key`, which are plain.

    None inside of a value counts as not there, so that a new setting which is off leaves older folders valid.
    """
    said = {
        name: {part: entry for part, entry in value.items() if entry is not None} if isinstance(value, dict) else value
        for name, value in key.items()
    }
    text = json.dumps({"version": VERSION, **said}, sort_keys=True)
    return cache / sha256(text.encode()).hexdigest()[:12]


def cached_files(
    pairs: ViewPairs,
    lengths: Sequence[int],
    draws: int,
    name: Callable[[int, int, int], Path],
    compute: Callable[[range], Content],
    save: Callable[[Path, Content], None],
    progress: Progress,
) -> list[Path]:
    """The files of all blocks, draw by draw; those that are there already are not computed again.

    Args:
        pairs: set to each draw in turn.
        lengths: images in every block.
        draws: how often, each time in other views.
        name: file of (draw, number of the block, its first image).
        compute: from the numbers of a block's images to the content of its file.
        save: writes it.
        progress: told (images done, images in all).

    Raises:
        OutputError: the cache cannot be written.
    """
    files, done, total = [], 0, draws * sum(lengths)
    for draw in range(draws):
        pairs.set_epoch(draw)
        for number, (end, length) in enumerate(zip(accumulate(lengths), lengths, strict=True)):
            path = name(draw, number, end - length)
            if not path.exists():
                content = compute(range(end - length, end))
                with whole_file(path, make_folder=True) as part:
                    save(part, content)
            files.append(path)
            done += length
            progress(done, total)
    return files


def rendered_batches(pairs: ViewPairs, indices: range, batch_size: int, workers: int = 0) -> Iterator[dict[str, Any]]:
    """Views of these images as MediaPipe's landmark network takes them, in batches."""
    for batch in DataLoader(Subset(pairs, indices), batch_size=batch_size, num_workers=workers):
        yield render_views(batch, INPUT_SIZE)
