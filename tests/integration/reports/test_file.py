"""How a report comes to have its name, and what happens when it cannot."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import batch_offboard
from batch_offboard.base.errors import ReportError, UsageError
from batch_offboard.reports.files import _replacing, write_report, writer_for
from batch_offboard.reports.rows import ReportHead, ReportRow

SUFFIXES = [".csv", ".xlsx", ".json", ".html"]
LeftOver = Callable[[], list[str]]


class PowerCutError(Exception):
    """What the test's rows raise."""


def broken(rows: list[ReportRow]) -> Iterator[ReportRow]:
    yield from rows
    raise PowerCutError


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_folder_is_made(tmp_path: Path, suffix: str, head: ReportHead, rows: list[ReportRow]) -> None:
    path = tmp_path / "reports" / "tonight" / f"r{suffix}"

    assert write_report(path, head, rows) == path
    assert path.stat().st_size > 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_old_report_is_replaced(
    tmp_path: Path, suffix: str, head: ReportHead, rows: list[ReportRow], left_over: LeftOver
) -> None:
    path = tmp_path / f"r{suffix}"
    path.write_bytes(b"old")

    assert write_report(path, head, rows) == path
    assert path.read_bytes() != b"old"
    assert left_over() == [f"r{suffix}"]


@pytest.mark.fault(7, "The old report stays as it was.")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_that_break_off_leave_the_old_report_whole_and_nothing_else(
    tmp_path: Path,
    suffix: str,
    head: ReportHead,
    rows: list[ReportRow],
    left_over: LeftOver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    path = tmp_path / f"r{suffix}"
    path.write_bytes(b"old")

    with pytest.raises(PowerCutError):
        write_report(path, head, broken(rows))

    assert path.read_bytes() == b"old"
    assert left_over() == [f"r{suffix}"]


@pytest.mark.fault(7, "The name shows the old report or the whole new one.")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_report_gets_its_name_in_one_step_when_it_is_whole_and_synced(
    tmp_path: Path, suffix: str, head: ReportHead, rows: list[ReportRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"r{suffix}"
    path.write_bytes(b"old")
    synced: dict[int, int] = {}
    named = []
    fsync, replace = os.fsync, Path.replace

    def syncing(descriptor: int) -> None:
        fsync(descriptor)
        status = os.fstat(descriptor)
        synced[status.st_ino] = status.st_size

    def naming(temporary: Path, target: Path) -> Path:
        assert path.read_bytes() == b"old"
        assert synced[temporary.stat().st_ino] == temporary.stat().st_size
        named.append((target, temporary.read_bytes()))
        return replace(temporary, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "replace", naming)
    write_report(path, head, rows)

    assert named == [(path, path.read_bytes())]


@pytest.mark.fault(22, "A report holds no more than a few rows at a time.")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_rows_are_taken_one_by_one_and_once(
    tmp_path: Path, suffix: str, head: ReportHead, rows: list[ReportRow]
) -> None:
    assert write_report(tmp_path / f"r{suffix}", head, iter(rows)).exists()


@pytest.mark.fault(116, "The next free name is used.")
def test_a_name_that_cannot_be_replaced_is_not_an_error(
    tmp_path: Path, head: ReportHead, rows: list[ReportRow], left_over: LeftOver
) -> None:
    (tmp_path / "r.csv").mkdir()  # like a file open in Excel, nothing can take its place

    assert write_report(tmp_path / "r.csv", head, rows) == tmp_path / "r.1.csv"
    assert left_over() == ["r.1.csv"]


def test_the_next_name_must_be_free(tmp_path: Path, head: ReportHead, rows: list[ReportRow]) -> None:
    (tmp_path / "r.csv").mkdir()
    (tmp_path / "r.1.csv").write_text("somebody's", encoding="utf-8")

    assert write_report(tmp_path / "r.csv", head, rows) == tmp_path / "r.2.csv"
    assert (tmp_path / "r.1.csv").read_text(encoding="utf-8") == "somebody's"


def test_a_dangling_link_is_not_a_free_name(
    tmp_path: Path, head: ReportHead, rows: list[ReportRow], left_over: LeftOver
) -> None:
    (tmp_path / "r.csv").mkdir()
    try:
        (tmp_path / "r.1.csv").symlink_to(tmp_path / "elsewhere")
    except OSError:
        pytest.skip("links need a right that this user lacks")

    assert write_report(tmp_path / "r.csv", head, rows) == tmp_path / "r.2.csv"
    assert left_over() == ["r.2.csv"]


def test_a_name_that_was_taken_in_vain_is_given_back(tmp_path: Path, left_over: LeftOver) -> None:
    (tmp_path / "r.1.csv").write_bytes(b"")

    with pytest.raises(OSError, match="gone"):
        _replacing(tmp_path / "gone", tmp_path / "r.1.csv")
    assert left_over() == []


def test_no_name_is_tried_for_ever(
    tmp_path: Path, head: ReportHead, rows: list[ReportRow], left_over: LeftOver
) -> None:
    for name in ["r.csv", *(f"r.{number}.csv" for number in range(1, 100))]:
        (tmp_path / name).mkdir()

    with pytest.raises(ReportError):
        write_report(tmp_path / "r.csv", head, rows)
    assert left_over() == []


@pytest.mark.fault(117, "One sentence with the remedy; the journal has every row.")
def test_a_folder_that_cannot_be_written_is_told_with_the_way_out(
    tmp_path: Path, head: ReportHead, rows: list[ReportRow]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    path = tmp_path / "file" / "r.csv"

    with pytest.raises(ReportError) as caught:
        write_report(path, head, rows)

    message = str(caught.value)
    assert message.startswith(f"The report {path} could not be written (")
    assert message.endswith(
        "; the journal still has every row, so write it elsewhere with "
        "`batch-offboard report 20261124-081531-7f3a --report OTHER`."
    )


@pytest.mark.fault(117, "One sentence with the remedy.")
def test_a_name_that_is_too_long_is_told(
    tmp_path: Path, head: ReportHead, rows: list[ReportRow], left_over: LeftOver
) -> None:
    with pytest.raises(ReportError):
        write_report(tmp_path / f"{'r' * 300}.csv", head, rows)
    assert left_over() == []


@pytest.mark.fault(32, "The missing report is named; the journal has every row.")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_told_and_leaves_the_old_report(
    tmp_path: Path, suffix: str, head: ReportHead, rows: list[ReportRow], left_over: LeftOver
) -> None:
    if sys.platform == "win32":
        pytest.skip("no limit on the size of a file to be had")
    import resource

    path = tmp_path / f"r{suffix}"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ReportError, match="the journal still has every row"):
            write_report(path, head, rows * 500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert path.read_bytes() == b"old"
    assert left_over() == [f"r{suffix}"]


@pytest.mark.parametrize("name", ["r.pdf", "r", "r.csv.gz", ".csv", "r.c\x1bsv", "r\0.csv"])
def test_another_suffix_is_a_mistake_of_the_command_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        writer_for(tmp_path / name)

    assert str(caught.value).endswith("end its name with one of .csv, .xlsx, .json, .html.")
    assert str(caught.value).isprintable()


def test_the_case_of_a_suffix_does_not_matter(tmp_path: Path, head: ReportHead, rows: list[ReportRow]) -> None:
    assert write_report(tmp_path / "R.CSV", head, rows) == tmp_path / "R.CSV"


@pytest.mark.fault(126, "Readable only by its owner.")
@pytest.mark.skipif(os.name != "posix", reason="other systems have no modes")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("blocked", [False, True], ids=["own name", "next name"])
def test_a_report_is_for_its_owner_alone_whatever_the_umask(
    tmp_path: Path, suffix: str, blocked: bool, head: ReportHead, rows: list[ReportRow]
) -> None:
    path = tmp_path / "new" / f"r{suffix}"
    if blocked:
        path.mkdir(parents=True)
    umask = os.umask(0)
    try:
        written = write_report(path, head, rows)
    finally:
        os.umask(umask)

    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_a_link_in_place_of_the_report_is_replaced_and_not_followed(
    tmp_path: Path, head: ReportHead, rows: list[ReportRow]
) -> None:
    target = tmp_path / "precious"
    target.write_text("precious", encoding="utf-8")
    try:
        (tmp_path / "r.csv").symlink_to(target)
    except OSError:
        pytest.skip("links need a right that this user lacks")
    write_report(tmp_path / "r.csv", head, rows)

    assert target.read_text(encoding="utf-8") == "precious"
    assert not (tmp_path / "r.csv").is_symlink()


def test_a_workbook_is_written_the_same_way_wherever_lxml_happens_to_be_installed(tmp_path: Path) -> None:
    (tmp_path / "lxml").mkdir()
    (tmp_path / "lxml" / "__init__.py").touch()
    (tmp_path / "lxml" / "etree.py").write_text("LXML_VERSION = (9, 9, 9, 9)", encoding="utf-8")
    program = (
        "import contextlib, io\n"
        "from batch_offboard.reports.files import writer_for\n"
        "from pathlib import Path\n"
        "with contextlib.suppress(AttributeError):\n"
        "    writer_for(Path('r.xlsx'))(io.BytesIO(), None, ())\n"
        "import openpyxl.xml\n"
        "print(openpyxl.xml.LXML)"
    )
    places = os.pathsep.join([str(tmp_path), str(Path(batch_offboard.__file__).parents[1])])
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "False\n"
