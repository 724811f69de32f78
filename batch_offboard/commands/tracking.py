"""Follows a batch's machine actions until each is final: one list call for thousands of them, round by round."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from batch_offboard.base.clock import local_time
from batch_offboard.base.durations import spoken_duration
from batch_offboard.base.errors import BusyError, ExitCode, SignInError, TransientSignInError, UsageError
from batch_offboard.calls.lookup import look_back
from batch_offboard.calls.tenancy import HURRIED, CannotReadError, ReadError, StrangeListError, Tenancy
from batch_offboard.commands.asking import is_at_work
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.reporting import usual_reports, write_reports
from batch_offboard.commands.views import Talk, exit_code
from batch_offboard.core.batches import Batch, Counts
from batch_offboard.core.brakes import Halt
from batch_offboard.core.plan import Reason
from batch_offboard.core.tenant import UNSUCCESSFUL
from batch_offboard.journal import settlements
from batch_offboard.journal.reading import Owner, count, newest_tracked, skipped_jobs

FIRST_ROUND, LONGEST_ROUND = 30.0, 300.0  # seconds between two looks; devices answer in minutes to days
REACHED = 1.0  # seconds before a deadline that count as reached
STRAGGLERS = 20  # actions missing from the list that are requested one by one in each round


@dataclass(frozen=True, slots=True)
class TrackView:
    """The machine actions of a batch by status. `statuses` are in the API's own words."""

    batch: Batch
    counts: Counts
    skipped: Mapping[Reason, int]
    statuses: Mapping[str, int]
    open: int
    rounds: int
    halt: Halt | None
    reports: Sequence[Path]
    exit_code: ExitCode
    at_work: bool = False  # another process works on the batch


async def track(
    desk: Desk, name: str | None, reports: Sequence[Path], talk: Talk, until: float | None = None
) -> TrackView:
    """Follow the batch's machine actions until each is final, `until` (seconds since the epoch), or a request to end;
    by default those of the newest batch that has open ones. Writes the report again."""
    batch = desk.batch(name, begun=True) if name else _newest(desk)
    round_ = _Rounds(desk, batch, talk, until)
    async with desk.tenants.of(batch, talk.say) as tenancy:
        halt = await round_.follow(tenancy)
    batch = desk.batch(batch.batch_id)
    written = write_reports(desk, batch, reports or usual_reports(desk, batch))
    counts, skipped = count(desk.journal, batch.key), skipped_jobs(desk.journal, batch.key)
    left = len(settlements.open_actions(desk.journal, batch.key))
    statuses = settlements.status_counts(desk.journal, batch.key)
    code = _exit_code_of_track(exit_code(counts, skipped, None), statuses, left, halt)
    return TrackView(batch, counts, skipped, statuses, left, round_.made, halt, written, code, is_at_work(desk, batch))


def _newest(desk: Desk) -> Batch:
    """The newest batch with open machine actions of the tenant and application of this command."""
    others = newest_tracked(desk.journal, Owner(simulated=desk.options.simulate))
    if others is None:
        raise UsageError("No batch has open machine actions; `batch-offboard list` shows all batches.")
    owner = desk.tenants.owner()
    found = newest_tracked(desk.journal, owner)
    if found is None:
        raise UsageError(
            f"No batch of {owner.words} has open machine actions; {others.batch_id} belongs to {others.scope}, name "
            "its configuration with --config to follow it."
        )
    return found


def _exit_code_of_track(rows: ExitCode, statuses: Mapping[str, int], left: int, halt: Halt | None) -> ExitCode:
    if halt is not None and halt.exit_code is not ExitCode.UNFINISHED:
        return halt.exit_code
    if left or rows is ExitCode.UNFINISHED:
        return ExitCode.UNFINISHED
    return ExitCode.ROWS_FAILED if any(status.lower() in UNSUCCESSFUL for status in statuses) else rows


class _Rounds:
    """Polls in rounds, with longer pauses while nothing changes."""

    def __init__(self, desk: Desk, batch: Batch, talk: Talk, until: float | None) -> None:
        self._desk, self._batch, self._talk, self._until = desk, batch, talk, until
        self._ended = asyncio.Event()
        self._halt: Halt | None = None
        self.made = 0

    async def follow(self, tenancy: Tenancy) -> Halt | None:
        with self._talk.ending.heard(self._end, self._end):
            following = asyncio.create_task(self._follow(tenancy))
            ended = asyncio.create_task(self._ended.wait())
            await asyncio.wait([following, ended], return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
        return self._halt

    def _end(self, name: str) -> None:
        command = f"`batch-offboard track {self._batch.batch_id}`"
        self._halt = Halt(f"{name} was received; look again with {command}.", ExitCode.UNFINISHED)
        self._ended.set()

    async def _follow(self, tenancy: Tenancy) -> None:
        pause = FIRST_ROUND
        before: Mapping[str, int] = {}
        while True:
            try:
                await _look(tenancy, self._batch)
            except (CannotReadError, ReadError, StrangeListError, SignInError, BusyError) as error:
                if not isinstance(error, (ReadError, BusyError, TransientSignInError)) or self.made == 0:
                    self._halt = Halt(_sentence(error), error.exit_code)
                    return
                self._talk.say(f"{error} The next round tries again.")
            self.made += 1
            now = settlements.status_counts(tenancy.journal, self._batch.key)
            pause = FIRST_ROUND if now != before else min(pause * 1.5, LONGEST_ROUND)
            left = len(settlements.open_actions(tenancy.journal, self._batch.key))
            moment = tenancy.clock.now().wall
            wait = pause if self._until is None else min(pause, self._until - moment)
            last = left == 0 or wait < REACHED
            if now != before or last:
                self._talk.say(f"{local_time(moment)}  {statuses_text(now)}{'' if last else _next(wait)}")
            if last:
                return
            before = now
            await asyncio.sleep(wait)


def statuses_text(statuses: Mapping[str, int]) -> str:
    """The statuses in one line, the most frequent first."""
    ordered = sorted(statuses.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number} {status}" for status, number in ordered) or "no machine actions"


def _next(pause: float) -> str:
    return f"; next look in {spoken_duration(pause)}"


def _sentence(error: Exception) -> str:
    return f"The tenant cannot be followed: {error}." if isinstance(error, CannotReadError) else str(error)


async def _look(tenancy: Tenancy, batch: Batch) -> None:
    """One round: the list for all, then single requests for the few that it lacks."""
    back = await look_back(tenancy, batch, resend=False, open_only=True)
    journal, writer = tenancy.journal, tenancy.writer
    waiting = await writer.run(settlements.open_actions, journal, batch.key)
    unlisted = sorted(waiting.keys() - back.listed, key=waiting.__getitem__)[:STRAGGLERS]
    if not unlisted:
        return
    async with tenancy.reader(HURRIED) as reader:
        found = [await reader.action(action_id) for action_id in unlisted]
    tenant = await writer.run(journal.tenant_of, tenancy.scope_key)
    heard = [each for each in found if each is not None]
    await writer.run(settlements.note_actions, journal, tenant, heard, tenancy.clock.now().wall)
