"""The exit codes, and the exceptions that end a command with one of them.

Every message is one sentence for the operator that names the thing and the next step. Nothing here
knows why it is raised; a refusal of one row is an ordinary value and never an exception.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; the numbers are a contract with schedulers and scripts."""

    OK = 0
    ROWS_FAILED = 1
    USAGE = 2
    UNFINISHED = 3
    REFUSED = 4
    SIGN_IN = 5

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "all rows ended well: submitted, already offboarded, or skipped as a duplicate",
    ExitCode.ROWS_FAILED: "finished, and at least one row failed or was skipped for a reason",
    ExitCode.USAGE: "bad usage, configuration or input; nothing was sent",
    ExitCode.UNFINISHED: (
        "not finished: a signal, the window's end, another run, rows in doubt or left out; the output names the next "
        "command"
    ),
    ExitCode.REFUSED: "refused or stopped by a guard",
    ExitCode.SIGN_IN: "sign-in or permission",
}


class BatchOffboardError(Exception):
    """Base of all errors that end a command with one sentence and an exit code."""

    exit_code = ExitCode.UNFINISHED


class UsageError(BatchOffboardError):
    """The command line names something that does not exist, or options that cannot be combined."""

    exit_code = ExitCode.USAGE


class ConfigError(BatchOffboardError):
    """The configuration is missing or wrong; the message names file, line and key."""

    exit_code = ExitCode.USAGE


class InputError(BatchOffboardError):
    """The spreadsheet as a whole cannot be used; nothing was planned."""

    exit_code = ExitCode.USAGE


class BusyError(BatchOffboardError):
    """Another process works on this tenant and application, or holds this journal."""

    exit_code = ExitCode.UNFINISHED


class JournalError(BatchOffboardError):
    """The journal cannot be opened, read or written; nothing is sent without it."""

    exit_code = ExitCode.UNFINISHED


class NoLocksError(JournalError):
    """The journal or a lock is on a drive without file locks, so that two processes could send at the same time."""

    exit_code = ExitCode.USAGE


class ReportError(BatchOffboardError):
    """A report could not be written; the journal still has every row."""

    exit_code = ExitCode.UNFINISHED


class GuardError(BatchOffboardError):
    """A guard refused the run before its first call, or stopped it."""

    exit_code = ExitCode.REFUSED


class ApprovalError(GuardError):
    """A run lacks the approval of another person, or one of them denied it. `waits`: the batch that is to be approved,
    empty if it was denied."""

    waits = ""


class SignInError(BatchOffboardError):
    """No usable token, or a token that lacks the permission."""

    exit_code = ExitCode.SIGN_IN


class TransientSignInError(SignInError):
    """A request was not answered: the network, the service or a file failed, and a later attempt may succeed."""
