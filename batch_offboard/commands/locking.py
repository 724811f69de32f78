"""The locks of a command: one process at a time for a journal, a tenant, an inbox."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from batch_offboard.base.text import one_line
from batch_offboard.commands.desk import Desk
from batch_offboard.config.places import lock_folder
from batch_offboard.core.batches import Batch
from batch_offboard.journal.locks import inbox_locks, only_process, run_locks


@contextmanager
def working_alone(desk: Desk, batch: Batch) -> Iterator[None]:
    """Hold the locks of a command that changes a batch. Raises BusyError if another process works on its tenant or in
    this journal. A lease taken inside the block is released at its end."""
    locks = run_locks(lock_folder(), desk.journal.path, batch.scope, simulated=batch.simulated)
    with only_process(locks, f"batch {batch.batch_id}", desk.clock.now().wall):
        try:
            yield
        finally:
            desk.journal.give_back()


def inbox_alone(desk: Desk, inbox: Path) -> AbstractContextManager[None]:
    """Hold the locks of a nightly run. Raises BusyError if another one works on the inbox."""
    locks = inbox_locks(lock_folder(), inbox)
    name = one_line(str(inbox))
    return only_process(locks, f"nightly run over {name}", desk.clock.now().wall, at_work_on="this inbox")
