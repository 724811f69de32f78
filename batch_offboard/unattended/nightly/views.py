"""The result of a nightly run as values, for people, programs and notices."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from batch_offboard.base.errors import ExitCode
from batch_offboard.core.batches import Counts
from batch_offboard.core.brakes import Halt


def for_nights(halt: Halt) -> Halt:
    """A halt as an unattended run reports it: instead of advice to type `resume`, the next run continues by itself,
    unless a person has to decide first."""
    return halt if halt.held else replace(halt, reason=by_itself(halt.reason))


def by_itself(reason: str) -> str:
    """The sentence with the next nightly run in place of `resume`."""
    return _DOES.sub("the next nightly run", _TO_TYPE.sub("the next nightly run continues", reason))


_RESUME = r"`(?:batch-offboard )?resume(?: [^`]*)?`"
_TO_TYPE = re.compile(
    rf"(?:(?:go on|continue)(?: later)? with |run )?{_RESUME}(?: to continue| goes on| continues|(?! [a-z]))"
)
_DOES = re.compile(_RESUME)  # for example "`resume` signs in again"


def meaning_at_night(code: ExitCode) -> str:
    """The meaning of an exit code of a nightly run: nobody has to type `resume` for what is left."""
    return "not finished; the next nightly run continues" if code is ExitCode.UNFINISHED else code.meaning


class Fate(StrEnum):
    """How a sheet ended, or a batch that has no sheet in the inbox."""

    DONE = "done"
    REPEATED = "repeated"  # its content was processed before
    LEFT = "left"  # the next run continues it
    UNREADABLE = "unreadable"
    NOT_TAKEN = "not_taken"  # not a sheet: it stays in the inbox until a person removes it
    REFUSED = "refused"  # by a guard, before its first call
    WAITING = "waiting"  # for the approval of other people
    DENIED = "denied"  # by one of them
    STOPPED = "stopped"  # by a brake: a person has to decide

    @property
    def words(self) -> str:
        """The fate in words."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class SheetView:
    """One line of a night. `name` is the sheet's, `path` where it is now; `sentence` says why it is not done."""

    name: str
    fate: Fate
    exit_code: ExitCode
    sentence: str = ""
    batch_id: str = ""
    counts: Counts | None = None
    path: Path | None = None
    reports: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class NightView:
    """The result of a night. `missed` names the nights in which no run began, `renewed` the batches for which the
    tenant had new results. `closed`: the window was closed."""

    inbox: Path
    tenant: str
    began: float
    ended: float
    sheets: Sequence[SheetView]
    renewed: Sequence[str]
    missed: str
    closed: bool
    halt: Halt | None

    @property
    def exit_code(self) -> ExitCode:
        """The most severe exit code. A night that was ended when nothing was left has still done everything."""
        codes = {view.exit_code for view in self.sheets}
        if self.halt is not None and self.halt.exit_code is not ExitCode.UNFINISHED:
            codes.add(self.halt.exit_code)
        return next((code for code in _FROM_THE_WORST if code in codes), ExitCode.OK)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing happened that needs a notice."""
        harmless = self.halt is None or self.halt.exit_code is ExitCode.UNFINISHED
        return self.closed or (not self.sheets and harmless)


_FROM_THE_WORST = (
    ExitCode.SIGN_IN,
    ExitCode.REFUSED,
    ExitCode.USAGE,
    ExitCode.UNFINISHED,
    ExitCode.ROWS_FAILED,
    ExitCode.OK,
)
