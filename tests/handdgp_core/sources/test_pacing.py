import threading
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handdgp_core.errors import SourceError, UsageError
from handdgp_core.sources import NoFrameYet, PacedSource, VideoSource
from handdgp_core.sources.pacing import HELD_UP_S
from handdgp_core.sources.protocol import BaseSource
from handdgp_core.types import Frame
from tests.patience import WAIT_S


class HandClock:
    """Time moves only by waiting, or by hand."""

    def __init__(self):
        self.time_s = 100.0

    def now_s(self):
        return self.time_s

    def wait(self, changed, timeout_s):
        self.time_s += timeout_s


class Tape(BaseSource):
    """A hundred small frames at 10 per second; decoding takes `cost_s`."""

    name, size, is_seekable = "tape", (1, 1), True
    nominal_fps = 10.0

    def __init__(self, clock, count=100, cost_s=0.0, loop=False):
        super().__init__()
        self.clock, self.count, self.cost_s, self.loop, self.next = clock, count, cost_s, loop, 0
        self.closed = False

    @property
    def frame_count(self):
        return self.count

    def read(self, timeout_s=0.5):
        if self.loop:
            self.next %= self.count
        if self.closed or self.next >= self.count:
            return None
        self.clock.time_s += self.cost_s
        self.next += 1
        return Frame(np.zeros((1, 1, 3), np.uint8), (self.next - 1) * 10**8, self.next - 1)

    def seek(self, index):
        self.next = index

    def close(self):
        self.closed = True


@pytest.fixture
def clock():
    return HandClock()


def play(player, clock, seconds):
    """(time, index) of all frames shown in this time."""
    start, shown = clock.time_s, []
    while clock.time_s < start + seconds - 1e-9:
        try:
            frame = player.read(min(0.5, start + seconds - clock.time_s))
        except NoFrameYet:
            continue
        if frame is None:
            break
        shown.append((round(clock.time_s - start, 6), frame.index))
    return shown


def test_frames_come_at_their_rate(clock):
    shown = play(PacedSource(Tape(clock), clock), clock, 2.05)
    assert shown == [(round(0.1 * number, 6), number) for number in range(21)]


@pytest.mark.parametrize("speed", [0.5, 2.0, 4.0])
def test_speed(clock, speed):
    player = PacedSource(Tape(clock), clock)
    player.set_speed(speed)
    assert len(play(player, clock, 2.01)) == pytest.approx(20 * speed, abs=1)
    assert player.speed == speed


def test_slow_decoding_leaves_frames_out_and_keeps_time(clock):
    player = PacedSource(Tape(clock, cost_s=0.25), clock)
    shown = play(player, clock, 5.0)
    assert player.dropped > 20
    assert all(abs(when - index * 0.1) < 0.5 for when, index in shown)
    assert [index for _, index in shown] == sorted({index for _, index in shown})


def test_being_held_up_does_not_skip_the_film(clock):
    player = PacedSource(Tape(clock), clock)
    play(player, clock, 0.35)
    clock.time_s += HELD_UP_S + 3.0
    assert player.read(1.0).index == 4 and player.dropped == 0


def test_a_frame_not_due_yet_is_no_frame(clock):
    player = PacedSource(Tape(clock), clock)
    assert player.read(0.0).index == 0
    with pytest.raises(NoFrameYet, match="not due"):
        player.read(0.03)
    assert player.read(0.2).index == 1


def test_pause_play_and_step(clock):
    player = PacedSource(Tape(clock), clock)
    play(player, clock, 0.35)
    player.pause()
    assert player.paused
    with pytest.raises(NoFrameYet, match="paused"):
        player.read(5.0)
    assert play(player, clock, 3.0) == []
    player.step()
    assert player.read(1.0).index == 4
    with pytest.raises(NoFrameYet):
        player.read(1.0)
    player.step(-2)
    assert player.read(1.0).index == 2
    player.step(-50)
    assert player.read(1.0).index == 0
    player.step(500)
    assert player.read(1.0).index == 99
    player.step(-79)
    assert player.read(1.0).index == 20
    player.play()
    assert [index for _, index in play(player, clock, 0.25)] == [21, 22, 23]
    assert player.dropped == 0


def test_steps_before_a_read_add_up(clock):
    player = PacedSource(Tape(clock), clock, paused=True)
    assert player.read(1.0).index == 0
    for _ in range(3):
        player.step()
    assert player.read(1.0).index == 3


def test_starting_paused_shows_the_first_frame(clock):
    player = PacedSource(Tape(clock), clock, paused=True)
    assert player.read(1.0).index == 0
    with pytest.raises(NoFrameYet):
        player.read(1.0)


def test_seek_while_playing_and_paused(clock):
    player = PacedSource(Tape(clock), clock)
    play(player, clock, 0.15)
    player.seek(60)
    assert player.position == 60
    assert play(player, clock, 0.15) == [(0.0, 60), (0.1, 61)]
    player.pause()
    player.seek(5)
    assert player.read(1.0).index == 5
    with pytest.raises(NoFrameYet):
        player.read(1.0)
    with pytest.raises(SourceError, match="0 to 99"):
        player.seek(100)


def test_end_and_holding_at_the_end(clock):
    player = PacedSource(Tape(clock, count=3), clock)
    assert len(play(player, clock, 5.0)) == 3 and player.read(1.0) is None
    player = PacedSource(Tape(clock, count=3), clock, hold_at_end=True)
    assert [index for _, index in play(player, clock, 5.0)] == [0, 1, 2]
    with pytest.raises(NoFrameYet, match="at the end"):
        player.read(1.0)
    player.step(-1)
    assert player.read(1.0).index == 1
    player.step(), player.read(1.0), player.play()
    play(player, clock, 1.0)
    player.play()
    assert [index for _, index in play(player, clock, 5.0)] == [0, 1, 2]


def test_cut_source_holds_at_its_true_end(clock):
    tape = Tape(clock)
    player = PacedSource(tape, clock, paused=True, hold_at_end=True)
    player.read(1.0)
    tape.closed = True  # gives nothing more although it promised a hundred frames
    player.step()
    with pytest.raises(NoFrameYet, match="at the end"):
        player.read(1.0)
    before_s = clock.time_s
    with pytest.raises(NoFrameYet, match="at the end"):
        player.read(1.0)
    assert clock.time_s == before_s + 1.0  # it waited instead of asking again and again


def test_looping_source_keeps_its_rate(clock):
    shown = play(PacedSource(Tape(clock, count=4, loop=True), clock), clock, 1.05)
    assert [index for _, index in shown] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]
    assert [when for when, _ in shown] == pytest.approx([0.1 * number for number in range(11)])


@settings(max_examples=40)
@given(st.lists(st.one_of(st.integers(0, 99), st.sampled_from(["pause", "play", "step", "read", "late"])), max_size=30))
def test_any_use_shows_the_last_wanted_frame(actions):
    clock = HandClock()
    player = PacedSource(Tape(clock), clock, hold_at_end=True)
    for action in actions:
        if isinstance(action, int):
            player.seek(action)
            assert player.read(1.0).index == action
        elif action == "late":
            clock.time_s += 0.37
        elif action == "read":
            with suppress(NoFrameYet):
                player.read(0.2)
        else:
            getattr(player, action)()
        assert 0 <= player.position <= 100


def test_close_ends_a_blocked_read_and_the_inner_source():
    tape = Tape(HandClock())
    player = PacedSource(tape, paused=True)
    player.read(1.0)
    answers = []
    reader = threading.Thread(target=lambda: answers.append(player.read(10 * WAIT_S)))
    reader.start()
    player.close()
    reader.join(WAIT_S)
    assert not reader.is_alive() and answers == [None] and tape.closed


def test_play_wakes_a_reader_that_waits():
    player = PacedSource(Tape(HandClock()), paused=True)
    player.read(1.0)
    answers = []
    reader = threading.Thread(target=lambda: answers.append(player.read(10 * WAIT_S)))
    reader.start()
    player.play()
    reader.join(WAIT_S)
    assert not reader.is_alive() and answers[0].index == 1
    player.close()


def test_live_sources_and_senseless_speeds_are_refused(clock):
    live = Tape(clock)
    live.is_seekable = False
    with pytest.raises(UsageError, match="live"):
        PacedSource(live, clock)
    for speed in (0.0, -1.0, 100.0, float("nan")):
        with pytest.raises(UsageError, match="speed"):
            PacedSource(Tape(clock), clock, speed=speed)


def test_the_rest_is_the_inner_sources(clock):
    tape = Tape(clock)
    player = PacedSource(tape, clock)
    tape.is_rendered = True
    assert (player.name, player.size, player.nominal_fps, player.frame_count) == ("tape", (1, 1), 10.0, 100)
    assert player.is_rendered and player.camera is None and player.warning is None and not player.is_live


class UnevenTape(Tape):
    """Frames at 0, 1, 2, 3, 13, 14, ... tenths of a second: a camera that paused."""

    @property
    def stamps_ns(self):
        tenths = np.arange(self.count) + np.where(np.arange(self.count) >= 4, 9, 0)
        return tenths.astype(np.int64) * 10**8


def play_reads(player, clock, reads):
    """(frame, time since the first read) of each frame that comes."""
    start_s, seen = clock.time_s, []
    for _ in range(reads):
        with suppress(NoFrameYet):
            frame = player.read(5.0)
            seen.append((frame.index, round(clock.time_s - start_s, 6)))
    return seen


def test_frames_come_at_their_own_times_where_these_are_known():
    clock = HandClock()
    with PacedSource(UnevenTape(clock), clock, speed=2.0) as player:
        assert play_reads(player, clock, 6) == [(0, 0.0), (1, 0.05), (2, 0.1), (3, 0.15), (4, 0.65), (5, 0.7)]
        assert player.dropped == 0


def test_late_frames_are_skipped_by_their_own_times():
    clock = HandClock()
    with PacedSource(UnevenTape(clock), clock) as player:
        play_reads(player, clock, 2)
        clock.time_s += 0.45  # the pause of the camera makes up for most of it
        assert [index for index, _ in play_reads(player, clock, 3)] == [3, 4, 5]


def test_a_part_is_played_again_and_again():
    clock = HandClock()
    with PacedSource(Tape(clock), clock) as player:
        player.set_loop((3, 5))
        assert [index for index, _ in play_reads(player, clock, 8)] == [3, 4, 5, 3, 4, 5, 3, 4]
        player.set_loop(None)
        assert [index for index, _ in play_reads(player, clock, 3)] == [5, 6, 7]
        player.set_loop((0, 99))
        player.seek(98)
        assert [index for index, _ in play_reads(player, clock, 4)] == [98, 99, 0, 1]


def test_a_part_outside_or_turned_round_is_refused():
    with PacedSource(Tape(HandClock())) as player:
        for part in ((3, 100), (-1, 5)):
            with pytest.raises(SourceError):
                player.set_loop(part)
        with pytest.raises(UsageError, match="begin before it ends"):
            player.set_loop((5, 3))
        assert player.loop is None


def test_the_position_does_not_lie_beyond_an_end_that_came_early(make_video, tmp_path):
    content = make_video(tmp_path / "clip.avi", 60, "MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    with PacedSource(VideoSource(tmp_path / "cut.avi"), paused=True) as player:
        player.seek(55)
        assert player.read() is None
        assert player.position == player.frame_count < 40
