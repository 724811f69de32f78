"""One device's history: the decision on its row, every call made for it, and how its doubts were settled."""

from sqlalchemy import func, or_, select

from batch_offboard.journal.reported import report_row, report_statement
from batch_offboard.journal.schema import calls, rows
from batch_offboard.journal.settlements import settlements_of
from batch_offboard.journal.store import Journal
from batch_offboard.reports.lives import Call, Life


def life_of(journal: Journal, batch: int, row: int) -> Life | None:
    """The history of one row."""
    with journal.reading() as connection:
        line = connection.execute(report_statement(batch).where(rows.c.row == row)).first()
        if line is None:
            return None
        made = connection.execute(
            select(
                calls.c.api,
                calls.c.attempt,
                calls.c.started_at,
                calls.c.ended_at,
                calls.c.verdict,
                calls.c.http_status,
                calls.c.code,
                calls.c.message,
                calls.c.target,
            )
            .where(calls.c.batch == batch, calls.c.row == row)
            .order_by(calls.c.id)
        )
        lives = tuple(Call(*each[:4], each[4] or "", each[5], *(text or "" for text in each[6:])) for each in made)
        settled = tuple(settlements_of(connection, batch, row))
    note = "" if line.reason else line.detail
    return Life(report_row(line), line.reason or "", line.first_row, lives, settled, note)


def rows_of_device(journal: Journal, batch: int, device: str) -> list[int]:
    """The rows of a batch that name this device, by ID or by name; a name without a domain matches any domain."""
    name = device.strip().lower()
    known = func.lower(rows.c.device_name)
    by_name = (
        known == name if "." in name or not name else or_(known == name, known.startswith(f"{name}.", autoescape=True))
    )
    statement = (
        select(rows.c.row)
        .where(
            rows.c.batch == batch,
            or_(rows.c.device_id == name, by_name),
        )
        .order_by(rows.c.row)
    )
    with journal.reading() as connection:
        return list(connection.execute(statement).scalars())
