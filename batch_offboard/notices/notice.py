"""The content of a notice, the same for all channels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from batch_offboard.base.errors import ExitCode

PROGRAM = "batch-offboard"


class Happening(StrEnum):
    """The events that notices are sent for; the configuration's `notices.on` names them."""

    FINISHED = "finished"  # a run reached its end, whatever the outcome of its rows
    STOPPED = "stopped"  # a run ended before its end, or was refused before its first call
    MISSED_NIGHT = "missed_night"  # no run began in a night in which one should have


@dataclass(frozen=True, slots=True)
class Notice:
    """One event.

    `headline` is a sentence. `counts` are rows by outcome, in the report's words. `started` and `at` are seconds since
    the epoch, `at` being when the run ended or the event was noticed. `tenant` is TENANT/APPLICATION, `sheets` are the
    names of the sheets concerned. Contains no secret.
    """

    happening: Happening
    headline: str
    exit_code: ExitCode
    at: float
    machine: str
    started: float | None = None
    tenant: str = ""
    batches: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    reports: tuple[Path, ...] = ()
    next_command: str = ""
    simulated: bool = False
    sheets: tuple[str, ...] = ()
    deed: str = ""  # what was done, in the past tense, if it was not a run
    exit_meaning: str = ""  # of the exit code, where it differs from the usual one

    @property
    def meaning(self) -> str:
        return self.exit_meaning or self.exit_code.meaning

    @property
    def is_well(self) -> bool:
        return self.happening is Happening.FINISHED and self.exit_code is ExitCode.OK
