"""`stream`: hands of a source sent live to other programs, without a window."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import cancellable, console
from app.cli.estimators import hand_length_for, load_estimator
from app.cli.options import (
    CANCELLED,
    DONE,
    Bone,
    Calibration,
    Device,
    DeviceOption,
    Engine,
    EngineOption,
    FovOfSource,
    HandLength,
    Model,
    measured_hand,
)
from app.cli.source_losses import tell_losses
from app.notices import count_of
from app.streams.content import RateLimit, StreamFacts, StreamMaker, capture_time_unix_ns
from app.streams.sinks import SCHEMES, SinkThread, open_sinks
from handdgp_core.errors import UsageError
from handdgp_core.geometry.camera import Camera
from handdgp_core.pipeline import estimated_frames
from handdgp_core.privacy import public_name
from handdgp_core.sources.cameras import CameraChooser
from handdgp_core.sources.open import open_source
from handdgp_core.sources.pacing import PacedSource
from handdgp_core.sources.protocol import Source
from handdgp_core.sources.session import cameras_of
from handdgp_core.types import Frame

if TYPE_CHECKING:
    from handdgp_core.estimation.estimator import HandEstimator

_REPORT_S = 5.0


@dataclass(frozen=True)
class StreamOptions:
    """What `stream` was asked for; names as on the command line."""

    source: str
    to: tuple[str, ...]
    calibration: Path | None = None
    horizontal_fov_deg: float | None = None
    model: str = "open"
    device: str = "auto"
    engine: str = "auto"
    hand_length_m: float | None = None
    hand_length_std: float = 0.0
    max_hands: int = 2
    rate_hz: float | None = None
    limit: int | None = None


def stream(options: StreamOptions) -> bool:
    """Run `stream`. Returns False if it was cancelled.

    Raises:
        HandDGPError: bad input, or an address that cannot be used.
    """
    if not options.to:
        schemes = ", ".join(f"{name}://" for name in SCHEMES)
        raise UsageError("There is nowhere to stream to.", hint=f"Give --to and one of {schemes}.")
    from handdgp_core.estimation.models import limit_threads

    limit_threads(options.model)
    calibration = Camera.load(options.calibration) if options.calibration else None
    with ExitStack() as stack:
        cancelled = stack.enter_context(cancellable())
        opened = stack.enter_context(open_source(options.source))
        chooser = cameras_of(opened, calibration, options.horizontal_fov_deg)
        sinks = open_sinks(options.to)
        for sink in sinks:
            stack.callback(sink.close)
            if sink.address.warning:
                console.print(sink.address.warning, style="yellow", markup=False, soft_wrap=True)
        length = hand_length_for(opened, options.hand_length_m, options.hand_length_std)
        estimator = stack.enter_context(
            load_estimator(options.model, options.device, length, options.max_hands, options.engine)
        )
        console.print(f"Streaming to {', '.join(sink.address.uri for sink in sinks)}; Ctrl-C ends it.", markup=False)
        source = PacedSource(opened) if opened.is_seekable else opened
        _run(source, estimator, chooser, sinks, cancelled, options)
        return not cancelled.is_set()


def _run(
    source: Source,
    estimator: HandEstimator,
    chooser: CameraChooser,
    sinks: list[SinkThread],
    cancelled: threading.Event,
    options: StreamOptions,
) -> None:
    length_mm = None if estimator.hand_length_m is None else estimator.hand_length_m * 1e3
    maker = StreamMaker(StreamFacts(source.name, public_name(estimator.model_name), length_mm))
    rate, is_live, captured_unix_ns = RateLimit(options.rate_hz), not source.is_seekable, 0
    frames, hands, reported_s = 0, 0, time.monotonic()

    def is_due(frame: Frame) -> bool:  # the loop asks for every frame as it comes
        nonlocal captured_unix_ns
        captured_unix_ns = capture_time_unix_ns(frame, is_live)
        return rate.passes()

    for result in estimated_frames(
        source,
        estimator,
        chooser,
        select=is_due,
        limit=options.limit,
        stop=cancelled,
        on_wait=lambda words: console.print(words, markup=False),
    ):
        content = maker.make(result.frame, result.camera, result.hands, captured_unix_ns)
        for sink in sinks:
            sink.put(content)
        frames, hands = frames + 1, hands + len(result.hands)
        if time.monotonic() - reported_s > _REPORT_S:
            reported_s = time.monotonic()
            _report(frames, hands, sinks)
    _report(frames, hands, sinks)
    tell_losses(source)


def _report(frames: int, hands: int, sinks: list[SinkThread]) -> None:
    parts = [f"{count_of(frames, 'frame')}, {count_of(hands, 'hand')}", *(sink.report for sink in sinks)]
    console.print("; ".join(parts), markup=False, soft_wrap=True)


def command(
    source: Annotated[
        str, typer.Argument(help="Webcam number, URL, video, folder of images, recorded session, or demo.")
    ],
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", help="; ".join(f"{name}://HOST:PORT {scheme.about}" for name, scheme in SCHEMES.items()) + "."
        ),
    ] = None,
    calibration: Calibration = None,
    fov: FovOfSource = None,
    model: Model = "open",
    device: DeviceOption = Device.auto,
    engine: EngineOption = Engine.auto,
    hand_length_mm: HandLength = None,
    bone: Bone = None,
    max_hands: Annotated[int, typer.Option("--max-hands", min=1, max=2)] = 2,
    rate: Annotated[float | None, typer.Option("--rate", min=0.1, max=1000, help="At most this many frames/s.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after this many frames.")] = None,
) -> int:
    """Hands sent live to other programs, without a window. Nothing is sent but to the places named with --to."""
    hand = measured_hand(hand_length_mm, bone)
    options = StreamOptions(
        source=source,
        to=tuple(to or ()),
        calibration=calibration,
        horizontal_fov_deg=fov,
        model=model,
        device=device.value,
        engine=engine.value,
        hand_length_m=hand.length_m,
        hand_length_std=hand.std,
        max_hands=max_hands,
        rate_hz=rate,
        limit=limit,
    )
    return DONE if stream(options) else CANCELLED
