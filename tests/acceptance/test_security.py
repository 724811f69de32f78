"""What a whole session leaves for others: files of the owner alone, no secret, nothing that a terminal would obey."""

from __future__ import annotations

import os
import stat
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import contents, shows_a_secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Ended, Office, Tenant

ACTING = "\x1b[31m\x07\u202e\x9b2J"  # colours, a bell, a turn of the text, and an escape of one character


def session(office: Office, tenant: Tenant, sheet: str, batch: str) -> Iterator[Ended]:
    """Every command that writes or shows something of a batch."""
    reports = [word for suffix in ("csv", "xlsx", "json", "html") for word in ("--report", f"out/r.{suffix}")]
    yield office.run("run", batch, "--yes", *reports)
    yield office.run("report", batch, "--report", "again.csv")
    for words in (("list",), ("show", batch), ("explain", batch, "2"), ("quota",), ("audit", "verify")):
        yield office.run(*words)
        yield office.run(*words, "--json")
    yield office.run("audit", "export", "--output", "record.jsonl")
    yield office.run("plan", sheet)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def files_of_others(office: Office) -> list[str]:
    """What anybody but the owner may read or write, below the office's root."""
    found = [path for path in office.folder.parent.rglob("*") if not path.is_symlink()]
    return [str(path) for path in found if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077]


@pytest.mark.fault(126, "With umask 000 every file is its owner's alone.")
@pytest.mark.skipif(os.name != "posix", reason="modes are a matter of POSIX")
def test_every_file_of_a_session_is_its_owners_alone_whatever_the_umask(
    office: Office, tenant: Tenant, open_umask: None
) -> None:
    office.configure(tenant, log={"file": "logs/bo.log", "level": "debug"})
    sheet = office.sheet(tenant.take(6))
    ours = set(files_of_others(office))
    batch = office.plan(sheet)
    for ended in session(office, tenant, sheet, batch):
        assert ended.code == 0, ended.err
    made = [path for path in office.folder.parent.rglob("*") if path.is_file()]
    assert {path.name for path in made} >= {
        "bo.log",
        "r.csv",
        "r.xlsx",
        "r.json",
        "r.html",
        "again.csv",
        "record.jsonl",
    }
    assert set(files_of_others(office)) == ours


def test_nothing_that_a_sheet_says_acts_on_a_terminal(office: Office, tenant: Tenant) -> None:
    office.configure(tenant)
    first, *others = tenant.take(6)
    lines = [f"Device ID,Computer,{ACTING}", f"{first},pc{ACTING},x", f"not{ACTING},y,{ACTING}"]
    sheet = "list \x1b[2J\u202e.csv" if os.name == "posix" else "list.csv"
    (office.folder / sheet).write_text("\n".join([*lines, *(f"{each},p,q" for each in others)]), encoding="utf-8")
    planned = office.run("plan", sheet, "--no-lookup", "--json")
    said = [planned, office.run("plan", sheet, "--no-lookup"), office.run("plan", f"missing{ACTING}.csv")]
    batch = str(planned.json["batch"])
    said += [*session(office, tenant, sheet, batch), office.run("explain", batch, "3")]
    for ended in said:
        told = ended.out + ended.err
        assert not [mark for mark in ("\x1b", "\x07", "\u202e", "\x9b") if mark in told], ascii(told)


@pytest.mark.fault(126, "Without HOME, a locale or a terminal a batch is worked as ever.")
def test_a_batch_is_worked_in_bare_surroundings(office: Office, tenant: Tenant) -> None:
    office.configure(tenant)
    bare = ("PATH", "SYSTEMROOT", "PYTHONPATH", "XDG_STATE_HOME", "LOCALAPPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA")
    kept = {name: value for name, value in office.environ.items() if name in (*bare, "OFFBOARD_TOKEN")}
    office.environ.clear()
    office.environ.update(kept | {"LC_ALL": "C", "PYTHONUTF8": "0"})
    devices = tenant.take(2)
    (office.folder / "Geräte 東.csv").write_text(
        f"Device ID,Name\n{devices[0]},ü東\n{devices[1]},z\n", encoding="utf-8"
    )
    ended = office.run("run", "Geräte 東.csv", "--yes", "--no-lookup", "--report", "out.csv")
    assert ended.code == 0, ended.err
    assert [row["Name"] for row in office.report("out.csv")] == ["ü東", "z"]


@pytest.mark.parametrize("text", [b"x canary-token y", b"Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6.x"])
def test_a_secret_would_be_found_in_a_file_and_in_a_part_of_a_workbook(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "plain").write_bytes(text)
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("part", text)
    assert all(any(map(shows_a_secret, contents(tmp_path / name))) for name in ("plain", "book.xlsx"))
    assert not shows_a_secret(b"an ordinary text")
