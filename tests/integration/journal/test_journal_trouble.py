"""A disk, a file or another program in the journal's way: one sentence, nothing half written, nothing more sent."""

import errno
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import ExitCode, JournalError, NoLocksError
from batch_offboard.core.batches import Batch
from batch_offboard.journal import reading, reported
from batch_offboard.journal import sqlite as opening
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.store import Journal
from batch_offboard.reports.rows import Outcome

if TYPE_CHECKING:
    from batch_offboard.simulator import Tenant
    from tests.integration.world import World

NOW = Moment(1_795_500_000.0, 1000.0, "boot-1")
DEVICES = 40
needs_limits = pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are a matter of POSIX")


@contextmanager
def limited(name: str, most: int) -> Iterator[None]:
    """This process may have no more of something for a moment."""
    import resource

    kind = getattr(resource, name)
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def begin(journal: Journal, batch: Batch, row: int) -> None:
    journal.commit([Start(batch.key, batch.scope_key, row, 1, NOW)], [])


def pending(world: "World", batch: Batch) -> bool:
    return world.outcomes(batch) == {Outcome.PENDING: DEVICES}


@pytest.mark.fault(42, "A share without locks is reported at once; nothing is created there.")
@pytest.mark.skipif(os.name != "posix", reason="these are the answers of POSIX systems")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EACCES])
def test_a_journal_on_a_share_without_locks_is_not_called_held_or_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_descriptor: int, _command: int) -> None:
        raise OSError(number, os.strerror(number))

    there = tmp_path / "there.db"
    Journal(there, create=True).close()
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("fcntl.lockf", refuse)
    for path in (there, tmp_path / "new.db"):
        with pytest.raises(NoLocksError) as raised:
            Journal(path, create=True)
        assert str(raised.value).startswith(
            f"The journal {path} is on a drive that does not support locks ({os.strerror(number)}); keep it on a disk"
        )
        assert raised.value.exit_code is ExitCode.USAGE
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(os.name != "posix", reason="these are the answers of POSIX systems")
@pytest.mark.parametrize("words", ["database is locked", "disk I/O error"])
def test_a_share_that_loses_its_locks_in_the_middle_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(opening, "no_locks", lambda _folder: "No locks available")
    with (
        pytest.raises(NoLocksError, match=r"does not support locks \(No locks available\)"),
        opening.told(tmp_path / "j.db"),
    ):
        raise sqlite3.OperationalError(words)


@pytest.mark.fault(33, "Nothing has happened; the sentence names the disk.")
@needs_limits
async def test_a_disk_that_reports_an_error_is_named_and_nothing_has_happened(world: "World") -> None:
    batch = world.add(range(DEVICES))
    most = world.journal.path.stat().st_size // 2  # a write beyond it fails as on a broken disk
    with limited("RLIMIT_FSIZE", most), pytest.raises(JournalError, match="the disk reports an error; check the disk"):
        begin(world.journal, batch, 2)
    assert pending(world, batch)
    begin(world.journal, batch, 2)


@pytest.mark.fault(45, "Nothing has happened, the run stops at once.")
@needs_limits
async def test_without_a_free_file_handle_nothing_has_happened(world: "World") -> None:
    batch = world.add(range(DEVICES))
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    with (
        limited("RLIMIT_NOFILE", free),
        pytest.raises(JournalError, match="because too many files are open; close other"),
    ):
        begin(world.journal, batch, 2)
    assert pending(world, batch)
    begin(world.journal, batch, 2)


@pytest.mark.fault(34, "Nothing has happened; the sentence names the remedy.")
async def test_a_journal_that_has_become_read_only_is_named_with_the_remedy(world: "World") -> None:
    batch = world.add(range(DEVICES))
    with closing(world.journal.database.engine.raw_connection()) as connection:
        connection.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalError, match="because it is read-only; change that, then try again"):
        begin(world.journal, batch, 2)
    assert pending(world, batch)


@pytest.mark.fault(41, "Waited for up to a minute, then named; nothing is sent meanwhile.")
async def test_a_journal_that_another_program_holds_is_waited_for_and_then_named(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = world.add(range(DEVICES))
    monkeypatch.setattr(opening, "BUSY_TIMEOUT", 0.05)
    world.journal = Journal(world.journal.path)
    with closing(sqlite3.connect(world.journal.path, isolation_level=None)) as scanner:
        scanner.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match=r"holds .*journal\.db; nothing is lost"):
            begin(world.journal, batch, 2)
        assert pending(world, batch)
        scanner.execute("ROLLBACK")
    begin(world.journal, batch, 2)


@pytest.mark.fault(37, "Nothing more is sent; once it is back, the batch is resumed.")
@pytest.mark.looptime
@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be taken away there")
@pytest.mark.parametrize("another", [False, True])
async def test_nothing_is_sent_any_more_when_the_journal_is_taken_away(
    world: "World", monkeypatch: pytest.MonkeyPatch, another: bool
) -> None:
    batch = world.add(range(DEVICES))
    aside = world.journal.path.with_name("aside.db")
    commit = Journal.commit

    def one(journal: Journal, starts: list[Start], ends: list[End]) -> None:
        commit(journal, starts, ends)
        if any(end.row == 5 for end in ends):
            journal.path.rename(aside)
            if another:
                shutil.copy(aside, journal.path)

    async with world.tenant(DEVICES) as simulator:
        with monkeypatch.context() as patched:
            patched.setattr(Journal, "commit", one)
            with pytest.raises(JournalError, match="was deleted or replaced while it was in use"):
                await world.work(batch, simulator.url)
        assert calls(simulator.tenant) == 4
        aside.replace(world.journal.path)
        assert await world.work(batch, simulator.url) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES}
    world.check([batch], simulator.tenant)


def calls(tenant: "Tenant") -> int:
    return sum(call.operation == "offboard" for call in tenant.calls)


@pytest.mark.fault(36, "The torn transaction is rolled back.")
async def test_a_transaction_that_a_crash_tore_is_taken_back_when_the_journal_is_opened(world: "World") -> None:
    batch = world.add(range(2000))
    torn = world.journal.path.with_name("torn.db")
    with closing(sqlite3.connect(world.journal.path, isolation_level=None)) as dying:
        dying.execute("PRAGMA cache_size = 1")  # so that changes get into the file before the commit
        dying.execute("BEGIN IMMEDIATE")
        dying.execute("UPDATE rows SET device_name = 'torn'")
        for suffix in ("", "-journal"):
            shutil.copy(f"{world.journal.path}{suffix}", f"{torn}{suffix}")
        dying.execute("ROLLBACK")
    assert torn.read_bytes() != world.journal.path.read_bytes()
    with closing(Journal(torn)) as found:
        assert reading.count(found, batch.key) == reading.count(world.journal, batch.key)
        assert found.path.read_bytes() == world.journal.path.read_bytes()


@pytest.mark.fault(35, "Refused before anything is sent, or every row is there.")
async def test_a_journal_with_a_flipped_bit_is_whole_all_the_same_or_sends_nothing(world: "World") -> None:
    batch = world.add(range(DEVICES))
    whole, draw = world.journal.path.read_bytes(), Random(5)  # noqa: S311  # the same bits each time
    flipped = world.journal.path.with_name("flipped.db")
    met = {True: 0, False: 0}
    for _ in range(120):
        place = draw.randrange(len(whole))
        content = whole[:place] + bytes((whole[place] ^ 1 << draw.randrange(8),)) + whole[place + 1 :]
        flipped.write_bytes(content)
        met[is_taken(flipped, batch)] += 1
    assert met[True] > met[False] > 0


def is_taken(path: Path, batch: Batch) -> bool:
    try:
        with closing(Journal(path)) as journal:
            journal.prepare(batch.key, batch.scope_key, NOW)
            found = list(reported.report_rows(journal, batch.key))
    except JournalError:
        return False
    assert len(found) == DEVICES
    return True
