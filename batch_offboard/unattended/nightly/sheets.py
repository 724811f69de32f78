"""Processes one sheet from the inbox, from its plan to its final folder, or one batch that is continued."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from batch_offboard.base.errors import ApprovalError, BatchOffboardError, ExitCode, GuardError, InputError, UsageError
from batch_offboard.commands import nights, proposing, run
from batch_offboard.commands.clearing import approvals, check_guards
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.plans import Reading
from batch_offboard.commands.views import PlanView, RunView, Talk
from batch_offboard.core.batches import Batch
from batch_offboard.core.brakes import Halt
from batch_offboard.core.consent import Consent, waiting_text
from batch_offboard.unattended.nightly.inbox import Inbox, sha256_of
from batch_offboard.unattended.nightly.placing import Placing, is_of, renew
from batch_offboard.unattended.nightly.views import SheetView, by_itself, for_nights

T = TypeVar("T")
Show = Callable[[PlanView], None]


class NightIsOverError(Exception):
    """The problem of one sheet would stop the next one as well."""

    def __init__(self, halt: Halt) -> None:
        super().__init__(halt.reason)
        self.halt = halt


class Worker:
    """Processes sheets and batches one after the other; `worked` has a line for each."""

    def __init__(self, desk: Desk, inbox: Inbox, talk: Talk, reading: Reading, show: Show) -> None:
        self.worked: list[SheetView] = []
        self._halt: Halt | None = None  # why nothing more may start, in addition to the desk's objection
        self._waiting: asyncio.Task[Any] | None = None
        self._desk, self._inbox, self._talk = desk, inbox, talk
        self._reading, self._show = reading, show
        self._placing = Placing(desk, inbox)

    def ask(self) -> None:
        """Raise NightIsOverError unless the next sheet or batch may start."""
        halt = self._halt or self._desk.objection()
        if halt is not None:
            raise NightIsOverError(halt)

    def end(self, _by: str) -> None:
        """Start nothing more and cancel waits; a run in progress receives the request to end itself."""
        self._halt = self._halt or Halt("The run was asked to end.", ExitCode.UNFINISHED)
        if self._waiting is not None:
            self._waiting.cancel()

    async def interruptible(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work that is cancelled when the night is asked to end, which raises NightIsOverError."""
        waiting = asyncio.create_task(work)
        self._waiting = waiting
        try:
            return await waiting
        except asyncio.CancelledError:
            if self._halt is not None:
                raise NightIsOverError(self._halt) from None
            raise
        finally:
            self._waiting = None

    async def go_on(self, batch: Batch) -> None:
        """Resume a batch; its sheet may be in `working`."""
        self.ask()
        sheet = next((each for each in self._inbox.at_work() if _holds(each, batch.source_sha256)), None)
        try:
            view = await run.resume(self._desk, batch, (), self._talk)
        except ApprovalError as error:  # a guard has changed since it was started
            self.worked.append(self._placing.left(batch, sheet, by_itself(str(error)), ()))
        except UsageError as error:  # for example its report cannot be written, which does not affect other batches
            self.worked.append(self._placing.left(batch, sheet, str(error), ()))
        else:
            self._ran(view, sheet)

    async def work(self, sheet: Path) -> None:
        """Plan and run a taken sheet. The same content is never processed twice, by nightly or by hand; a batch whose
        rows were all skipped, for example because of a wrong setting, does not count."""
        try:
            known = self._batches_of(sheet)
        except InputError as error:
            self.worked.append(self._placing.unreadable(sheet, str(error)))
            return
        begun = next((batch for batch in known if self._was_worked(batch, sheet)), None)
        if begun is not None:
            self._was_begun(begun, sheet)
            return
        how = self._reading.as_json()
        plans = [b for b in known if b.state == "planned" and is_of(b, sheet) and b.reading == how]
        own = [b for b in plans if proposing.why_stale(self._desk, b) is None]
        batch = next((each for each in own if self._was_looked_up(each)), None) or await self._planned(sheet)
        if batch is not None:
            await self._run(batch, sheet)

    async def look_at_waiting(self, sheet: Path) -> None:
        """Process a sheet that has waited for an approval, unless it still has to wait. One whose plan has become stale
        is planned again, and waits again."""
        try:
            batch = next((each for each in self._batches_of(sheet) if is_of(each, sheet)), None)
        except InputError as error:
            self.worked.append(self._placing.unreadable(sheet, str(error)))
            return
        if batch is not None and proposing.why_stale(self._desk, batch) is None:
            found = approvals(self._desk, batch, self._desk.options.actor.person)
            if found is not None and found.denied:
                taken = self._inbox.take_again(sheet)
                self.worked.append(self._placing.denied(batch, taken, waiting_text(batch.batch_id, found)))
                return
            if found is not None and not found.allows:
                self._talk.say(f"{sheet.name} still waits: {waiting_text(batch.batch_id, found)}")
                return
        taken = self._inbox.take_again(sheet)
        if batch is not None:
            nights.moved(self._desk, batch, taken)
        await self.work(taken)

    def _was_worked(self, batch: Batch, sheet: Path) -> bool:
        """Whether a batch with this content counts for the sheet: it has sent something, is unfinished, or is the
        sheet's own."""
        if batch.started_at is None:
            return False
        return batch.state != "finished" or is_of(batch, sheet) or nights.has_made_a_call(self._desk, batch)

    def _was_looked_up(self, batch: Batch) -> bool:
        """Whether there was a look-up, or none is possible: a tenant that cannot be reached is asked again, one that
        may not be read is not."""
        return batch.looked_up_at is not None or self._desk.tenants.is_unreadable

    def _batches_of(self, sheet: Path) -> list[Batch]:
        """The tenant's batches with this content, newest first."""
        return nights.batches_of_sheet(self._desk, sha256_of(sheet))

    async def _planned(self, sheet: Path) -> Batch | None:
        """The sheet's batch; None if it cannot be read, whatever error a damaged file causes in a reader.

        A person may run a plan without a look-up. An unattended run waits until the tenant can be read: rows that only
        the tenant can resolve would be skipped for good.
        """
        try:
            batch = (await self.interruptible(proposing.plan(self._desk, sheet, self._reading))).batch
        except InputError as error:
            self.worked.append(self._placing.unreadable(sheet, str(error)))
        except BatchOffboardError:
            raise
        except Exception as error:  # noqa: BLE001  # nothing is sent yet, and the other sheets can still be processed
            reason = f"Unexpected {type(error).__name__}, a bug in the program; please report it."
            self.worked.append(self._placing.unreadable(sheet, reason))
        else:
            if self._was_looked_up(batch):
                return batch
            why = batch.findings.get("not_looked_up", "")
            raise NightIsOverError(Halt(f"The tenant was not looked up: {why}", ExitCode.UNFINISHED))
        return None

    async def _run(self, batch: Batch, sheet: Path) -> None:
        try:
            proposal = await proposing.propose(
                self._desk, None, batch.batch_id, self._reading, proposing.EVERYTHING, self._talk.say
            )
            batch = proposal.batch
            check_guards(self._desk, proposal)
            self._show(proposal.view)
            consent = Consent(self._desk.options.actor, "nightly")
            view = await run.send(self._desk, proposal, consent, self._placing.reports_of(batch), self._talk)
        except ApprovalError as error:
            self.ask()
            found = approvals(self._desk, batch, self._desk.options.actor.person)
            if found is not None and found.denied:
                self.worked.append(self._placing.denied(batch, sheet, str(error)))
            else:
                self.worked.append(self._placing.waiting(batch, sheet, error))
        except GuardError as error:
            self.ask()  # a stop file refuses every sheet, so this one has not failed
            self.worked.append(self._placing.refused(batch, sheet, error))
        else:
            self._ran(view, sheet)

    def _ran(self, view: RunView, sheet: Path | None) -> None:
        """Handle the end of a run, or a stop that ends the night as well."""
        batch, halt = view.batch, view.halt
        if batch.state == "finished":
            self.worked.append(self._placing.finished(batch, sheet, view.exit_code))
        elif halt is not None and halt.held:
            self.worked.append(self._placing.stopped(batch, sheet))
        else:
            reason = for_nights(halt).reason if halt else "Rows are in doubt; the next run looks for them again."
            self.worked.append(self._placing.left(batch, sheet, reason, view.reports))
        if halt is not None:
            raise NightIsOverError(halt)

    def _was_begun(self, batch: Batch, sheet: Path) -> None:
        if not is_of(batch, sheet):
            self.worked.append(self._placing.repeated(batch, sheet))
            return
        renew(
            self._desk, batch, self._talk.say
        )  # a process that died while processing this sheet may not have written its reports
        if batch.state == "finished":
            code = nights.exit_code_of(self._desk, batch)
            self.worked.append(self._placing.finished(batch, sheet, code))
        else:
            self.worked.append(self._placing.stopped(batch, sheet))


def _holds(sheet: Path, sha256: str) -> bool:
    """Whether a sheet has this content; false if it cannot be read."""
    try:
        return sha256_of(sheet) == sha256
    except InputError:
        return False
