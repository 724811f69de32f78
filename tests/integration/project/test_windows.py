"""The list of what is left out under Wine, and what is said where the task cannot run."""

from pathlib import Path

import pytest

from batch_offboard.reports.rows import REPORT_COLUMNS
from tests.windows.__main__ import COMPARED, NOT_STARTED, folders_of_tests, main, samples
from tests.windows.left_out import LEFT_OUT, reason_for

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("nodeid", [*LEFT_OUT, *NOT_STARTED])
def test_what_is_left_out_exists_and_has_a_reason(nodeid: str) -> None:
    path, _, test = nodeid.partition("::")
    assert (ROOT / path).exists()
    assert f"def {test.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8") if test else True
    assert (LEFT_OUT | NOT_STARTED)[nodeid]


def test_a_reason_holds_for_a_folder_a_file_and_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.windows.left_out.LEFT_OUT", {"a/b": "folder", "c/d.py": "file", "e.py::f": "test"})
    assert [reason_for(each) for each in ("a/b/x.py::t", "c/d.py::t", "e.py::f[1]", "e.py::f")] == [
        "folder",
        "file",
        "test",
        "test",
    ]
    assert [reason_for(each) for each in ("a/bc/x.py::t", "e.py::fg")] == ["", ""]


def test_every_folder_of_tests_is_run_or_left_out_with_a_reason() -> None:
    folders = {f"tests/{path.relative_to(ROOT / 'tests').parts[0]}" for path in (ROOT / "tests").rglob("test_*.py")}
    run = {"/".join(each.split("/")[:2]) for each in folders_of_tests()}
    assert folders == run | set(NOT_STARTED)


def test_every_sample_is_rehearsed() -> None:
    named = {
        path.name for path in (ROOT / "samples").iterdir() if path.suffix in {".csv", ".txt", ".xls", ".xlsx", ".ods"}
    }
    assert {each.name for each in samples()} == named


def test_what_is_compared_are_columns_of_a_report() -> None:
    assert set(COMPARED) <= set(REPORT_COLUMNS)


def test_elsewhere_than_on_debian_as_root_a_sentence_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("windows needs Debian")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
