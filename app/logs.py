"""The log file: one folder of the user's, a few files that replace each other, so that it never grows."""

from __future__ import annotations

import logging
import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

import platformdirs

from app.environment import PROGRAM
from handdgp_core.privacy import without_secrets

ENVIRONMENT_VARIABLE = "HANDDGP_LOGS"
_FORMAT = "%(asctime)s %(levelname)-7s %(threadName)s %(name)s: %(message)s"


def log_folder() -> Path:
    """Where logs live: the folder named by HANDDGP_LOGS, else the user's log folder."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_log_dir(PROGRAM, appauthor=False))


def start_logging(folder: Path) -> logging.Handler | None:
    """Write warnings and the program's own notes to `handdgp.log` in `folder`.

    Returns:
        the handler, to be closed at the end; None where the folder cannot be written (the program runs without).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = _PrivateHandler(folder / "handdgp.log", maxBytes=1_000_000, backupCount=3, encoding="utf-8")
    except OSError:
        return None
    handler.setFormatter(_PublicFormatter(_FORMAT))
    root = logging.getLogger()
    root.addHandler(handler)
    for name in ("app", "handdgp_core"):
        logging.getLogger(name).setLevel(logging.INFO)
    return handler


class _PublicFormatter(logging.Formatter):
    """Logs are shown to others for help: what opens a stream stays out of them."""

    def format(self, record: logging.LogRecord) -> str:
        return str(without_secrets(super().format(record)))


class _PrivateHandler(RotatingFileHandler):
    """Sources and paths stand in a log, so that its owner alone can read it."""

    def _open(self) -> TextIOWrapper:
        file = super()._open()
        os.chmod(self.baseFilename, 0o600)
        return file


def stop_logging(handler: logging.Handler | None) -> None:
    """Close the log file."""
    if handler is not None:
        logging.getLogger().removeHandler(handler)
        handler.close()
