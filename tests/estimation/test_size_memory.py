from __future__ import annotations

import numpy as np
import pytest

from handdgp_core.estimation.size_memory import ADULT_LENGTH_M, FORGET_AFTER_NS, SizeMemory, plausible_log_length

FRAME_NS = 33_000_000


def test_the_mean_of_all_frames_and_of_the_last_ninety() -> None:
    memory, rng = SizeMemory(), np.random.default_rng(0)
    said = rng.normal(5, 0.1, 60)
    found = [memory.steady([4], said[index : index + 1], index * FRAME_NS)[0] for index in range(60)]
    assert found == pytest.approx(np.cumsum(said) / np.arange(1, 61))
    for index in range(60, 2000):
        last = memory.steady([4], np.array([7.0]), index * FRAME_NS)[0]
    assert last == pytest.approx(7.0, abs=1e-6)


def test_hands_do_not_share_a_size_and_untracked_ones_have_no_past() -> None:
    memory = SizeMemory()
    memory.steady([1, 2, -1], np.array([1.0, 2.0, 3.0]), 0)
    assert memory.steady([2, 1, -1], np.array([4.0, 3.0, 9.0]), FRAME_NS) == pytest.approx([3.0, 2.0, 9.0])


@pytest.mark.parametrize("later_ns", [FORGET_AFTER_NS + 1, -FRAME_NS])
def test_hands_are_forgotten(later_ns: int) -> None:
    memory = SizeMemory()
    memory.steady([1], np.array([1.0]), 0)
    assert memory.steady([1], np.array([3.0]), later_ns)[0] == 3.0
    memory.steady([1], np.array([1.0]), later_ns)
    memory.reset()
    assert memory.steady([1], np.array([5.0]), later_ns)[0] == 5.0


def test_a_predicted_length_moves_the_adults_by_its_share_alone() -> None:
    predicted = np.array([0.120, ADULT_LENGTH_M, 0.240])
    found = np.exp(plausible_log_length(np.log(predicted)))
    assert found == pytest.approx(ADULT_LENGTH_M * (predicted / ADULT_LENGTH_M) ** 0.25)
    assert found[1] == pytest.approx(ADULT_LENGTH_M) and found[0] > 0.16 and found[2] < 0.20


def test_the_first_track_of_all_has_a_past_too() -> None:
    memory = SizeMemory()
    memory.steady([0], np.array([1.0]), 0)
    assert memory.steady([0], np.array([3.0]), FRAME_NS)[0] == pytest.approx(2.0)
