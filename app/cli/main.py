"""Entry point of the command line: the list of commands, and how errors are shown.

Heavy parts are imported by the command that needs them, Qt by those that open a window alone.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from app.cli.console import console, orderly_end
from app.cli.options import BAD_INPUT, CANCELLED, DONE, INTERNAL
from app.environment import PROGRAM, missing_part, version_of
from handdgp_core.errors import HandDGPError

# Each is the function `command` of the module of its name, loaded when it is called.
COMMANDS = {
    "live": "The window (also without any command).",
    "process": "Run a source through the whole pipeline, without a display.",
    "batch": "Many inputs at a time, here or on a cluster.",
    "stream": "Send hands live to other programs, without a window.",
    "replay": "The window on a recording.",
    "export": "A recording as files for other programs.",
    "repair": "Finish or rescue a recording.",
    "calibrate": "A camera from pictures of a board.",
    "compare": "What two camera files differ by.",
    "board": "A calibration board to print.",
    "check": "How far off hands are on your own desk.",
    "evaluate": "A model against labelled hands.",
    "figures": "Draw hands by several methods side by side.",
    "bench": "Measure this machine.",
    "synth": "Render labelled images of hands for training.",
    "train": "Train a network.",
    "ablation": "Train and evaluate the rows of a table of networks.",
    "export-network": "A network as an ONNX file for other programs.",
    "import-weights": "Turn the published checkpoint into a file for --model.",
    "doctor": "Check what the program needs here.",
}
_PLAIN: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}


class _LazyCommands(TyperGroup):
    """The table above as typer wants it. Its types are click's, which some releases of typer hold inside."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        alone = typer.Typer(**_PLAIN)
        alone.command(cmd_name)(import_module(f"app.cli.{cmd_name.replace('-', '_')}").command)
        return typer.main.get_command(alone)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(cls=_LazyCommands, context_settings={"help_option_names": ["-h", "--help"]}, **_PLAIN)


@app.callback()
def program() -> None:
    """An ordinary webcam as a metric hand scanner. Without a command the window opens. Also: --version."""


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
        with orderly_end():
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
    """click's errors are bad usage, a missing package has its hint; anything else is a bug and shows its traceback."""
    format_message = getattr(error, "format_message", None)
    if format_message is not None:
        message = format_message().replace("Value error, ", "")  # of pydantic, by which typer reads a choice
        console.print(f"{message} See --help.", style="red", markup=False, soft_wrap=True)
        return BAD_INPUT
    missing = missing_part(error) if isinstance(error, ImportError) else None
    if missing is not None:
        return _refuse(missing)
    traceback.print_exc()
    message = f"Internal error: {error}. This is a bug. Please report it with the lines above."
    console.print(message, style="red", markup=False, soft_wrap=True)
    return INTERNAL


def _refuse(error: HandDGPError) -> int:
    console.print(error.message, style="red", markup=False, soft_wrap=True)
    return BAD_INPUT
