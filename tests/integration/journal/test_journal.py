"""The journal on a real file: what is durable, what is legal, what is remembered."""

import asyncio
import errno
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text, update
from sqlalchemy.exc import IntegrityError

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import JournalError, UsageError
from batch_offboard.core.batches import Batch
from batch_offboard.core.jobs import CallOutcome, Job, JobState, Verdict
from batch_offboard.core.plan import Amendment, PlannedRow, Reason
from batch_offboard.core.tenant import ApiName
from batch_offboard.journal import lives, migrations, reading, reported
from batch_offboard.journal import sqlite as opening
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.schema import jobs
from batch_offboard.journal.store import Journal
from batch_offboard.journal.writer import JournalWriter
from batch_offboard.reports.rows import Outcome
from tests.examples import add_batch
from tests.integration.inspection import transactions

T0 = 1_795_500_000.0
ACCEPTED = CallOutcome(Verdict.SUBMITTED, 201, "action-1", "Pending")
REFUSED = CallOutcome(Verdict.FAILED, 404, code="ResourceNotFound", message="no such device")
THROTTLED = CallOutcome(Verdict.THROTTLED, 429, code="429", retry_after=30.0)


def at(seconds: float, boot: str = "boot-1") -> Moment:
    return Moment(T0 + seconds, 1000 + seconds, boot)


def device(number: int) -> str:
    return f"d{number:039d}"


def row(number: int, reason: Reason | None = None, first_row: int | None = None) -> PlannedRow:
    return PlannedRow(
        number, device(number), f"LT-{number}", reason, "why" if reason else "", first_row, (f"c{number}",)
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "state" / "journal.db", create=True)
    yield journal
    journal.close()


def add(
    journal: Journal,
    rows: Sequence[PlannedRow],
    name: str = "20261124-0815-abcd",
    amendments: Sequence[Amendment] = (),
    scope: str = "tenant/app",
) -> Batch:
    return add_batch(journal, rows, amendments, batch_id=name, scope=scope)


def start(journal: Journal, batch: Batch, number: int, attempt: int = 1, seconds: float = 0) -> None:
    journal.commit([Start(batch.key, batch.scope_key, number, attempt, at(seconds))], [])


def end(
    journal: Journal, batch: Batch, number: int, outcome: CallOutcome, attempt: int = 1, seconds: float = 1
) -> None:
    journal.commit([], [End(batch.key, batch.scope_key, number, attempt, at(seconds), outcome, slower=True)])


def states(journal: Journal, batch: Batch) -> dict[int, Outcome]:
    return {each.row: each.outcome for each in reported.report_rows(journal, batch.key)}


def test_rows_come_back_in_order_with_their_own_cells(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3, Reason.INVALID_ID), row(5, Reason.DUPLICATE, 2), row(9)])
    found = list(reported.report_rows(journal, batch.key))
    assert [(each.row, each.outcome, each.error_code, each.cells) for each in found] == [
        (2, Outcome.PENDING, "", ("c2",)),
        (3, Outcome.SKIPPED, "invalid_id", ("c3",)),
        (5, Outcome.SKIPPED, "duplicate", ("c5",)),
        (9, Outcome.PENDING, "", ("c9",)),
    ]


def test_an_amended_row_has_no_job(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)], amendments=[Amendment(2, Reason.NAME_MISMATCH, "two names")])
    assert [job.row for job in journal.pending(batch.key, -1, 10)] == [3]
    assert states(journal, batch)[2] is Outcome.SKIPPED


def test_a_plan_that_breaks_off_leaves_nothing(journal: Journal) -> None:
    def rows() -> Iterator[PlannedRow]:
        yield row(2)
        raise JournalError("the sheet ended in the middle")

    with pytest.raises(JournalError):
        add(journal, rows())  # type: ignore[arg-type]  # an iterable that raises is the point
    assert reading.list_batches(journal) == []
    assert list(reported.report_rows(journal, 1)) == []


def test_a_plan_that_is_being_written_is_no_batch_yet_and_lets_others_write(journal: Journal) -> None:
    running = add(journal, [row(2)], "running")

    def rows() -> Iterator[PlannedRow]:
        yield row(2)
        start(journal, running, 2)
        assert [batch.batch_id for batch in reading.list_batches(journal)] == ["running"]
        end(journal, running, 2, ACCEPTED)
        yield row(3)

    planned = add(journal, rows(), "planned")  # type: ignore[arg-type]  # an iterable is enough
    assert states(journal, planned) == {2: Outcome.PENDING, 3: Outcome.PENDING}
    assert states(journal, running) == {2: Outcome.SUBMITTED}


@pytest.mark.fault(8, "What is left of it is not a batch, and is deleted.")
def test_a_plan_that_a_crash_broke_off_is_forgotten_a_day_later(journal: Journal) -> None:
    with journal.writing() as connection:
        connection.execute(text("INSERT INTO tenants (name) VALUES ('t')"))
        connection.execute(text("INSERT INTO scopes (name, tenant) VALUES ('t/a', 1)"))
        connection.execute(
            text(
                "INSERT INTO batches (name, scope, state, planned_at, source_path, source_name, source_sha256, "
                "source_kind, columns, reading, api_url, comment, simulated, tool_version, lookup_wanted) "
                "VALUES ('broken', 1, 'planning', :planned, '', '', '', '', '[]', '{}', '', '', 0, '', 1)"
            ),
            {"planned": T0 - 90_000},
        )
    add(journal, [row(2)])
    with journal.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM batches")).scalar() == 1


@pytest.mark.fault(41, "A slow reader blocks nobody.")
def test_whoever_takes_the_reports_rows_slowly_stops_nobody_from_writing(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    taken = reported.report_rows(journal, batch.key)
    assert next(taken).row == 2
    start(journal, batch, 3)
    assert [each.row for each in taken] == [3]


def test_another_application_of_the_tenant_knows_the_devices_too(journal: Journal) -> None:
    one, two = (
        add(journal, [row(2), row(3)], "one", scope="tenant/app-1"),
        add(journal, [row(3)], "two", scope="tenant/app-2"),
    )
    for number, outcome in ((2, ACCEPTED), (3, CallOutcome(Verdict.IN_DOUBT))):
        start(journal, one, number)
        end(journal, one, number, outcome)
    assert len(reading.known_devices(journal, "tenant").devices) == 2
    journal.prepare(two.key, two.scope_key, at(9))
    assert reading.skipped_jobs(journal, two.key) == {Reason.ALREADY_PENDING: 1}
    assert reading.call_history(journal, "tenant/app-2", ApiName.OFFBOARD, 10, at(9)).ended == []


def test_pending_jobs_come_in_order_behind_a_row(journal: Journal) -> None:
    batch = add(journal, [row(number) for number in range(2, 12)])
    assert [job.row for job in journal.pending(batch.key, 4, 3)] == [5, 6, 7]


def test_an_accepted_call_is_submitted_with_its_action(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    start(journal, batch, 2)
    end(journal, batch, 2, ACCEPTED)
    found = next(reported.report_rows(journal, batch.key))
    assert (found.outcome, found.machine_action_id, found.action_status, found.attempts, found.http_status) == (
        Outcome.SUBMITTED,
        "action-1",
        "Pending",
        1,
        201,
    )
    assert (found.submitted_at, found.finished_at) == (T0 + 1, T0 + 1)


@pytest.mark.fault(119, "Every row is reported with the same action.")
def test_a_duplicate_shows_the_action_of_the_row_that_counts(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3, Reason.DUPLICATE, 2)])
    start(journal, batch, 2)
    end(journal, batch, 2, ACCEPTED)
    assert [each.machine_action_id for each in reported.report_rows(journal, batch.key)] == ["action-1", "action-1"]


def test_a_throttled_job_is_pending_again_and_its_next_attempt_has_the_next_number(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    start(journal, batch, 2)
    end(journal, batch, 2, THROTTLED)
    assert journal.pending(batch.key, -1, 10) == [Job(2, device(2), 1)]
    start(journal, batch, 2, attempt=2, seconds=40)


@pytest.mark.parametrize("outcome", [ACCEPTED, REFUSED, CallOutcome(Verdict.IN_DOUBT)])
def test_no_call_is_begun_for_a_job_that_is_not_pending(journal: Journal, outcome: CallOutcome) -> None:
    batch = add(journal, [row(2)])
    start(journal, batch, 2)
    end(journal, batch, 2, outcome)
    with pytest.raises(JournalError, match="state that was expected"):
        start(journal, batch, 2, attempt=2)


def test_an_attempt_cannot_be_begun_twice(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    start(journal, batch, 2)
    with pytest.raises(JournalError):
        start(journal, batch, 2)


def test_an_outcome_needs_the_attempt_that_it_belongs_to(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    with pytest.raises(JournalError):
        end(journal, batch, 2, ACCEPTED)


def test_one_illegal_move_undoes_the_whole_group(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    begun = [Start(batch.key, batch.scope_key, number, 1, at(0)) for number in (2, 3, 3)]
    with pytest.raises(JournalError):
        journal.commit(begun, [])
    assert [job.row for job in journal.pending(batch.key, -1, 10)] == [2, 3]


def test_a_device_that_is_being_sent_cannot_be_sent_by_another_batch(journal: Journal) -> None:
    one, two = add(journal, [row(2)], "one"), add(journal, [row(2)], "two")
    start(journal, one, 2)
    with pytest.raises(JournalError):
        start(journal, two, 2)


@pytest.mark.fault(113, "The tables' constraints refuse illegal states.")
@pytest.mark.parametrize(
    "change",
    [
        {"state": "dreaming"},
        {"state": "submitted", "attempts": 1, "finished_at": 1.0},
        {"state": "failed", "attempts": 1},
        {"finished_at": 1.0},
        {"state": "in_doubt"},
        {"device_id": "short"},
    ],
)
def test_the_tables_refuse_what_no_job_can_be(journal: Journal, change: dict[str, object]) -> None:
    batch = add(journal, [row(2)])
    with (
        pytest.raises((IntegrityError, JournalError)),
        journal.writing() as connection,
    ):
        connection.execute(update(jobs).where(jobs.c.batch == batch.key).values(**change))
    assert states(journal, batch) == {2: Outcome.PENDING}


@pytest.mark.fault(19, "An end of the task is a kill: calls in flight are in doubt.")
def test_what_an_earlier_process_left_open_is_in_doubt(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    start(journal, batch, 2)
    journal.prepare(batch.key, batch.scope_key, at(50))
    assert states(journal, batch) == {2: Outcome.IN_DOUBT, 3: Outcome.PENDING}
    assert [job.row for job in journal.pending(batch.key, -1, 10)] == [3]
    life = lives.life_of(journal, batch.key, 2)
    assert life is not None
    assert [(call.verdict, call.code, call.ended_at) for call in life.calls] == [("in_doubt", "Interrupted", T0 + 50)]


def test_another_tenants_open_call_is_left_alone(journal: Journal) -> None:
    other = add(journal, [row(2)], "other", scope="other/app")
    mine = add(journal, [row(2)], "mine")
    start(journal, other, 2)
    journal.prepare(mine.key, mine.scope_key, at(50))
    end(journal, other, 2, ACCEPTED)
    assert states(journal, other) == {2: Outcome.SUBMITTED}


def test_a_device_that_another_batch_submitted_meanwhile_is_not_sent_again(journal: Journal) -> None:
    one, two = add(journal, [row(2), row(3)], "one"), add(journal, [row(2), row(4)], "two")
    start(journal, one, 2)
    end(journal, one, 2, ACCEPTED)
    journal.prepare(two.key, two.scope_key, at(9))
    assert [job.row for job in journal.pending(two.key, -1, 10)] == [4]
    assert reading.skipped_jobs(journal, two.key) == {Reason.ALREADY_OFFBOARDED: 1}


def test_a_device_in_doubt_elsewhere_is_not_sent(journal: Journal) -> None:
    one, two = add(journal, [row(2)], "one"), add(journal, [row(2)], "two")
    start(journal, one, 2)
    end(journal, one, 2, CallOutcome(Verdict.IN_DOUBT))
    journal.prepare(two.key, two.scope_key, at(9))
    assert reading.skipped_jobs(journal, two.key) == {Reason.ALREADY_PENDING: 1}


def test_a_new_plan_is_told_of_accepted_and_doubtful_devices_only(journal: Journal) -> None:
    batch = add(journal, [row(number) for number in (2, 3, 4, 5)])
    for number, outcome in ((2, ACCEPTED), (3, REFUSED), (4, CallOutcome(Verdict.IN_DOUBT))):
        start(journal, batch, number)
        end(journal, batch, number, outcome)
    known = reading.known_devices(journal, "tenant").devices
    assert {each: known[each].reason for each in known} == {
        device(2): Reason.ALREADY_OFFBOARDED,
        device(4): Reason.ALREADY_PENDING,
    }
    assert reading.known_devices(journal, "other").devices == {}


def test_retry_makes_failed_rows_pending_and_nothing_else(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    journal.prepare(batch.key, batch.scope_key, at(0))
    for number, outcome in ((2, ACCEPTED), (3, REFUSED)):
        start(journal, batch, number)
        end(journal, batch, number, outcome)
    assert journal.retry_failed(batch.key, T0 + 9) == {3}
    assert states(journal, batch) == {2: Outcome.SUBMITTED, 3: Outcome.PENDING}


def test_a_batch_with_something_left_is_stopped_and_one_without_is_finished(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    journal.prepare(batch.key, batch.scope_key, at(0))
    journal.end_batch(batch.key, at(1), "Ctrl-C")
    unfinished = reading.newest_unfinished(journal, reading.Owner())
    assert unfinished is not None
    assert (unfinished.state, unfinished.halted_because) == ("stopped", "Ctrl-C")
    start(journal, batch, 2)
    end(journal, batch, 2, ACCEPTED)
    journal.end_batch(batch.key, at(2), "")
    assert reading.newest_unfinished(journal, reading.Owner()) is None


def test_the_quotas_memory_holds_ends_waits_and_steps(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    start(journal, batch, 2)
    end(journal, batch, 2, THROTTLED, seconds=5)
    start(journal, batch, 3, seconds=6)
    history = reading.call_history(journal, "tenant/app", ApiName.OFFBOARD, 1500, at(100))
    assert list(history.ended) == [at(100), at(5)]
    assert list(history.holds) == [(at(5), 30.0)]
    assert list(history.steps) == [at(5)]


def test_a_batch_is_found_by_any_part_of_its_id_and_its_whole_id_alone(journal: Journal) -> None:
    add(journal, [row(2)], "20261124-0815-abcd")
    add(journal, [row(2)], "20261124-0816-abcd")
    add(journal, [row(2)], "20261124-0816-abcd-2")

    def named(part: str) -> list[str]:
        return [batch.batch_id for batch in reading.batches_named(journal, part, 10)]

    assert named("0815") == ["20261124-0815-abcd"]
    assert named("20261124-0816-abcd") == ["20261124-0816-abcd"]
    assert len(named("0816")) == 2
    assert named("%") == named("") == []
    assert reading.find_batch(journal, "0815") is None


async def test_writes_that_wait_together_become_durable_together(journal: Journal) -> None:
    batch = add(journal, [row(number) for number in range(2, 202)])
    before = transactions(journal)
    async with JournalWriter(journal) as writer:
        begun = [Start(batch.key, batch.scope_key, number, 1, at(0)) for number in range(2, 202)]
        await asyncio.gather(*(writer.write(each) for each in begun))
        ended = [End(batch.key, batch.scope_key, number, 1, at(1), REFUSED) for number in range(2, 202)]
        await asyncio.gather(*(writer.write(each) for each in ended))
    assert set(states(journal, batch).values()) == {Outcome.FAILED}
    assert transactions(journal) == before + 2


async def test_what_is_given_later_is_durable_no_sooner(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    async with JournalWriter(journal) as writer:
        await writer.write(Start(batch.key, batch.scope_key, 2, 1, at(0)))
        before = transactions(journal)
        ended = writer.write(End(batch.key, batch.scope_key, 2, 1, at(1), REFUSED))
        await writer.write(Start(batch.key, batch.scope_key, 3, 1, at(1)))
        assert ended.done()
    assert transactions(journal) == before + 1


async def test_a_failed_write_wakes_its_waiters_with_the_error(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    async with JournalWriter(journal) as writer:
        await writer.write(Start(batch.key, batch.scope_key, 2, 1, at(0)))
        with pytest.raises(JournalError):
            await writer.write(Start(batch.key, batch.scope_key, 2, 1, at(0)))
        await writer.write(End(batch.key, batch.scope_key, 2, 1, at(1), ACCEPTED))
    assert states(journal, batch) == {2: Outcome.SUBMITTED}


async def test_an_outcome_that_cannot_be_written_takes_no_other_with_it(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    async with JournalWriter(journal) as writer:
        for number in (2, 3):
            await writer.write(Start(batch.key, batch.scope_key, number, 1, at(0)))
        odd = CallOutcome(Verdict.FAILED, 400, code="Odd", message="cut \ud83d")
        lines = [(2, odd), (3, ACCEPTED)]
        ended = [End(batch.key, batch.scope_key, number, 1, at(1), outcome) for number, outcome in lines]
        told = await asyncio.gather(*(writer.write(each) for each in ended), return_exceptions=True)
    assert isinstance(told[0], UnicodeEncodeError)
    assert told[1] is None
    assert states(journal, batch) == {2: Outcome.IN_DOUBT, 3: Outcome.SUBMITTED}


@pytest.mark.fault(13, "The journal is synced in full before a commit returns, so before the call.")
@pytest.mark.fault(14, "The commit is still there: the folder is synced as well (SQLite's EXTRA).")
def test_the_file_is_durable_and_for_its_owner_alone(journal: Journal) -> None:
    with journal.reading() as connection:
        facts = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
    assert facts == ["delete", 3]
    if os.name == "posix":
        assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700


def test_a_missing_journal_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no journal"):
        Journal(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


@pytest.mark.fault(35, "Refused and left as it is.")
@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to be looked at" * 30, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_damaged_journal_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"damaged|not a journal"):
        Journal(path)
    assert path.read_bytes() == content


@pytest.mark.fault(35, "Refused.")
def test_an_empty_journal_is_refused_since_its_memory_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAKING", 0.0)
    (tmp_path / "journal.db").touch()
    with pytest.raises(JournalError, match="is empty"):
        Journal(tmp_path / "journal.db", create=True)


@pytest.mark.fault(9, "The next start creates it.")
def test_a_process_that_dies_while_it_makes_the_journal_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    dying = (
        "import os; from pathlib import Path; from batch_offboard.journal import sqlite as opening, store\n"
        "def die(connection):\n"
        "    connection.exec_driver_sql('CREATE TABLE half (a INTEGER)')\n"
        "    os._exit(9)\n"
        f"opening.migrate = die; store.Journal(Path({str(path)!r}), create=True)"
    )
    assert subprocess.run([sys.executable, "-c", dying], check=False).returncode == 9
    with closing(Journal(path, create=True)) as journal:
        assert states(journal, add(journal, [row(2)])) == {2: Outcome.PENDING}


def test_the_journal_gets_its_name_in_one_step_and_so_is_never_seen_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    seen = []

    def looking(original: Callable[..., None]) -> Callable[..., None]:
        def step(*arguments: Any, **options: Any) -> None:
            seen.append(path.exists() and path.stat().st_size)
            original(*arguments, **options)
            seen.append(path.exists() and path.stat().st_size)

        return step

    for name in ("hardlink_to", "rename", "replace", "unlink"):
        monkeypatch.setattr(Path, name, looking(getattr(Path, name)))
    Journal(path, create=True).close()
    assert False in seen
    assert 0 not in [size for size in seen if size is not False]


def test_where_there_are_no_links_the_journal_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(_self: Path, _target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_link)
    with closing(Journal(tmp_path / "journal.db", create=True)) as journal:
        assert states(journal, add(journal, [row(2)])) == {2: Outcome.PENDING}
    assert [file.name for file in tmp_path.iterdir()] == ["journal.db"]


def test_of_two_processes_that_make_the_journal_the_second_takes_the_first_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"

    def overtaken(connection: Connection) -> None:
        monkeypatch.setattr(opening, "migrate", migrations.migrate)
        with closing(Journal(path, create=True)) as quicker:
            add(quicker, [row(2)])
        migrations.migrate(connection)

    monkeypatch.setattr(opening, "migrate", overtaken)
    with closing(Journal(path, create=True)) as journal:
        assert [batch.batch_id for batch in reading.list_batches(journal)] == ["20261124-0815-abcd"]
    assert [file.name for file in tmp_path.iterdir()] == ["journal.db"]


def test_the_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a INTEGER)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="another program"):
        Journal(path, create=True)
    assert path.read_bytes() == before


@pytest.mark.fault(27, "An older program refuses a newer journal and changes nothing.")
def test_a_newer_journal_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path, create=True).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="newer version"):
        Journal(path)
    assert path.read_bytes() == before


def a_step(statement: str) -> Callable[[Connection], None]:
    def step(connection: Connection) -> None:
        connection.execute(text(statement))

    return step


@pytest.mark.fault(9, "All migration steps are applied, or none.")
def test_a_step_that_fails_leaves_the_older_journal_whole(journal: Journal) -> None:
    add(journal, [row(2)])
    steps = [*migrations.MIGRATIONS, a_step("CREATE TABLE more (a INTEGER)"), a_step("DROP TABLE no_such_table")]
    with pytest.raises(JournalError), journal.writing() as connection:
        migrations.migrate(connection, steps)
    with journal.reading() as connection:
        assert migrations.stored_version(connection) == 1
        assert not connection.dialect.has_table(connection, "more")


@pytest.mark.fault(27, "A newer program migrates an older journal.")
def test_an_older_journal_takes_only_the_steps_it_lacks(journal: Journal) -> None:
    with journal.writing() as connection:
        migrations.migrate(connection, [*migrations.MIGRATIONS, a_step("CREATE TABLE more (a INTEGER)")])
        assert migrations.stored_version(connection) == 2
        assert connection.execute(text("SELECT count(*) FROM more")).scalar() == 0


@pytest.mark.fault(44, "Refused.")
def test_a_link_as_journal_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    target.touch()
    link = tmp_path / "journal.db"
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("links need a privilege here")
    with pytest.raises(JournalError, match="plain file"):
        Journal(link)


def test_a_job_that_is_being_sent_shows_as_in_doubt_to_whoever_looks(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    start(journal, batch, 2)
    assert states(journal, batch) == {2: Outcome.IN_DOUBT}
    assert reading.count(journal, batch.key).of(JobState.SENDING) == 1


@pytest.mark.fault(31, "The outcome is written in the reserved space.")
def test_the_reserve_is_given_up_when_a_commit_has_failed(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    reserve = journal.path.with_name("journal.db.reserve")
    with journal.reserve():
        assert reserve.stat().st_size == 1 << 20
        start(journal, batch, 2)
        journal.commit_at_last(End(batch.key, batch.scope_key, 2, 1, at(1), ACCEPTED))
        assert not reserve.exists()
    assert states(journal, batch) == {2: Outcome.SUBMITTED}


def test_a_reserve_that_there_is_no_room_for_leaves_nothing_behind(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalError, match="has no space left"), journal.reserve():
        raise AssertionError("nothing may begin without it")
    assert not journal.path.with_name("journal.db.reserve").exists()
