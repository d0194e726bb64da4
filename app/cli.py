"""Entry point of the command line: which commands there are, and what becomes of errors.

Heavy parts are imported by the command that needs them, Qt by those that open a window alone.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback

import typer

from app.command_line.bench import bench
from app.command_line.board import board
from app.command_line.calibrate import calibrate
from app.command_line.doctor import doctor
from app.command_line.evaluate import evaluate
from app.command_line.exit_codes import BAD_INPUT, CANCELLED, DONE, INTERNAL
from app.command_line.export import export
from app.command_line.import_weights import import_weights
from app.command_line.live import live
from app.command_line.process import process
from app.command_line.repair import repair
from app.command_line.replay import replay
from app.command_line.synth import synth
from app.command_line.train import train
from app.commands.console import console
from app.environment import PROGRAM, missing_part, version_of
from handdgp_core.errors import HandDGPError

app = typer.Typer(
    help="An ordinary webcam as a metric hand scanner. Without a command the window opens. Also: --version.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the process' exit code: 0 done, 2 bad input, 1 internal error, 130 cancelled."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if "--version" in arguments:
        print(f"{PROGRAM} {version_of()}")
        return DONE
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("--help", "-h")):
        arguments.insert(0, "live")
    logging.basicConfig(level=os.environ.get("HANDDGP_LOG", "WARNING").upper())
    try:
        return app(arguments, standalone_mode=False) or DONE
    except HandDGPError as error:
        return _refuse(error)
    except typer.Abort:
        return CANCELLED
    except KeyboardInterrupt:
        return CANCELLED
    except Exception as error:
        return _report(error)


def _report(error: Exception) -> int:
    """click's own errors are bad usage, a missing package has its cure; all else is a bug and shows its traceback."""
    format_message = getattr(error, "format_message", None)
    if format_message is not None:
        console.print(f"{format_message()} See --help.", style="red", markup=False, soft_wrap=True)
        return BAD_INPUT
    missing = missing_part(error) if isinstance(error, ImportError) else None
    if missing is not None:
        return _refuse(missing)
    traceback.print_exc()
    message = f"Internal error: {error}. Please report it with the lines above."
    console.print(message, style="red", markup=False, soft_wrap=True)
    return INTERNAL


def _refuse(error: HandDGPError) -> int:
    console.print(error.message, style="red", markup=False, soft_wrap=True)
    return BAD_INPUT


_COMMANDS = (
    live, process, replay, export, repair, calibrate, board, evaluate, bench, synth, train, import_weights, doctor,
)  # fmt: skip
for _command in _COMMANDS:
    app.command()(_command)
