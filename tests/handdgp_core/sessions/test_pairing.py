"""Which messages belong to one picture: the quick way against the one for all."""

from __future__ import annotations

import numpy as np
import pytest

from handdgp_core.sessions import pairing
from handdgp_core.sessions.pairing import Key, Place, in_order, pair
from handdgp_core.sessions.records import Entry


@pytest.mark.parametrize("shared", [False, True])
def test_pictures_of_their_own_times_are_paired_as_those_that_share_some(shared: bool) -> None:
    """The quick way for recordings whose pictures have times of their own, against the one for all."""
    rng = np.random.default_rng(3)
    times_ns = rng.permutation(1000)[:60].tolist()
    of = [[Place(chunk // 10, Entry(channel, time_ns, 4 * chunk + channel)) for chunk, time_ns in enumerate(times_ns)
           if channel < 2 or rng.random() < 0.7] for channel in range(4)]  # fmt: skip
    of[3] += [place for place in of[3][:9]] + [Place(9, Entry(3, 5000, 900))]  # asked twice; of no picture
    if shared:
        of[0].append(Place(9, Entry(0, times_ns[0], 901)))
    images, facts, exact, hands = (in_order(places) for places in of)
    asked: list[Place] = []

    def key(place: Place) -> Key:
        asked.append(place)
        return Key(place.entry.time_ns, 0)

    found = pair(images, facts, exact, hands, key, key)
    assert found == pairing._pair_groups(images, facts, exact, hands, key, key)
    assert bool(asked) is shared and sum(frame.hands is not None for frame in found) == len({*of[3]}) - 1
