"""The sequence of a nightly run: first what earlier runs have left open, then the sheets of the inbox.

A sheet that cannot be processed never prevents the others; a problem that would stop every sheet ends the night.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from batch_offboard.base.clock import local_date, local_time
from batch_offboard.base.durations import spoken_duration
from batch_offboard.base.errors import BatchOffboardError, ExitCode
from batch_offboard.base.text import one_line
from batch_offboard.commands import nights
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.locking import inbox_alone
from batch_offboard.commands.plans import Reading
from batch_offboard.commands.views import Talk
from batch_offboard.core.brakes import Halt
from batch_offboard.core.nights import Night
from batch_offboard.unattended.nightly.inbox import Companion, Found, Inbox, InboxError, companion
from batch_offboard.unattended.nightly.placing import renew
from batch_offboard.unattended.nightly.sheets import NightIsOverError, Show, Worker
from batch_offboard.unattended.nightly.views import Fate, NightView, SheetView, for_nights

# Batches that were started longer ago are left to a person: they may no longer be wanted.
REMEMBERED = 30 * 86_400.0  # seconds

LOOKS_APART = 2.0  # seconds between two scans of the inbox: a sheet that is being written changes in between
PAUSE = 20.0  # seconds until sheets that are being written are checked again
PATIENCE = 600.0  # seconds that a run with nothing else to do waits for all such sheets together
STALE = 86_400.0  # seconds: a lock file as old as this will not disappear in the next ten minutes

_WAITS = "The next run processes it."
_LOOKS_AGAIN = "The next run looks at it again."

PLAINLY = Reading()


@dataclass(frozen=True, slots=True)
class Unready:
    """Why a sheet cannot be taken yet; `is_stale` if waiting for it is pointless."""

    sentence: str
    is_stale: bool = False


async def nightly(
    desk: Desk, folder: Path, talk: Talk, reading: Reading = PLAINLY, show: Show = lambda _view: None
) -> NightView:
    """Finish open batches and send the sheets of the inbox `folder`, read as `reading` says; `show` is called with each
    plan before it is sent. Raises BusyError if another run works on the inbox, UsageError if there is no such folder,
    ConfigError or SignInError if there is no tenant."""
    inbox = Inbox(desk.options.cwd / folder)
    inbox.prepare()
    desk.tenants.target()
    began, name = desk.clock.now().wall, one_line(str(inbox.path))
    with inbox_alone(desk, inbox.path):
        missed = _missed(desk, nights.last_night(desk, name), began, talk.say)
        key, code = nights.begin_night(desk, name, began), ExitCode.UNFINISHED
        try:
            night = _Night(desk, inbox, talk, reading, show)
            await night.work()
            view = night.view(began, missed)
            code = view.exit_code
        finally:
            nights.end_night(desk, key, code)
    return view


def _missed(desk: Desk, last: Night | None, now: float, say: Callable[[str], None]) -> str:
    """The nights since the last run in which the window opened and no run began."""
    if last is not None and last.ended_at is None:
        say(f"The last nightly run, started at {local_time(last.began_at)}, did not finish.")
    window = desk.window()
    if window is None or last is None:
        return ""
    missed = [local_date(span.opens, window.zone) for span in window.openings_between(last.began_at, now)]
    more = f" and {len(missed) - 1} before it" if len(missed) > 1 else ""
    return f"{missed[-1]}{more}" if missed else ""


class _Night:
    """One nightly run over an inbox."""

    def __init__(self, desk: Desk, inbox: Inbox, talk: Talk, reading: Reading, show: Show) -> None:
        self._desk, self._inbox, self._talk = desk, inbox, talk
        self._worker = Worker(desk, inbox, talk, reading, show)
        self._renewed: list[str] = []
        self._unready: dict[Path, Unready] = {}
        self._patience = 0.0 if desk.options.simulate else PATIENCE
        self._halt: Halt | None = None
        self._closed = False

    async def work(self) -> None:
        """Do everything in order; the error that ends the night is stored."""
        halt = self._desk.objection()
        self._closed = halt is not None and halt.exit_code is ExitCode.UNFINISHED
        with self._talk.ending.heard(self._worker.end, self._worker.end):
            try:
                self._worker.ask()
                self._desk.protected()  # an unusable list would refuse every sheet
                await self._look_back()
                await self._resume()
                await self._go_on()
                await self._look_at_waiting()
                await self._take_all()
            except NightIsOverError as over:
                self._halt = for_nights(over.halt)
            except BatchOffboardError as error:
                self._halt = for_nights(Halt(str(error), error.exit_code))

    def view(self, began: float, missed: str) -> NightView:
        left: list[SheetView] = []
        with suppress(InboxError):  # the reason was already shown when it ended the night
            left = [*self._left(), *self._not_taken()]
        return NightView(
            inbox=self._inbox.path,
            tenant=self._desk.tenants.target().scope,
            began=began,
            ended=self._desk.clock.now().wall,
            sheets=[*self._worker.worked, *left],
            renewed=self._renewed,
            missed=missed,
            closed=self._closed,
            halt=self._halt,
        )

    # -- what earlier runs have left open --

    async def _look_back(self) -> None:
        """Ask the tenant about earlier batches, and write the reports again of those with new results."""
        changed = await self._worker.interruptible(nights.look_back_since(self._desk, self._since(), self._talk.say))
        for batch in changed:
            self._renewed.append(batch.batch_id)
            renew(self._desk, batch, self._talk.say)

    async def _resume(self) -> None:
        for batch in nights.unfinished(self._desk, self._since()):
            if batch.needs_person:
                self._talk.say(f"Batch {batch.batch_id} waits for a person: {batch.why_it_waits}")
            else:
                await self._worker.go_on(batch)

    async def _go_on(self) -> None:
        """Continue with sheets that an earlier run took and had not moved to their final folder when it died or was
        stopped."""
        for sheet in self._inbox.at_work():
            if not any(view.path == sheet for view in self._worker.worked):
                self._worker.ask()
                await self._worker.work(sheet)

    async def _look_at_waiting(self) -> None:
        """Process sheets that wait for an approval: those that were approved are sent, those that were denied or are
        stale no longer wait."""
        for sheet in self._inbox.not_approved():
            self._worker.ask()
            await self._worker.look_at_waiting(sheet)

    def _since(self) -> float:
        return self._desk.clock.now().wall - REMEMBERED

    # -- the inbox --

    async def _take_all(self) -> None:
        """Take sheets until none is left, including those that are still being written. All waits of a night together
        last at most PATIENCE."""
        said: set[Path] = set()
        while True:
            if sum([await self._take(found) for found in await self._look()]):
                continue
            waiting = {path: why for path, why in self._unready.items() if not why.is_stale}
            if not waiting or self._patience <= 0:
                return
            self._worker.ask()
            for path in sorted(waiting.keys() - said):
                left = spoken_duration(self._patience)
                self._talk.say(f"Waiting up to {left} for {one_line(path.name)}: {waiting[path].sentence}.")
            said |= waiting.keys()
            await self._sleep(PAUSE)
            self._patience -= PAUSE + LOOKS_APART

    async def _look(self) -> list[Found]:
        """The sheets that are no longer being written, oldest first; why the others are not ready is stored."""
        before = self._inbox.waiting()
        if before:
            await self._sleep(LOOKS_APART)
        after, now = self._inbox.waiting(), self._desk.clock.now().wall
        self._unready = {}
        for found in after:
            if found not in before or not found.is_settled(now):
                self._unready[found.path] = Unready("it was changed less than a minute ago and may still be written")
            elif (beside := companion(found.path)) is not None:
                self._unready[found.path] = _said_by(beside, now)
        return [found for found in after if found.path not in self._unready]

    async def _take(self, found: Found) -> bool:
        self._worker.ask()
        sheet = self._inbox.take(found)
        if sheet is None:
            self._unready[found.path] = Unready(
                "another program has it open, or it may not be moved; close it there, or check who may write there"
            )
            return False
        await self._worker.work(sheet)
        return True

    async def _sleep(self, seconds: float) -> None:
        await self._worker.interruptible(asyncio.sleep(seconds))

    # -- what remains --

    def _left(self) -> list[SheetView]:
        """What is left for the next run: batches, taken sheets, and sheets in the inbox."""
        worked = self._worker.worked
        batches = [
            SheetView(batch.source_name, Fate.LEFT, ExitCode.UNFINISHED, _WAITS, batch.batch_id)
            for batch in nights.unfinished(self._desk, self._since())
            if not batch.needs_person and all(view.batch_id != batch.batch_id for view in worked)
        ]
        covered = {view.path for view in worked} | {self._inbox.working / view.name for view in batches}
        taken = [sheet for sheet in self._inbox.at_work() if sheet not in covered]
        return [*batches, *map(self._left_sheet, [*taken, *(found.path for found in self._inbox.waiting())])]

    def _not_taken(self) -> list[SheetView]:
        """Entries of the inbox that will never be taken, reported each night until a person removes them."""
        return [
            SheetView(found.path.name, Fate.NOT_TAKEN, ExitCode.ROWS_FAILED, found.sentence, path=found.path)
            for found in self._inbox.strangers(self._desk.clock.now().wall)
        ]

    def _left_sheet(self, sheet: Path) -> SheetView:
        why = self._unready.get(sheet)
        sentence = f"It was left where it is: {why.sentence}. {_LOOKS_AGAIN}" if why else _WAITS
        return SheetView(sheet.name, Fate.LEFT, ExitCode.UNFINISHED, sentence, path=sheet)


def _said_by(beside: Companion, now: float) -> Unready:
    """What a file beside a sheet means for it; `now` in seconds since the epoch."""
    age, name = max(0.0, now - beside.changed), one_line(beside.path.name)
    if beside.is_lock:
        sentence = (
            f"another program has it open: its lock file {name} is {spoken_duration(age)} old; close the sheet there, "
            "or delete the lock file if no program has it open any more"
        )
    else:
        sentence = (
            f"it is not complete: {name} beside it is {spoken_duration(age)} old; let the copy or download end, or "
            "delete that file if it was given up"
        )
    return Unready(sentence, age > STALE)
