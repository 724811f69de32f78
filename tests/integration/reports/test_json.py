"""The JSON report, opened again."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from batch_offboard.reports.files import write_report
from batch_offboard.reports.rows import ReportHead, ReportRow

RowsWith = Callable[[Iterable[str]], list[ReportRow]]

ACCEPTED = "Accepted: the device offboards when it next connects; `batch-offboard track 20261124-081531-7f3a` shows it."


def read(path: Path) -> Any:
    return json.loads(path.read_bytes().decode("utf-8"))


def test_the_whole_report(tmp_path: Path, head: ReportHead, rows: list[ReportRow]) -> None:
    assert read(write_report(tmp_path / "r.json", head, rows)) == {
        "batch": {
            "batch_id": "20261124-081531-7f3a",
            "simulated": False,
            "state": "finished",
            "source_name": "leavers.xlsx",
            "source_sha256": "ab" * 32,
            "columns": ["Owner", "Owner", "=note"],
            "tenant": "contoso",
            "api_url": "https://api.security.microsoft.com",
            "comment": "=CHG0042",
            "planned_at": "2026-11-24T08:15:31Z",
            "planned_by": "ann@pc-7",
            "approved_by": [],
            "denied": [],
            "started_at": "2026-11-24T08:15:31Z",
            "ended_at": "2026-11-24T08:16:31Z",
            "run_by": ["ann@pc-7", "svc@srv-4"],
            "expected_seconds": None,
            "refusals": [],
            "written_at": "2026-11-24T09:15:31Z",
            "tool_version": "0.1.0",
            "audit": None,
            "overrides": ["--no-lookup: the tenant was not asked"],
        },
        "rows": [
            {
                "row": 2,
                "device_id": "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0",
                "device_name": "lt-0417",
                "outcome": "submitted",
                "machine_action_id": "0b0f6f0e-52a1-4f0c-9a63-3a5d6a1c7e90",
                "action_status": "Pending",
                "error_code": None,
                "error_message": None,
                "http_status": 201,
                "attempts": 1,
                "submitted_at": "2026-11-24T08:15:31Z",
                "finished_at": "2026-11-24T08:15:32Z",
                "advice": ACCEPTED,
                "input": {"Owner": "Ann", "Owner (2)": "IT", "=note": ""},
                "tenant": {
                    "platform": "Windows11",
                    "group": None,
                    "tags": ["leaver"],
                    "last_seen": "2026-11-24T07:15:31Z",
                    "cautions": ["seen_recently"],
                },
            },
            {
                "row": 3,
                "device_id": "=lt-99",
                "device_name": "@name",
                "outcome": "skipped",
                "machine_action_id": None,
                "action_status": None,
                "error_code": "invalid_id",
                "error_message": "No ID.",
                "http_status": None,
                "attempts": 0,
                "submitted_at": None,
                "finished_at": None,
                "advice": "Correct the ID: copy it from the device's page in the portal, as text.",
                "input": {"Owner": "Zoë", "Owner (2)": "=1+1", "=note": "\x1b[2J"},
                "tenant": None,
            },
        ],
        "summary": {
            "rows": 2,
            "outcomes": {"submitted": 1, "failed": 0, "skipped": 1, "in_doubt": 0, "pending": 0, "cancelled": 0},
            "reasons": [
                {
                    "outcome": "submitted",
                    "error_code": None,
                    "rows": 1,
                    "advice": ACCEPTED,
                },
                {
                    "outcome": "skipped",
                    "error_code": "invalid_id",
                    "rows": 1,
                    "advice": "Correct the ID: copy it from the device's page in the portal, as text.",
                },
            ],
        },
    }


def test_a_rehearsal_says_so(tmp_path: Path, rehearsal: ReportHead, rows: list[ReportRow]) -> None:
    report = read(write_report(tmp_path / "r.json", rehearsal, rows))

    assert report["batch"]["simulated"] is True
    assert [row["advice"][:11] for row in report["rows"]] == ["SIMULATED: ", "SIMULATED: "]


def test_each_row_is_one_line_of_its_own(tmp_path: Path, head: ReportHead, rows: list[ReportRow]) -> None:
    lines = write_report(tmp_path / "r.json", head, rows * 3).read_text(encoding="utf-8").split("\n")

    assert [json.loads(line.rstrip(","))["row"] for line in lines if line.startswith('{"row"')] == [2, 3, 2, 3, 2, 3]


def test_every_text_comes_back_as_it_was(
    tmp_path: Path, head: ReportHead, nasty: list[str], rows_with: RowsWith
) -> None:
    report = read(write_report(tmp_path / "r.json", head, rows_with(nasty)))

    assert [row["device_name"] for row in report["rows"]] == nasty
    assert [row["input"]["=note"] for row in report["rows"]] == nasty


def test_the_file_has_no_control_character_but_line_feeds(
    tmp_path: Path, head: ReportHead, nasty: list[str], rows_with: RowsWith
) -> None:
    text = write_report(tmp_path / "r.json", head, rows_with([*nasty, "\x7f\x9b\u202e"])).read_text(encoding="utf-8")

    assert [c for c in text if not c.isprintable() and c not in "\n\u200d"] == []


def test_names_are_written_as_people_read_them(tmp_path: Path, head: ReportHead, rows_with: RowsWith) -> None:
    assert "Zoë 東京" in write_report(tmp_path / "r.json", head, rows_with(["Zoë 東京"])).read_text(encoding="utf-8")


def test_a_batch_without_rows_is_json_too(tmp_path: Path, head: ReportHead) -> None:
    assert read(write_report(tmp_path / "r.json", head, []))["rows"] == []
