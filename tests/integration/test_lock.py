"""The lock between real processes: who holds it, who is told, and that it dies with its process."""

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
from batch_offboard.errors import BusyError
from batch_offboard.lock import lock_paths, only_process

HOLD = """
import sys
from pathlib import Path
from batch_offboard.lock import only_process

with only_process([Path(name) for name in sys.argv[1:]], "run of batch-1", 1_795_507_200.0):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def another_process(*names: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the locks until its standard input ends, or until it is killed."""
    environ = os.environ | {"PYTHONPATH": str(Path(batch_offboard.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, *map(str, names)],
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
    return lock_paths(tmp_path / "state", tmp_path / "journal.db", "tenant/application")


@pytest.mark.fault(38, "The second is told process, host and since when.")
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


@pytest.mark.fault(40, "The lock died with its process.")
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


@pytest.mark.fault(40, "The system's lock decides, the note only informs.")
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
    one = lock_paths(tmp_path, tmp_path / "a.db", "tenant-1/application")
    two = lock_paths(tmp_path, tmp_path / "b.db", "tenant-2/application")
    assert len({*one, *two}) == 4
    assert lock_paths(tmp_path, tmp_path / "c.db", "tenant-1/application")[1] == one[1]
