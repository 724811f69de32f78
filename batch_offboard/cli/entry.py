"""The entry point: runs a command and turns any error into one sentence and an exit code."""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import typer
from typer.exceptions import TyperException

from batch_offboard.base.errors import BatchOffboardError, ExitCode
from batch_offboard.cli import approving, audit, following, scheduling, unattended
from batch_offboard.cli import submitting as commands
from batch_offboard.cli.app import app
from batch_offboard.cli.terminal import fitted, prepare_streams

# Importing these modules registers their commands.
COMMANDS = (commands, approving, following, unattended)
app.add_typer(scheduling.app)
app.add_typer(audit.app)

DEBUG_VARIABLE = "BATCH_OFFBOARD_DEBUG"
LOG_NAME = "batch-offboard.log"  # of unexpected errors, in the state folder

# typer's exit code for Ctrl-C, the same as a shell's; ours is one of the documented codes.
TYPERS_CTRL_C = 130


def run_command_line(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name; returns its exit code and never raises."""
    prepare_streams()
    command = typer.main.get_command(app)
    _plain(command)
    try:
        ended = command.main(list(arguments) or ["--help"], prog_name="batch-offboard", standalone_mode=False)
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001  # the last line of defence
        ended = _exit_code(error)
    if ended == TYPERS_CTRL_C:
        ended = _exit_code(KeyboardInterrupt())
    _finish_talking()
    return ended if isinstance(ended, int) else ExitCode.OK


def _exit_code(error: BaseException) -> int:
    """Print what happened in one sentence; returns the exit code."""
    match error:
        case TyperException():
            _say(f"batch-offboard: {_usage(error)}")
            return ExitCode.USAGE
        case BatchOffboardError():
            _say(f"batch-offboard: {error}")
            return error.exit_code
        case KeyboardInterrupt() | typer.Abort():
            _say("batch-offboard: stopped; nothing more is sent.")
            return ExitCode.UNFINISHED
        case SystemExit(code=None | 0):
            return ExitCode.OK  # what typer does by itself, such as showing its completion script
        case SystemExit() | BrokenPipeError():
            return ExitCode.UNFINISHED  # the reader of our output exited before the work was done
        case _:
            return _unexpected(error)


def _usage(error: TyperException) -> str:
    """What is wrong with the arguments, and which --help lists the right ones."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "batch-offboard"
    sentence = error.format_message().replace("Value error, ", "").rstrip(".")
    end = "" if sentence.endswith("?") else "."
    return f"{sentence}{end} `{path} --help` shows what it takes."


def _plain(command: Any) -> None:
    """Show arguments by name only: typer adds the Python type of each."""
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda **_given: ""
    for each in getattr(command, "commands", {}).values():
        _plain(each)


def _say(text: str) -> None:
    with suppress(OSError):
        typer.echo(text if sys.stderr is None else fitted(text, sys.stderr), err=True)


def _finish_talking() -> None:
    """Flush the output; its reader may have exited, as `head` does, and Python must not report that again at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _unexpected(error: BaseException) -> int:
    if os.environ.get(DEBUG_VARIABLE):
        _say(_traced(error))
    where = _logged(error)
    see = f"{where} shows where it happened" if where else f"Set {DEBUG_VARIABLE}=1 to see where it happened"
    _say(
        f"batch-offboard: unexpected {type(error).__name__}, a bug in the program; the journal has every row. "
        f"{see}; please report it."
    )
    return ExitCode.UNFINISHED


def _traced(error: BaseException) -> str:
    """The traceback with secrets masked; in a broken installation, where they cannot be, only its code locations."""
    try:
        from batch_offboard.base import logs

        return logs.traced(error)
    except Exception:  # noqa: BLE001  # as below
        return "".join(traceback.format_tb(error.__traceback__))


def _logged(error: BaseException) -> str:
    """Write the error with its traceback to a log; returns the log's path, empty if that failed."""
    try:
        from batch_offboard.base import logs
        from batch_offboard.config.places import state_folder

        return str(logs.keep_error(error, state_folder() / LOG_NAME) or "")
    except Exception:  # noqa: BLE001  # perhaps a broken installation; the sentence must still be printed
        return ""
