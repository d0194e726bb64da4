"""The box between threads: newest wins, nothing queues."""

from __future__ import annotations

import threading
import time

from app.live.mailbox import Mailbox
from tests.patience import WAIT_S


def test_the_newest_item_wins_and_replaced_ones_are_counted() -> None:
    box: Mailbox[int] = Mailbox()
    for number in range(5):
        box.put(number)
    assert box.take() == 4
    assert box.replaced == 4
    assert box.take() is None


def test_offer_never_replaces() -> None:
    box: Mailbox[int] = Mailbox()
    box.put(1)
    box.offer(2)
    assert box.take() == 1 and box.replaced == 0
    box.offer(3)
    assert box.take() == 3


def test_clear_does_not_count() -> None:
    box: Mailbox[int] = Mailbox()
    box.put(1)
    box.clear()
    assert box.take() is None and box.replaced == 0


def test_close_wakes_a_waiting_thread_and_refuses_items() -> None:
    box: Mailbox[int] = Mailbox()
    got: list[int | None] = []
    thread = threading.Thread(target=lambda: got.append(box.take(timeout_s=10 * WAIT_S)))
    thread.start()
    box.close()
    thread.join(WAIT_S)
    assert not thread.is_alive() and got == [None]
    box.put(1)
    assert box.take() is None


def test_a_slow_reader_sees_rising_numbers_up_to_the_last() -> None:
    box: Mailbox[int] = Mailbox()
    seen: list[int] = []

    def read() -> None:
        while not seen or seen[-1] != 999:
            item = box.take(timeout_s=WAIT_S)
            assert item is not None
            seen.append(item)
            time.sleep(0.0005)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(1000):
        box.put(number)
    thread.join(WAIT_S)
    assert seen == sorted(set(seen)) and seen[-1] == 999
    assert box.replaced == 1000 - len(seen)
