"""Five rules broken on purpose, one line each. The checks are worth as much as they notice of it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from batch_offboard.base.clock import Moment
from batch_offboard.calls import shift as execution
from batch_offboard.calls.gate import Gate
from batch_offboard.commands import access, reporting
from batch_offboard.core.brakes import Brakes, Halt
from batch_offboard.core.jobs import CallOutcome, Job, Verdict
from batch_offboard.core.slots import Slot
from batch_offboard.defender.target import Target, real_target
from batch_offboard.journal.reported import report_rows
from batch_offboard.journal.store import Journal
from batch_offboard.reports.rows import Outcome, ReportRow
from tests.simulation.host import Process, current_process


@contextmanager
def send_before_intent() -> Iterator[None]:
    """The intent is written, but nobody waits until it is durable."""
    honest = execution._JournalJobs.start

    async def start(self: execution._JournalJobs, job: Job, at: Moment) -> None:
        writing = asyncio.ensure_future(honest(self, job, at))
        writing.add_done_callback(lambda done: done.cancelled() or done.exception())

    with patch.object(execution._JournalJobs, "start", start):
        yield


@contextmanager
def resend_at_once() -> Iterator[None]:
    """A call that the tenant does not list is sent again at once, without the horizon."""

    def hasty(*arguments: Any) -> Target:
        return replace(real_target(*arguments), horizon=0.0)

    with patch.object(access, "real_target", hasty):
        yield


@contextmanager
def quota_from_the_send() -> Iterator[None]:
    """A slot comes free a window's length after its call began, and not after it ended."""
    honest = Gate.release

    def release(self: Gate, slot: Slot) -> Moment:
        with patch.object(self, "_clock", _Stopped(slot.taken_at)):
            return honest(self, slot)

    with patch.object(Gate, "release", release):
        yield


class _Stopped:
    """A clock that shows one moment."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment

    def now(self) -> Moment:
        return self._moment


@contextmanager
def report_from_memory() -> Iterator[None]:
    """A report tells what its own process has seen of the calls, and nothing of an earlier one."""
    seen: dict[tuple[Process, int], CallOutcome] = {}
    honest_end, honest_rows = execution._JournalJobs.end, report_rows

    async def end(self: execution._JournalJobs, job: Job, at: Moment, outcome: CallOutcome, *, slower: bool) -> None:
        seen[current_process(), job.row] = outcome
        await honest_end(self, job, at, outcome, slower=slower)

    def rows(journal: Journal, batch: int) -> Iterator[ReportRow]:
        for row in honest_rows(journal, batch):
            outcome = seen.get((current_process(), row.row))
            if row.outcome is Outcome.SKIPPED:
                yield row
            elif outcome is None:
                yield replace(row, outcome=Outcome.PENDING, machine_action_id="")
            else:
                yield replace(row, outcome=Outcome(outcome.state), machine_action_id=outcome.action_id)

    with patch.object(execution._JournalJobs, "end", end), patch.object(reporting, "report_rows", rows):
        yield


@contextmanager
def go_on_unsettled() -> Iterator[None]:
    """An unclear answer among the first calls counts as accepted, and nobody looks for it."""
    honest = Brakes._too_soon

    def too_soon(self: Brakes, outcome: CallOutcome) -> Halt | None:
        return honest(self, replace(outcome, verdict=Verdict.SUBMITTED, action_id="?"))

    with patch.object(Brakes, "_too_soon", too_soon):
        yield


SABOTAGE: dict[str, Callable[[], Any]] = {
    "send before intent": send_before_intent,
    "resend at once": resend_at_once,
    "quota counted from the send": quota_from_the_send,
    "report from memory": report_from_memory,
    "go on unsettled": go_on_unsettled,
}
