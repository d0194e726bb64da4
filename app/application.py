"""The program with a window, and the same window measured: what the command line calls."""

from __future__ import annotations

import multiprocessing

from app.live_bench import Figures, measure_live
from app.live_session import LiveOptions, LiveSession

__all__ = ["LiveOptions", "bench_live", "bench_record", "run_live"]


def run_live(options: LiveOptions) -> int:
    """Show the window until it is closed.

    Returns:
        exit code: 0 after an orderly end.
    """
    multiprocessing.freeze_support()
    session = LiveSession(options)
    session.start()
    code = session.application.exec()
    session.finish()
    return code


def bench_record(options: LiveOptions, seconds: float = 60.0) -> Figures:
    """Measure what a recording costs; see `app.record_bench.measure_recording`. Raises HandDGPError."""
    from app.record_bench import measure_recording

    multiprocessing.freeze_support()
    return measure_recording(options, seconds)


def bench_live(options: LiveOptions, seconds: float = 30.0) -> Figures:
    """Run the window on a source, played again and again, and measure it; see `app.live_bench.measure_live`.

    Raises:
        HandDGPError: the source or the model failed, or no hand was seen in time.
    """
    multiprocessing.freeze_support()
    return measure_live(options, seconds)
