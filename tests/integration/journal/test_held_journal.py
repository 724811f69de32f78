"""A file of the journal that another program holds: waited for, then named, and nobody is led to forget what was sent.

Windows alone has such files. Here the file that is held is replaced by something that SQLite cannot use, so that its
errors are real, and the system's answer about it is that of Windows.
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from json import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import ExitCode, JournalError
from batch_offboard.journal import holding, reading
from batch_offboard.journal import sqlite as opening
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.holding import JournalHeldError, Patience
from batch_offboard.journal.store import Journal
from batch_offboard.reports.rows import Outcome

if TYPE_CHECKING:
    from batch_offboard.core.batches import Batch
    from tests.integration.world import World

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="what stands for a held file needs POSIX")

NOW = Moment(1_795_500_000.0, 1000.0, "boot-1")
DEVICES = 12
MISLEADING = ("estore", "elete", "name another", "--journal")


@dataclass
class Scanner:
    """Holds one file of the journal, until it was waited for `pauses` times. Its time passes only in pauses."""

    journal: Path
    pauses: int = 10_000
    holds: Path | None = None
    waited: list[float] = field(default_factory=list)

    def hold(self, suffix: str = "-journal") -> None:
        self.holds = self.journal.with_name(f"{self.journal.name}{suffix}")
        aside = self._aside(self.holds)
        if self.holds.exists():
            self.holds.rename(aside)
        self.holds.symlink_to(self.holds.with_name("nowhere") / "file")

    def let_go(self) -> None:
        if self.holds is not None:
            self.holds.unlink()
            with suppress(FileNotFoundError):
                self._aside(self.holds).rename(self.holds)
            self.holds = None

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        if len(self.waited) >= self.pauses:
            self.let_go()

    def refusal(self, file: Path) -> int:
        return holding.SHARING_VIOLATION if file == self.holds else 0

    def _aside(self, file: Path) -> Path:
        return file.with_name(f"{file.name}.aside")


@pytest.fixture
def scanner(world: "World", monkeypatch: pytest.MonkeyPatch) -> Iterator[Scanner]:
    scanner = Scanner(world.journal.path)
    monkeypatch.setattr(holding, "refusal", scanner.refusal)
    monkeypatch.setattr(opening, "Patience", lambda: Patience(lambda: sum(scanner.waited), scanner.sleep))
    world.journal.close()
    world.journal = Journal(world.journal.path)
    yield scanner
    scanner.let_go()


def begin(journal: Journal, batch: "Batch", row: int) -> None:
    journal.commit([Start(batch.key, batch.scope_key, row, 1, NOW)], [])


def pending(journal: Journal, batch: "Batch") -> int:
    return len(journal.pending(batch.key, 0, DEVICES))


async def test_a_rollback_file_that_is_held_for_a_moment_is_waited_for(world: "World", scanner: Scanner) -> None:
    batch = world.add(range(DEVICES))
    scanner.pauses = 4
    scanner.hold()
    begin(world.journal, batch, 2)
    assert scanner.waited == [0.05, 0.1, 0.2, 0.4]
    assert pending(world.journal, batch) == DEVICES - 1


async def test_a_journal_that_is_held_when_it_is_opened_is_waited_for(world: "World", scanner: Scanner) -> None:
    batch = world.add(range(DEVICES))
    world.journal.close()
    scanner.pauses = 4
    prepared = opening._prepare_file

    def held_behind(path: Path, *, create: bool) -> None:
        prepared(path, create=create)
        if not scanner.waited:
            scanner.hold("")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(opening, "_prepare_file", _while_free(scanner, held_behind))
        world.journal = Journal(world.journal.path)
    assert len(scanner.waited) == 4
    assert pending(world.journal, batch) == DEVICES


def _while_free(scanner: Scanner, prepare: Callable[..., None]) -> Callable[..., None]:
    """What `prepare` does while the file can be looked at, which a link in its place would not be."""

    def prepared(path: Path, *, create: bool) -> None:
        if scanner.holds is None:
            prepare(path, create=create)

    return prepared


async def test_a_rollback_file_that_cannot_be_deleted_at_the_end_takes_the_transaction_back_and_it_is_repeated(
    world: "World", scanner: Scanner
) -> None:
    batch = world.add(range(DEVICES))
    scanner.pauses = 3

    @event.listens_for(world.journal.database.engine, "commit", once=True)
    def hold(_connection: object) -> None:
        rollback = world.journal.path.with_name(f"{world.journal.path.name}-journal")
        rollback.rename(rollback.with_name(f"{rollback.name}.aside"))
        rollback.mkdir()
        scanner.holds = rollback
        scanner.let_go = lambda: _put_back(scanner, rollback)  # type: ignore[method-assign]  # a folder is no link

    begin(world.journal, batch, 2)
    assert len(scanner.waited) == 3
    assert pending(world.journal, batch) == DEVICES - 1
    with closing(sqlite3.connect(world.journal.path)) as connection:
        assert connection.execute("SELECT count(*) FROM calls").fetchone() == (1,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _put_back(scanner: Scanner, rollback: Path) -> None:
    if scanner.holds is not None:
        rollback.rmdir()
        rollback.with_name(f"{rollback.name}.aside").rename(rollback)
        scanner.holds = None


@pytest.mark.fault(43, "Waited for up to 30 s, then named, and waited for no more; nothing has happened meanwhile.")
async def test_a_file_that_stays_held_is_named_after_half_a_minute_and_then_at_once(
    world: "World", scanner: Scanner
) -> None:
    batch = world.add(range(DEVICES))
    scanner.hold()
    with pytest.raises(
        JournalHeldError, match=r"holds .*journal\.db-journal; nothing is lost\. Wait .* exclude the folder"
    ):
        begin(world.journal, batch, 2)
    assert 29 < sum(scanner.waited) <= holding.PATIENCE
    waited = list(scanner.waited)
    with pytest.raises(JournalHeldError):
        begin(world.journal, batch, 3)
    assert scanner.waited == waited
    scanner.let_go()
    assert pending(world.journal, batch) == DEVICES
    begin(world.journal, batch, 2)


@pytest.mark.fault(43, "A run that meets a file held for a moment sends every device once.")
@pytest.mark.looptime
@pytest.mark.parametrize("pauses", [3, 10_000])
async def test_a_run_outlasts_a_held_file_or_ends_and_is_resumed(
    world: "World", scanner: Scanner, monkeypatch: pytest.MonkeyPatch, pauses: int
) -> None:
    batch = world.add(range(DEVICES))
    commit, scanner.pauses = Journal.commit, pauses

    def held_then(journal: Journal, starts: list[Start], ends: list[End]) -> None:
        if any(end.row == 5 for end in ends) and not scanner.waited:
            scanner.hold()
        commit(journal, starts, ends)

    async with world.tenant(DEVICES) as simulator:
        with monkeypatch.context() as patched:
            patched.setattr(Journal, "commit", held_then)
            if pauses > 100:
                with pytest.raises(JournalError) as raised:
                    await world.work(batch, simulator.url)
                assert raised.value.exit_code is ExitCode.UNFINISHED
                assert "another program" in str(raised.value).lower()
                assert sum(scanner.waited) <= holding.PATIENCE
                scanner.let_go()
        await world.work(batch, simulator.url)
        world.check([batch], simulator.tenant)
    states = world.outcomes(batch)
    assert states[Outcome.SUBMITTED] + states.get(Outcome.IN_DOUBT, 0) == DEVICES
    assert pauses > 100 or states == {Outcome.SUBMITTED: DEVICES}


@contextmanager
def a_folder(path: Path) -> Iterator[None]:
    path.mkdir()
    yield
    path.rmdir()


@contextmanager
def gone(path: Path) -> Iterator[None]:
    aside = path.with_name("aside.db")
    path.rename(aside)
    yield
    aside.rename(path)


@contextmanager
def not_ours(path: Path) -> Iterator[None]:
    """Not by its mode, which says nothing to an administrator."""
    honest = os.access
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "access", lambda file, mode: Path(file) != path and honest(file, mode))
        yield


@pytest.mark.parametrize(
    ("suffix", "obstacle", "words"),
    [
        ("-journal", a_folder, "is not a plain file; move that away, then try again."),
        ("", not_ours, "this account may not read and write"),
        ("", gone, "it is not there; put it back, then try again."),
    ],
)
@pytest.mark.parametrize("reason", ["unable to open database file", "disk I/O error"])
async def test_what_waiting_cannot_help_is_named_at_once(
    world: "World",
    scanner: Scanner,
    suffix: str,
    obstacle: Callable[[Path], AbstractContextManager[None]],
    words: str,
    reason: str,
) -> None:
    path = world.journal.path
    with (
        obstacle(path.with_name(f"{path.name}{suffix}")),
        pytest.raises(JournalError, match=words) as raised,
        opening.told(path),
    ):
        raise sqlite3.OperationalError(reason)
    assert not isinstance(raised.value, JournalHeldError)
    assert "another program" not in str(raised.value).lower()
    assert scanner.waited == []


async def test_a_folder_in_the_rollback_files_place_is_not_waited_for(world: "World", scanner: Scanner) -> None:
    batch = world.add(range(DEVICES))
    with (
        a_folder(world.journal.path.with_name("journal.db-journal")),
        pytest.raises(JournalError, match=r"journal\.db-journal is not a plain file; move that away"),
    ):
        begin(world.journal, batch, 2)
    assert scanner.waited == []
    begin(world.journal, batch, 2)


@pytest.mark.parametrize("winerror", [holding.SHARING_VIOLATION, holding.LOCK_VIOLATION])
def test_a_new_journal_that_is_held_when_it_gets_its_name_is_made_all_the_same(
    scanner: Scanner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int
) -> None:
    name, path = opening._name, tmp_path / "new.db"

    def refused(unnamed: Path, wanted: Path) -> None:
        if len(scanner.waited) < 3:
            error = PermissionError(13, "The process cannot access the file")
            error.winerror = winerror  # type: ignore[attr-defined]
            raise error
        name(unnamed, wanted)

    monkeypatch.setattr(opening, "_name", refused)
    with closing(Journal(path, create=True)) as journal:
        assert reading.newest(journal, reading.Owner()) is None
    assert len(scanner.waited) == 3
    assert list(tmp_path.glob("*.new")) == []


CODES = [code for name, code in vars(sqlite3).items() if name.startswith("SQLITE_") and isinstance(code, int)]
WORDS = [
    "unable to open database file", "database is locked", "disk I/O error", "database disk image is malformed",
    "file is not a database", "attempt to write a readonly database", "database or disk is full", "locking protocol",
    "access permission denied", "not an error",
]  # fmt: skip


def sqlite_error(words: str, code: int) -> Exception:
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return error


ERRORS = st.one_of(
    st.builds(sqlite_error, st.sampled_from(WORDS) | st.text(), st.sampled_from(CODES)),
    st.just(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")),
    st.just(JSONDecodeError("Expecting value", "", 0)),
)


@given(error=ERRORS, suffix=st.sampled_from(holding.SUFFIXES))
def test_whatever_is_said_of_a_held_journal_nobody_is_led_to_forget_it(error: Exception, suffix: str) -> None:
    path = Path("there") / "journal.db"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(holding, "refusal", Scanner(path, holds=path.with_name(path.name + suffix)).refusal)
        with pytest.raises(JournalHeldError) as raised, opening.told(path):
            raise error
    assert not any(advice in str(raised.value) for advice in MISLEADING)
    assert "nothing is lost" in str(raised.value)
