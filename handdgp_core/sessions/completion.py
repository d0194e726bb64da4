"""Adds results to a recording: a copy with the same chunks, and the new results behind them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from mcap.records import Message, Metadata

from handdgp_core.errors import UsageError
from handdgp_core.files import MIB, check_room, name_new, output_errors, private_opener, remove
from handdgp_core.locks import hold
from handdgp_core.sessions import codec, foxglove, schema
from handdgp_core.sessions.parts import part_path
from handdgp_core.sessions.reader import SessionReader
from handdgp_core.sessions.records import SessionFile
from handdgp_core.sessions.rewriting import add_chunk, copy_data, write_end
from handdgp_core.sessions.scan import scan

__all__ = ["add_results"]

_RESULTS_A_CHUNK = 30


def add_results(
    session: SessionReader, output: Path, results: Iterable[tuple[int, codec.RecordedHands]], note: Mapping[str, str]
) -> Path:
    """Write a copy of a recording that holds more results.

    Args:
        session: a recording of this program.
        output: the new file; it gets another name where there is a file of this one.
        results: numbers of frames without a result, and a result for each; taken one after the other, so that they may
            be made meanwhile. An error among them leaves no file.
        note: for the metadata "completed" of the new file.

    Returns:
        the new file.

    Raises:
        UsageError: it is no recording of this program.
        OutputError: the file cannot be written.
    """
    file = SessionFile(session.path)
    try:
        found = scan(file)
    finally:
        file.close()
    channels = {channel.topic: channel.id for channel in found.channels.values()}
    if not {schema.FRAME, schema.HANDS, schema.MESH} <= channels.keys():
        raise UsageError(
            f"Could not add results to {session.path.name}: it is no recording of this program.",
            hint="Use `process`, which writes results of their own.",
        )
    check_room(output.parent, session.path.stat().st_size + MIB)
    part = part_path(output)
    with output_errors(part):
        stream = open(part, "xb", opener=private_opener)  # noqa: SIM115 - closed below
    try:
        with stream, output_errors(output), open(session.path, "rb") as source:
            hold(stream.fileno())
            places = copy_data(source, stream, found, lambda share: None)
            for messages in _chunks(session, channels, results):
                add_chunk(stream, found, places, messages)
            write_end(stream, found, places, Metadata("completed", dict(note)))
            os.fsync(stream.fileno())
        return name_new(part, output)
    finally:
        remove(part)  # where it has not got its name


def _chunks(
    session: SessionReader, channels: Mapping[str, int], results: Iterable[tuple[int, codec.RecordedHands]]
) -> Iterable[list[Message]]:
    """Messages of some results at a time."""
    waiting: list[Message] = []
    meshes: set[str] = set()
    for count, (number, recorded) in enumerate(results, start=1):
        facts, time_ns = session.facts_of(number), session.log_time_ns(number)
        ids = [codec.mesh_id(hand.faces) for hand in recorded.hands]
        made = [(schema.HANDS, codec.hands_message(facts, recorded, ids))]
        for name, hand in zip(ids, recorded.hands, strict=True):
            if name not in meshes:
                meshes.add(name)
                made.insert(0, (schema.MESH, codec.mesh_message(name, hand.faces)))
        made.append((schema.POINTS, foxglove.point_cloud(time_ns, recorded.hands)))
        made.append((schema.KEYPOINTS, foxglove.keypoint_marks(time_ns, recorded.hands)))
        for topic, message in made:
            if topic in channels:
                waiting.append(Message(channels[topic], time_ns, message.SerializeToString(), time_ns, 0))
        if count % _RESULTS_A_CHUNK == 0:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
