import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handdgp_core.errors import SourceError
from handdgp_core.sources import VideoSource, frames
from handdgp_core.sources.frame_times import FrameTimes
from handdgp_core.sources.video_decoder import VideoDecoder

CODECS = {"mp4v": "clip.mp4", "MJPG": "clip.avi", "VP80": "clip.webm"}
COUNT = 90


@pytest.fixture(scope="module", params=CODECS)
def clip(request, make_video, tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("clips") / CODECS[request.param], COUNT, request.param)


@pytest.fixture(scope="module")
def mp4(make_video, tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("mp4") / "clip.mp4", COUNT)


def test_reads_every_frame_in_order_with_its_time(clip, decode_number):
    with VideoSource(clip) as source:
        assert (source.size, source.nominal_fps, source.frame_count) == ((160, 96), 25.0, COUNT)
        assert source.is_seekable and not source.is_live and not source.is_rendered and source.camera is None
        read = list(frames(source))
        assert source.read() is None and source.warning is None and source.skipped == []
    assert [frame.index for frame in read] == list(range(COUNT)) == [decode_number(frame.image) for frame in read]
    assert [frame.stamp_ns for frame in read] == [number * 40_000_000 for number in range(COUNT)]


def test_pictures_are_rgb(mp4):
    with VideoSource(mp4) as source:
        red, green, blue = source.read().image[75:85, 5:35].mean((0, 1))
    assert red > 200 and green < 60 and blue < 60


def test_seek_is_exact(clip, decode_number):
    with VideoSource(clip) as source:
        for target in (50, 49, 3, 89, 0, 0, 12, 88, 13):
            source.seek(target)
            frame = source.read()
            assert frame.index == target == decode_number(frame.image)
            assert frame.stamp_ns == target * 40_000_000
        assert source.read().index == 14


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(st.none(), st.integers(0, COUNT - 1)), max_size=12))
def test_any_mix_of_reads_and_seeks_gives_the_wanted_frames(mp4, decode_number, steps):
    expected = 0
    with VideoSource(mp4) as source:
        for step in steps:
            if step is not None:
                source.seek(step)
                expected = step
            frame = source.read()
            if expected == COUNT:
                assert frame is None
            else:
                assert frame.index == expected == decode_number(frame.image)
                expected += 1


@pytest.mark.parametrize("index", [-1, COUNT, 10_000])
def test_seek_outside_is_refused(mp4, index):
    with VideoSource(mp4) as source, pytest.raises(SourceError, match="0 to 89"):
        source.seek(index)


class BadSeeker(VideoDecoder):
    """A real decoder whose jumps land beside the wanted frame, and whose times are scaled at will."""

    def __init__(self, path, miss=0, times=None, cannot_jump=False):
        super().__init__(path)
        self.miss, self.times, self.cannot_jump = miss, times, cannot_jump

    def time_ms(self):
        value = super().time_ms()
        return self.times(value) if self.times else value

    def jump(self, index):
        super().jump(10_000 if self.cannot_jump else max(index + self.miss, 0))


@pytest.mark.parametrize(
    "fault",
    [{"miss": -5}, {"miss": 7}, {"miss": 40}, {"cannot_jump": True}, {"times": lambda ms: 0.0}],
    ids=["short", "far", "farther", "nowhere", "no times"],
)
@pytest.mark.parametrize("read_first", [False, True])
def test_seek_is_exact_with_a_backend_that_misses(mp4, decode_number, fault, read_first):
    with VideoSource(mp4, decoder_factory=lambda path: BadSeeker(path, **fault)) as source:
        if read_first:
            assert len(list(frames(source))) == COUNT
        for target in (70, 69, 2, 85):
            source.seek(target)
            frame = source.read()
            assert frame.index == target == decode_number(frame.image)


def test_varying_frame_rate_is_walked_or_looked_up_never_guessed(mp4, decode_number):
    def varying(ms):
        return ms + (ms // 400) * 130.0

    with VideoSource(mp4, decoder_factory=lambda path: BadSeeker(path, times=varying)) as source:
        for target in (80, 12, 45):
            source.seek(target)
            frame = source.read()
            assert frame.index == target == decode_number(frame.image)
            assert frame.stamp_ns == pytest.approx(varying(target * 40.0) * 1e6, abs=1000)


@pytest.mark.parametrize("times", [lambda ms: 0.0, lambda ms: float("nan"), lambda ms: 4000.0 - ms])
def test_without_sane_container_times_stamps_follow_the_rate(mp4, times):
    with VideoSource(mp4, decoder_factory=lambda path: BadSeeker(path, times=times)) as source:
        stamps = [frame.stamp_ns for frame in frames(source)]
    assert (np.diff(stamps) > 0).all()
    if times(0.0) == 0.0:
        assert stamps == [number * 40_000_000 for number in range(COUNT)]


def test_frame_times_cannot_place_unknown_times():
    times = FrameTimes(25.0)
    assert times.index_of(0.0) is None
    for number in range(3):
        times.note(number, number * 40.0)
    assert times.index_of(40.0) == 1 and times.index_of(400.0) == 10
    assert times.index_of(55.0) is None and times.index_of(420.0) is None


def test_loop_goes_on_in_time_and_starts_again_in_number(make_video, tmp_path, decode_number):
    with VideoSource(make_video(tmp_path / "short.mp4", 5), loop=True) as source:
        read = [source.read() for _ in range(12)]
    assert [frame.index for frame in read] == [0, 1, 2, 3, 4] * 2 + [0, 1] == [decode_number(f.image) for f in read]
    assert [frame.stamp_ns for frame in read] == [number * 40_000_000 for number in range(12)]


def test_closed_source_gives_none_and_closes_twice(mp4):
    source = VideoSource(mp4)
    source.close()
    source.close()
    assert source.read() is None


def test_rotated_phone_video_comes_upright(mp4, tmp_path):
    content = bytearray(mp4.read_bytes())
    place = content.find(b"tkhd") + 4 + 4 + 20 + 16  # version 0: flags, times and ids, then layer and volume
    assert struct.unpack(">9i", content[place : place + 36])[0] == 0x10000
    content[place : place + 36] = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 96 << 16, 0, 0x40000000)
    (tmp_path / "turned.mp4").write_bytes(content)
    with VideoSource(tmp_path / "turned.mp4") as source:
        assert source.size == (96, 160)
        assert source.read().image.shape == (160, 96, 3)


def test_damaged_middle_keeps_the_rest(mp4, tmp_path, decode_number):
    content = bytearray(mp4.read_bytes())
    start = content.find(b"mdat") + 4
    middle = start + (len(content) - start) // 3
    content[middle : middle + 300] = bytes(300)
    (tmp_path / "scratched.mp4").write_bytes(content)
    with VideoSource(tmp_path / "scratched.mp4") as source:
        read = list(frames(source))
        assert 0 < len(source.skipped) < 10
        assert source.warning == f"{len(source.skipped)} skipped (first: {source.skipped[0][0]}: damaged)"
        assert source.frame_count == COUNT
        source.seek(60)
        assert decode_number(source.read().image) == 60
    lost = {int(name.removeprefix("frame ")) for name, _ in source.skipped}
    assert [frame.index for frame in read] == [number for number in range(COUNT) if number not in lost]
    assert all(frame.stamp_ns == frame.index * 40_000_000 for frame in read)
    assert [decode_number(frame.image) for frame in read[-20:]] == list(range(COUNT - 20, COUNT))


def test_pictures_that_cannot_be_decoded_are_counted(mp4):
    class Failing(BadSeeker):
        calls = 0

        def retrieve(self):
            self.calls += 1
            return None if self.calls in (4, 5) else super().retrieve()

    with VideoSource(mp4, decoder_factory=Failing) as source:
        read = list(frames(source))
    assert [name for name, _ in source.skipped] == ["frame 3", "frame 4"]
    assert [frame.index for frame in read] == [0, 1, 2, *range(5, COUNT)]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted as on Linux")
def test_reading_a_video_starts_no_thread_for_every_frame(make_video, tmp_path):
    def newest():
        return {int(entry.name) for entry in Path("/proc/self/task").iterdir()}

    with VideoSource(make_video(tmp_path / "a.mp4", 40)) as source:
        kept = [source.read() for _ in range(10)]
        before = newest()
        kept += [source.read() for _ in range(20)]
        assert newest() - before == set() and len(kept) == 30
