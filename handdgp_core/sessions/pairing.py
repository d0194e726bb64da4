"""Which messages belong to one picture. Times are no identity: several messages may share one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handdgp_core.sessions.records import Entry

__all__ = ["FramePlaces", "Key", "Place", "in_order", "pair", "rising"]

_STEP_NS = 33_333_333  # between pictures whose times tell nothing


class Place(NamedTuple):
    """Where a message lies: the number of its chunk, and its entry there."""

    chunk: int
    entry: Entry


@dataclass
class FramePlaces:
    """Where all that is known about one picture lies; None for what there is not."""

    image: Place
    facts: Place | None = None
    exact: Place | None = None
    hands: Place | None = None


class Key(NamedTuple):
    """What a session itself calls a frame."""

    number: int
    stamp_ns: int


def in_order(places: Iterable[Place]) -> list[Place]:
    """By time and, among equals, in the order of the file."""
    return sorted(places, key=_order)


def _position(place: Place) -> tuple[int, int]:
    return place.chunk, place.entry.offset


def _order(place: Place) -> tuple[int, int, int]:
    chunk, (_, time_ns, offset) = place
    return time_ns, chunk, offset


def pair(
    images: Sequence[Place],
    facts: Sequence[Place],
    exact: Sequence[Place],
    hands: Sequence[Place],
    key_of_facts: Callable[[Place], Key | None],
    key_of_hands: Callable[[Place], Key | None],
) -> list[FramePlaces]:
    """Every picture with what belongs to it, by time and, among equals, in the order of the file.

    All messages about one frame have its time. Where several pictures share one, a picture takes the facts that stand
    before it, and a result goes to the frame that it names.

    Args:
        images, facts, exact, hands: places of the messages, each `in_order`.
        key_of_facts, key_of_hands: read a message; None where it is damaged.
    """
    if all(map(_are_distinct, (images, facts, exact))):  # as this program writes them
        of_facts, of_exact, of_hands = (
            {place.entry.time_ns: place for place in places} for places in (facts, exact, hands)
        )
        times_ns = [place.entry.time_ns for place in images]
        return list(
            map(
                FramePlaces,
                images,
                map(of_facts.get, times_ns),
                map(of_exact.get, times_ns),
                map(of_hands.get, times_ns),
            )
        )
    return _pair_groups(images, facts, exact, hands, key_of_facts, key_of_hands)


def _are_distinct(places: Sequence[Place]) -> bool:
    return len({place.entry.time_ns for place in places}) == len(places)


def _pair_groups(
    images: Sequence[Place],
    facts: Sequence[Place],
    exact: Sequence[Place],
    hands: Sequence[Place],
    key_of_facts: Callable[[Place], Key | None],
    key_of_hands: Callable[[Place], Key | None],
) -> list[FramePlaces]:
    by_time: list[dict[int, list[Place]]] = []
    for places in (facts, exact, hands):
        groups: dict[int, list[Place]] = defaultdict(list)
        for place in places:
            groups[place.entry.time_ns].append(place)
        by_time.append(groups)
    frames = [FramePlaces(place) for place in images]
    start = 0
    while start < len(frames):
        time_ns = frames[start].image.entry.time_ns
        end = start + 1
        while end < len(frames) and frames[end].image.entry.time_ns == time_ns:
            end += 1
        of_facts, of_exact, of_hands = (groups.get(time_ns, []) for groups in by_time)
        group = frames[start:end]
        if len(group) == 1 and len(of_facts) <= 1 and len(of_exact) <= 1:
            group[0].facts, group[0].exact = next(iter(of_facts), None), next(iter(of_exact), None)
            group[0].hands = of_hands[-1] if of_hands else None
        else:
            _by_order(group, of_facts, of_exact)
            _by_key(group, of_hands, key_of_facts, key_of_hands)
        start = end
    return frames


def _by_order(group: list[FramePlaces], facts: list[Place], exact: list[Place]) -> None:
    """The writer puts facts, picture and lossless picture one after the other."""
    held: Place | None = None
    last: FramePlaces | None = None
    images = iter(group)
    tagged = [(_position(place), 0, place) for place in facts] + [(_position(place), 2, place) for place in exact]
    for _, kind, place in sorted([*tagged, *((_position(frame.image), 1, frame.image) for frame in group)]):
        if kind == 0:
            held, last = place, None
        elif kind == 1:
            last = next(images)
            last.facts, held = held, None
        elif last is not None:
            last.exact, last = place, None


def _by_key(
    group: list[FramePlaces],
    hands: list[Place],
    key_of_facts: Callable[[Place], Key | None],
    key_of_hands: Callable[[Place], Key | None],
) -> None:
    waiting: dict[Key, list[FramePlaces]] = defaultdict(list)
    for frame in group:
        key = None if frame.facts is None else key_of_facts(frame.facts)
        if key is not None:
            waiting[key].append(frame)
    for place in hands:
        key = key_of_hands(place)
        if key is not None and waiting.get(key):
            waiting[key].pop(0).hands = place


def rising(times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) times in which no two are equal: pictures that share one are spread over the time until the next.

    Args:
        times_ns: (N,) nanoseconds that never fall.
    """
    steps = np.diff(times_ns)
    if (steps > 0).all():
        return times_ns
    usual = int(np.median(steps[steps > 0])) if (steps > 0).any() else _STEP_NS
    starts = np.flatnonzero(np.concatenate([[True], steps > 0]))
    ends = np.append(starts[1:], len(times_ns))
    result = times_ns.copy()
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        gap = int(times_ns[end] - times_ns[start]) if end < len(times_ns) else (end - start) * usual
        step = max(1, min(usual, gap // (end - start)))
        result[start:end] = times_ns[start] + step * np.arange(end - start)
    return np.asarray(np.maximum.accumulate(result - np.arange(len(result))) + np.arange(len(result)))
