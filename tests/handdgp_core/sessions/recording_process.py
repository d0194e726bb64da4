"""A process that records until it is killed, or until the disk is full. Run by tests, never by pytest itself."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from handdgp_core.sessions import RecordedHands, RecorderLimits, SessionInfo, SessionRecorder, WriterOptions
from handdgp_core.types import Frame
from tests.handdgp_core.sessions.conftest import CAMERA, HEIGHT, WIDTH, make_hand


def main(path: str, fps: float, seconds: float, file_limit: int, reserve_bytes: int) -> None:
    """Say number, stamp and frames known as written after each frame that was taken in, and the status at the end."""
    if file_limit:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then the write fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    limits = RecorderLimits(warn_free_bytes=0, stop_free_bytes=0)
    options = WriterOptions(reserve_bytes=reserve_bytes)
    recorder = SessionRecorder(Path(path), SessionInfo(source="test", is_live=True), options, limits)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    hand = make_hand(1, vertices=1600)
    began, index = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        frame = Frame(np.roll(noise, index, axis=0), time.monotonic_ns(), index)
        if not recorder.add_frame(frame, CAMERA):
            break
        recorder.add_hands(frame, RecordedHands([hand, hand], CAMERA, "test"))
        print(index, frame.stamp_ns, recorder.status.frames, flush=True)
        index += 1
        time.sleep(max(0.0, began + index / fps - time.monotonic()))
    recorder.stop()
    recorder.join(60)
    status = recorder.status
    print(json.dumps({"state": status.state.value, "frames": status.frames, "taken": index, "reason": status.reason,
                      "error": str(status.error or "")}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], *(float(value) for value in sys.argv[2:4]), *(int(value) for value in sys.argv[4:6]))
