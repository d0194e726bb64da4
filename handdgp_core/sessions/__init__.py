"""Recorded sessions: the images and what the model predicted for them, in one file that survives a crash."""

from handdgp_core.sessions.codec import FrameFacts, RecordedHands
from handdgp_core.sessions.completion import add_results
from handdgp_core.sessions.parts import find_unfinished, is_session_name, new_session_path, part_path
from handdgp_core.sessions.reader import DamagedFrame, SessionReader
from handdgp_core.sessions.recorder import RecorderLimits, RecorderState, RecorderStatus, SessionRecorder
from handdgp_core.sessions.repair import RepairReport, repair
from handdgp_core.sessions.writer import SessionInfo, SessionWriter, WriterOptions

__all__ = [
    "DamagedFrame", "FrameFacts", "RecordedHands", "RecorderLimits", "RecorderState", "RecorderStatus",
    "RepairReport", "SessionInfo", "SessionReader", "SessionRecorder", "SessionWriter", "WriterOptions",
    "add_results", "find_unfinished", "is_session_name", "new_session_path", "part_path", "repair",
]  # fmt: skip
