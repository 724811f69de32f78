"""Settles a row in doubt on a person's word, and records who said what."""

from batch_offboard.base import logs
from batch_offboard.base.errors import UsageError
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.locking import working_alone
from batch_offboard.commands.views import ResolvedView
from batch_offboard.core.jobs import JobState
from batch_offboard.journal import settlements
from batch_offboard.journal.reading import count


async def resolve(desk: Desk, name: str, row: int, *, accepted: bool, action_id: str, note: str) -> ResolvedView:
    """Settle a row in doubt: accepted, with the machine action if known, or not accepted, which makes it pending
    again."""
    batch = desk.batch(name, begun=True)
    with working_alone(desk, batch):
        now, person = desk.clock.now(), desk.options.actor.person
        desk.journal.take_over(batch.scope_key, now)
        doubt = next((each for each in settlements.doubts(desk.journal, batch.key, now) if each.row == row), None)
        if doubt is None:
            raise UsageError(f"Row {row} of batch {batch.batch_id} is not in doubt; `explain` shows its state.")
        given = action_id if accepted else None
        settlements.settle_by_person(desk.journal, doubt, now.wall, person, action_id=given, note=note)
        logs.info("row resolved", batch=batch.batch_id, row=row, accepted=accepted, action=action_id, who=person)
        counts = count(desk.journal, batch.key)
        left = counts.of(JobState.PENDING, JobState.IN_DOUBT)
        desk.journal.end_batch(batch.key, now, batch.halted_because if left else "", held=batch.held)
        return ResolvedView(desk.batch(batch.batch_id), counts, row, accepted)
