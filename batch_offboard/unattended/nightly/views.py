"""What there is to tell of a night, for people, programs and notices alike."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from batch_offboard.base.errors import ExitCode
from batch_offboard.core.batches import Counts
from batch_offboard.core.brakes import Halt


def for_nights(halt: Halt) -> Halt:
    """A halt as an unattended run tells it: what advises to type `resume` happens by itself, unless a person has to
    look first."""
    return halt if halt.held else replace(halt, reason=by_itself(halt.reason))


def by_itself(reason: str) -> str:
    """A sentence in which the next nightly run stands in the place of `resume`."""
    return _DOES.sub("the next nightly run", _TO_TYPE.sub("the next nightly run continues", reason))


_RESUME = r"`(?:batch-offboard )?resume(?: [^`]*)?`"
_TO_TYPE = re.compile(
    rf"(?:(?:go on|continue)(?: later)? with |run )?{_RESUME}(?: to continue| goes on| continues|(?! [a-z]))"
)
_DOES = re.compile(_RESUME)  # such as: `resume` signs in anew


def meaning_at_night(code: ExitCode) -> str:
    """What an exit code means to whoever reads of a night: what is left needs nobody who types `resume`."""
    return "not finished; the next nightly run continues" if code is ExitCode.UNFINISHED else code.meaning


class Fate(StrEnum):
    """What became of a sheet, or of a batch that has no sheet in the inbox."""

    DONE = "done"
    REPEATED = "repeated"  # its content was worked before
    LEFT = "left"  # the next run goes on with it
    UNREADABLE = "unreadable"
    NOT_TAKEN = "not_taken"  # no sheet: it stays in the inbox until a person has done something about it
    REFUSED = "refused"  # by a guard, before its first call
    WAITING = "waiting"  # for the approval of other people
    DENIED = "denied"  # by one of them
    STOPPED = "stopped"  # by a brake: a person has to look

    @property
    def words(self) -> str:
        """The fate as people read it."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class SheetView:
    """One line of a night. `name` is the sheet's, `path` where it lies now; `sentence` says why it is not done."""

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
    """How a night went. `missed` names the nights in which none began, `renewed` the batches for which the tenant had
    new results. `closed`: the window was closed."""

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
        """The worst of what happened. A night that was ended when nothing was left has still done everything."""
        codes = {view.exit_code for view in self.sheets}
        if self.halt is not None and self.halt.exit_code is not ExitCode.UNFINISHED:
            codes.add(self.halt.exit_code)
        return next((code for code in _FROM_THE_WORST if code in codes), ExitCode.OK)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing happened that anybody has to hear of."""
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
