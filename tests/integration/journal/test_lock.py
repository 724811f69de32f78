"""The lock between real processes: who holds it, who is told, and that it dies with its process."""

import errno
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import batch_offboard
from batch_offboard.base.errors import BusyError, ExitCode, NoLocksError
from batch_offboard.journal import drives, machine_lock
from batch_offboard.journal.locks import Name, Shared, inbox_locks, only_process, run_locks
from batch_offboard.journal.machine_lock import EverybodysFileLock, HeldError

HOLD = """
import os
import sys
from pathlib import Path
from batch_offboard.journal import machine_lock
from batch_offboard.journal.locks import Shared, only_process

machine_lock.PREFIX = sys.argv[1]
names = [Path(name) if Path(name).is_absolute() else Shared(name) for name in sys.argv[3:]]
if sys.argv[2]:
    os.setuid(int(sys.argv[2]))
with only_process(names, "run of batch-1", 1_795_507_200.0):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def another_process(*names: Name, user: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process, of another user if one is named, that holds the locks until its standard input ends, or until it is
    killed."""
    words = [each.name if isinstance(each, Shared) else str(each) for each in names]
    environ = os.environ | {"PYTHONPATH": str(Path(batch_offboard.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, machine_lock.PREFIX, user, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def names(tmp_path: Path) -> list[Path]:
    found = run_locks(tmp_path / "state", tmp_path / "journal.db", "tenant/application", simulated=True)
    return [each for each in found if isinstance(each, Path)]


@pytest.mark.fault(38, "The second sees process, host and start time.")
def test_a_second_process_is_told_who_holds_the_lock(names: list[Path]) -> None:
    with another_process(*names) as holder, pytest.raises(BusyError) as raised, only_process(names, "run", 0.0):
        pytest.fail("two processes hold one lock")
    assert str(raised.value).startswith(
        f"Already at work on this tenant: process {holder.pid} on {socket.gethostname()} "
        "(run of batch-1, since 2026-11-24 09:00:00+01:00)"
    )


@pytest.mark.fault(39, "One lock in common is enough.")
@pytest.mark.parametrize("shared", [0, 1])
def test_one_lock_in_common_is_enough_and_the_other_is_given_back(names: list[Path], shared: int) -> None:
    with (
        another_process(names[shared]),
        pytest.raises(BusyError),
        only_process(names, "run", 0.0),
    ):
        pytest.fail("two processes hold one lock")
    with only_process([names[1 - shared]], "run", 0.0):
        pass


@pytest.mark.fault(40, "The lock ended with its process.")
def test_a_holder_that_is_killed_holds_nothing_any_more(names: list[Path]) -> None:
    with another_process(*names) as holder:
        holder.kill()
        holder.wait()
        assert all(name.with_name(f"{name.name}.holder").exists() for name in names)
        with only_process(names, "run", 0.0):
            pass


def test_a_holder_that_ends_leaves_the_locks_to_the_next(names: list[Path]) -> None:
    with another_process(*names) as holder:
        holder.communicate("\n")
        with only_process(names, "run", 0.0):
            pass


def test_nobody_takes_a_lock_twice_in_one_process_either(names: list[Path]) -> None:
    with only_process(names, "run", 0.0), pytest.raises(BusyError), only_process(names, "run", 60.0):
        pytest.fail("two runs hold one lock")


def test_the_note_says_who_since_when_and_goes_with_the_lock(names: list[Path]) -> None:
    note = names[0].with_name("journal.db.lock.holder")
    with only_process(names, "run of batch-1", 1_795_507_200.0):
        assert json.loads(note.read_text(encoding="utf-8")) == {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "doing": "run of batch-1",
            "since": "2026-11-24T08:00:00Z",
        }
        if os.name == "posix":
            assert stat.S_IMODE(note.stat().st_mode) == 0o600
            assert stat.S_IMODE(names[0].stat().st_mode) == 0o600
    assert not note.exists()


@pytest.mark.fault(40, "The operating system's lock decides, the note only informs.")
@pytest.mark.parametrize(
    "content", [None, b"", b"not json", b"[]", b"null", b'{"pid": 1}', b"\xff\xfe\x00", b"[" * 100_000]
)
def test_a_note_that_cannot_be_read_changes_only_the_words(names: list[Path], content: bytes | None) -> None:
    note = names[0].with_name("journal.db.lock.holder")
    with only_process(names[:1], "run", 0.0):
        note.unlink()
        if content is not None:
            note.write_bytes(content)
        with pytest.raises(BusyError, match="another process"), only_process(names[:1], "run", 60.0):
            pytest.fail("two runs hold one lock")


def test_a_lock_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BusyError, match="cannot be taken"), only_process([tmp_path / "file" / "a.lock"], "run", 0.0):
        pytest.fail("a lock in a file that is no folder")


def test_tenants_have_locks_of_their_own_and_journals_too(tmp_path: Path) -> None:
    one = run_locks(tmp_path, tmp_path / "a.db", "tenant-1/application")
    two = run_locks(tmp_path, tmp_path / "b.db", "tenant-2/application")
    assert len({*one, *two}) == 6
    assert run_locks(tmp_path, tmp_path / "c.db", "tenant-1/application")[1:] == one[1:]


# -- users of one computer --


def of_user(home: Path, scope: str = "tenant/application", *, simulated: bool = False) -> list[Name]:
    """The locks of a user with a state folder and a journal of their own."""
    return run_locks(home / "state", home / "journal.db", scope, simulated=simulated)


@pytest.mark.fault(39, "Another user of the computer, with a separate journal, sees whose process it is.")
def test_two_users_of_a_computer_do_not_work_on_one_tenant(tmp_path: Path) -> None:
    ann, ben = of_user(tmp_path / "ann"), of_user(tmp_path / "ben")
    with another_process(*ann) as holder:
        with pytest.raises(BusyError) as raised, only_process(ben, "run", 0.0):
            pytest.fail("two users work on one tenant")
        with only_process(of_user(tmp_path / "ben", "tenant/other"), "run", 0.0):
            pass
    assert str(raised.value).startswith("Already at work on this tenant: ")
    if sys.platform == "linux":
        assert f"process {holder.pid} of user " in str(raised.value)
    with only_process(ben, "run", 0.0):  # it died with its process
        pass


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be two users")
def test_a_user_without_any_rights_of_the_other_is_kept_away_all_the_same(tmp_path: Path) -> None:
    [*_, shared] = of_user(tmp_path)
    with (
        another_process(shared, user="65534") as holder,
        pytest.raises(BusyError, match=f"process {holder.pid} of user nobody"),
        only_process([shared], "run", 0.0),
    ):
        pytest.fail("two users work on one tenant")


def test_rehearsals_of_two_users_do_not_wait_for_each_other(tmp_path: Path) -> None:
    ann, ben = (of_user(tmp_path / name, simulated=True) for name in ("ann", "ben"))
    with another_process(*ann), only_process(ben, "run", 0.0):
        pass


def test_two_users_do_not_work_over_one_inbox(tmp_path: Path) -> None:
    ann, ben = (inbox_locks(tmp_path / name, tmp_path / "inbox") for name in ("ann", "ben"))
    with (
        another_process(*ann),
        pytest.raises(BusyError, match="Already at work on this inbox"),
        only_process(ben, "nightly", 0.0, at_work_on="this inbox"),
    ):
        pytest.fail("two users work over one inbox")


def test_a_lock_of_all_users_is_a_file_that_each_of_them_can_lock(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    one, two = (EverybodysFileLock(folder, "tenant.lock") for _ in range(2))
    one.acquire()
    with pytest.raises(HeldError):
        two.acquire()
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o777
        assert stat.S_IMODE((folder / "tenant.lock").stat().st_mode) == 0o666
    one.release()
    two.acquire()
    two.release()


def test_a_computer_without_a_place_for_all_users_leaves_a_user_their_own_locks(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("in the way", encoding="utf-8")
    lock = EverybodysFileLock(tmp_path / "locks", "tenant.lock")
    lock.acquire()
    lock.release()


# -- drives without locks --


@pytest.mark.skipif(os.name != "posix", reason="these are the answers of POSIX systems")
@pytest.mark.fault(42, "A drive without locks is distinguished from a held lock, and nothing is sent.")
@pytest.mark.parametrize("kind", ["flock", "lockf"])
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EACCES, errno.ENOSYS])
def test_a_drive_without_locks_is_not_taken_for_another_process(
    names: list[Path], monkeypatch: pytest.MonkeyPatch, kind: str, number: int
) -> None:
    def refuse(_descriptor: int, _command: int) -> None:
        raise OSError(number, os.strerror(number))

    with only_process(names, "run", 0.0):
        pass
    monkeypatch.setattr(f"fcntl.{kind}", refuse)
    with pytest.raises(NoLocksError) as raised, only_process(names, "run", 0.0):
        pytest.fail("a lock that nobody gave")
    assert f"does not support locks ({os.strerror(number)})" in str(raised.value)
    assert raised.value.exit_code is ExitCode.USAGE


def test_a_folder_that_cannot_be_written_says_nothing_of_its_locks(tmp_path: Path) -> None:
    assert drives.no_locks(tmp_path) is None
    assert drives.no_locks(tmp_path / "nowhere") is None
    assert list(tmp_path.iterdir()) == []
