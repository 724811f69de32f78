"""One sheet that was taken from the inbox, from its plan to its place; and one batch that goes on."""

from pathlib import Path

from batch_offboard.base.errors import BatchOffboardError, ExitCode, GuardError, InputError, UsageError
from batch_offboard.calls.tenancy import Unreadable
from batch_offboard.commands import proposing, run, views
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.plans import Reading, staleness
from batch_offboard.commands.views import RunView, Talk
from batch_offboard.core.batches import Batch, tenant_of
from batch_offboard.core.brakes import Halt
from batch_offboard.journal.reading import batches_of_content, count, skipped_jobs, was_called
from batch_offboard.unattended.nightly.inbox import Inbox, sha256_of
from batch_offboard.unattended.nightly.placing import Placing, is_of, renew
from batch_offboard.unattended.nightly.views import SheetView, for_nights


class NightIsOverError(Exception):
    """What stopped one sheet would stop the next as well."""

    def __init__(self, halt: Halt) -> None:
        super().__init__(halt.reason)
        self.halt = halt


class Worker:
    """Works sheets and batches one after the other; `worked` has a line for each."""

    def __init__(self, desk: Desk, inbox: Inbox, talk: Talk, reading: Reading) -> None:
        self.worked: list[SheetView] = []
        self._desk, self._inbox, self._talk = desk, inbox, talk
        self._reading = reading
        self._placing = Placing(desk, inbox)

    def ask(self) -> None:
        """Raise NightIsOverError unless the next thing may be begun."""
        halt = self._desk.objection()
        if halt is not None:
            raise NightIsOverError(halt)

    def go_on(self, batch: Batch) -> None:
        """Resume a batch; its sheet may lie in `working`."""
        self.ask()
        sheet = next((each for each in self._inbox.at_work() if _holds(each, batch.source_sha256)), None)
        try:
            view = run.resume(self._desk, batch, (), self._talk)
        except UsageError as error:  # its own report cannot be written, say; that is no other batch's trouble
            self.worked.append(self._placing.left(batch, sheet, str(error), ()))
        else:
            self._ran(view, sheet)

    def work(self, sheet: Path) -> None:
        """Plan and run a sheet that was taken. The same content is never worked twice, whoever has begun it; but rows
        that were all skipped, as by a setting that was wrong, were not worked at all."""
        try:
            known = self._batches_of(sheet)
        except InputError as error:
            self.worked.append(self._placing.unreadable(sheet, str(error)))
            return
        begun = next((batch for batch in known if self._was_worked(batch, sheet)), None)
        if begun is not None:
            self._was_begun(begun, sheet)
            return
        now = self._desk.clock.now().wall
        how = self._reading.as_json()
        own = [b for b in known if is_of(b, sheet) and b.reading == how and staleness(b, now) is None]
        batch = next((each for each in own if self._was_looked_up(each)), None) or self._planned(sheet)
        if batch is not None:
            self._run(batch, sheet)

    def _was_worked(self, batch: Batch, sheet: Path) -> bool:
        """Whether a batch of this content stands for the sheet: it has sent something or is not through, or it is the
        sheet's own."""
        if batch.started_at is None:
            return False
        return batch.state != "finished" or is_of(batch, sheet) or was_called(self._desk.journal, batch.key)

    def _was_looked_up(self, batch: Batch) -> bool:
        """A tenant that may not be read never will be; one that could not be reached is asked again."""
        return batch.looked_up_at is not None or Unreadable.MACHINES in self._desk.unreadable

    def _batches_of(self, sheet: Path) -> list[Batch]:
        """The tenant's batches of this content, the newest first."""
        return batches_of_content(self._desk.journal, tenant_of(self._desk.target().scope), sha256_of(sheet))

    def _planned(self, sheet: Path) -> Batch | None:
        """The sheet's batch; None if it cannot be read, whatever a strange file does to a reader.

        A person may go on with a plan that the tenant was not asked about. With nobody there it waits for a better
        moment: rows that only the tenant can resolve would be skipped for good.
        """
        try:
            batch = proposing.plan(self._desk, sheet, self._reading).batch
        except InputError as error:
            self.worked.append(self._placing.unreadable(sheet, str(error)))
        except BatchOffboardError:
            raise
        except Exception as error:  # noqa: BLE001  # nothing is sent yet, and the other sheets can still be worked
            reason = f"Unforeseen {type(error).__name__}, a mistake in the program; please report it."
            self.worked.append(self._placing.unreadable(sheet, reason))
        else:
            if self._was_looked_up(batch):
                return batch
            why = batch.findings.get("not_looked_up", "")
            raise NightIsOverError(Halt(f"The tenant was not looked up: {why}", ExitCode.UNFINISHED))
        return None

    def _run(self, batch: Batch, sheet: Path) -> None:
        try:
            view = run.run_batch(self._desk, batch.batch_id, self._placing.reports_of(batch), self._talk)
        except GuardError as error:
            self.ask()  # a stop file refuses every sheet, and none of them is to blame
            self.worked.append(self._placing.refused(batch, sheet, error))
        else:
            self._ran(view, sheet)

    def _ran(self, view: RunView, sheet: Path | None) -> None:
        """A run has come to its end, or to a stop that ends the night as well."""
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
        journal = self._desk.journal
        if not is_of(batch, sheet):
            self.worked.append(self._placing.repeated(batch, sheet))
            return
        renew(self._desk, batch, self._talk.say)  # whoever died over this sheet may have died before its reports
        if batch.state == "finished":
            code = views.exit_code(count(journal, batch.key), skipped_jobs(journal, batch.key), None)
            self.worked.append(self._placing.finished(batch, sheet, code))
        else:
            self.worked.append(self._placing.stopped(batch, sheet))


def _holds(sheet: Path, sha256: str) -> bool:
    """Whether a sheet has this content; one that cannot be read has none that is known."""
    try:
        return sha256_of(sheet) == sha256
    except InputError:
        return False
