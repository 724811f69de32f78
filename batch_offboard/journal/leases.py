"""The lease of a tenant and application: which process may send for it, and in which epoch.

The holder checks the lease with the first statement of every transaction of a run. A process that was paused or cut off
while another took the lease finds its epoch gone, writes nothing, and so sends nothing more.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, or_, select, update
from sqlalchemy.engine import CursorResult

from batch_offboard.base.errors import BusyError, JournalError
from batch_offboard.journal.repeated import Repeated
from batch_offboard.journal.schema import leases

TTL = 20.0  # seconds from its last renewal until a lease that was not released expires


class FencedError(JournalError):
    """Another process has taken the lease: this one must not write, and so must not send."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send for a scope. The epochs of a scope only increase."""

    scope: int
    epoch: int
    holder: str


_RENEW = Repeated(
    update(leases)
    .where(leases.c.scope == bindparam("s"), leases.c.epoch == bindparam("e"), leases.c.holder == bindparam("h"))
    .values(renewed_at=bindparam("at"))
)


def take(connection: Connection, scope: int, holder: str, at: float, *, last_is_dead: bool) -> Lease:
    """Take the lease if it is free or expired, or in any case with `last_is_dead`. Raises BusyError if another process
    holds it. `at` in seconds since the Unix epoch."""
    free = or_(leases.c.holder.is_(None), leases.c.renewed_at < at - TTL)
    mine = update(leases).where(leases.c.scope == scope, *([] if last_is_dead else [free]))
    taken: CursorResult[tuple[int]] = connection.execute(
        mine.values(epoch=leases.c.epoch + 1, holder=holder, renewed_at=at)
    )
    if taken.rowcount == 0:
        if connection.execute(select(leases.c.scope).where(leases.c.scope == scope)).first() is not None:
            raise BusyError("Another process works on this tenant; wait until it ends, then try again.")
        connection.execute(insert(leases).values(scope=scope, epoch=1, holder=holder, renewed_at=at))
    epoch = connection.execute(select(leases.c.epoch).where(leases.c.scope == scope)).scalar_one()
    return Lease(scope, int(epoch), holder)


def renew(connection: Connection, lease: Lease, at: float) -> None:
    """Check and renew a lease; the update locks its row against processes that try to take it. Raises FencedError if it
    was lost."""
    line = {"s": lease.scope, "e": lease.epoch, "h": lease.holder, "at": at}
    if _RENEW.many(connection, [line]) != 1:
        raise FencedError(
            "Another process has taken over this tenant while this one was paused or cut off; nothing more is sent "
            "here. `batch-offboard list` shows which batch is at work."
        )


def free(connection: Connection, lease: Lease) -> None:
    """Release a lease, unless another process has taken it."""
    held = (leases.c.scope == lease.scope, leases.c.epoch == lease.epoch, leases.c.holder == lease.holder)
    connection.execute(update(leases).where(*held).values(holder=None))
