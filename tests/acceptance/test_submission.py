"""A spreadsheet is submitted over HTTP, and every command tells the same story about it afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import openpyxl
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.acceptance.conftest import Ended, Office, Tenant


REPORTS = [word for suffix in ("csv", "xlsx", "json") for word in ("--report", f"out.{suffix}")]


@dataclass(frozen=True, slots=True)
class Submitted:
    """A batch of 300 devices, one of which stands in the sheet twice, that has been run to its end."""

    office: Office
    devices: list[str]
    ended: Ended

    @property
    def batch(self) -> str:
        return str(self.ended.json["batch"])


def workbook(path: Path, devices: list[str]) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Leavers")
    sheet.append(["Computer", "Device ID", "Owner"])
    for device in devices:
        sheet.append([f"pc-{device[:8]}", device, "Zoë 東京"])
    book.save(path)


@pytest.fixture(scope="session")
def submitted(open_office: Callable[[], Office], tenant: Tenant) -> Submitted:
    office, devices = open_office(), tenant.take(300)
    workbook(office.folder / "leavers.xlsx", [*devices, devices[0]])
    office.configure(tenant)
    options = ["--yes", "--max-devices", "300", "--json", *REPORTS]
    return Submitted(office, devices, office.run("run", "leavers.xlsx", *options))


def test_a_sheet_of_three_hundred_devices_is_submitted(submitted: Submitted) -> None:
    facts = submitted.ended.json
    assert submitted.ended.code == 0, submitted.ended.err
    assert facts["exit_code"] == 0
    assert facts["counts"] == {
        "pending": 0, "sending": 0, "submitted": 300, "failed": 0, "in_doubt": 0, "cancelled": 0, "skipped": 1
    }  # fmt: skip
    assert facts["skipped"] == {"duplicate": 1}


def test_every_action_id_in_the_report_is_the_one_that_the_server_gave(submitted: Submitted, tenant: Tenant) -> None:
    given = tenant.actions()
    reported = {row["device_id"]: row["machine_action_id"] for row in submitted.office.report("out.csv")}
    assert reported == {device: given[device] for device in submitted.devices}


def test_the_server_is_called_once_for_each_device_with_a_token_of_its_own(
    submitted: Submitted, tenant: Tenant
) -> None:
    calls = tenant.calls(submitted.devices)
    assert sorted(call["device_id"] for call in calls) == sorted(submitted.devices)
    rows = {device: number for number, device in enumerate(submitted.devices, start=2)}
    assert all(f"[bo {submitted.batch}/{rows[call['device_id']]}/1]" in call["comment"] for call in calls)


def test_the_report_has_each_row_of_the_sheet_in_its_order_with_its_own_columns(submitted: Submitted) -> None:
    rows = submitted.office.report("out.csv")
    assert [int(row["row"]) for row in rows] == list(range(2, 303))
    assert [row["Device ID"] for row in rows] == [*submitted.devices, submitted.devices[0]]
    assert [row["Computer"] for row in rows] == [f"pc-{row['Device ID'][:8]}" for row in rows]
    assert {row["Owner"] for row in rows} == {"Zoë 東京"}
    assert [row["outcome"] for row in rows] == ["submitted"] * 300 + ["skipped"]


def test_the_json_report_says_what_the_csv_report_says(submitted: Submitted) -> None:
    content = json.loads((submitted.office.folder / "out.json").read_text(encoding="utf-8"))
    own = ("row", "device_id", "device_name", "outcome", "machine_action_id", "error_code", "advice")
    in_json = [[str(row[name] or "") for name in own] for row in content["rows"]]
    assert in_json == [[row[name] for name in own] for row in submitted.office.report("out.csv")]
    assert content["summary"]["outcomes"]["submitted"] == 300


@pytest.mark.fault(118, "Nothing is sent.")
def test_the_same_sheet_once_more_sends_nothing_and_ends_well(submitted: Submitted, tenant: Tenant) -> None:
    before = len(tenant.calls(submitted.devices))
    again = submitted.office.run("run", "leavers.xlsx", "--yes", "--json", "--report", "again.csv")
    assert again.code == 0, again.err
    assert again.json["skipped"] == {"already_offboarded": 300, "duplicate": 1}
    assert len(tenant.calls(submitted.devices)) == before


def test_list_tells_of_the_batch(submitted: Submitted) -> None:
    facts = {batch["batch"]: batch for batch in submitted.office.run("list", "--json").json}
    assert facts[submitted.batch]["counts"]["submitted"] == 300
    assert facts[submitted.batch]["state"] == "finished"
    line = next(line for line in submitted.office.run("list").out.splitlines() if submitted.batch in line)
    assert line.split()[:2] == [submitted.batch, "finished"]
    assert "leavers.xlsx" in line


def test_show_tells_what_was_asked_and_what_happened(submitted: Submitted) -> None:
    facts = submitted.office.run("show", submitted.batch, "--json").json
    assert (facts["rows"], facts["counts"]["submitted"], facts["simulated"]) == (301, 300, False)
    assert facts["source"] == "leavers.xlsx"
    text = submitted.office.run("show", submitted.batch).out
    assert "300  submitted" in text
    assert facts["source_sha256"] in text


def test_explain_tells_the_life_of_a_device_by_row_and_by_id(submitted: Submitted, tenant: Tenant) -> None:
    device, action = submitted.devices[16], tenant.actions()[submitted.devices[16]]
    [life] = submitted.office.run("explain", submitted.batch, "18", "--json").json["rows"]
    assert (life["row"], life["device_id"], life["machine_action_id"]) == (18, device, action)
    assert [(call["attempt"], call["http_status"]) for call in life["attempts"]] == [(1, 201)]
    text = submitted.office.run("explain", submitted.batch, device).out
    assert "Attempt 1 to offboard it began." in text
    assert "Defender accepted it (HTTP 201)." in text
    assert action in text


def test_quota_tells_what_is_left_of_both_windows(submitted: Submitted) -> None:
    [facts] = submitted.office.run("quota", "--json").json
    assert facts["hour"] == {"used": 300, "limit": 10_000, "left": 9_700}
    assert facts["wait_seconds"] == 0
    assert "  hour      300 of 10000 used, 9700 left" in submitted.office.run("quota").out


def test_without_a_word_the_report_is_written_as_table_workbook_and_page_which_names_the_others(
    submitted: Submitted,
) -> None:
    ended = submitted.office.run("report", submitted.batch, "--json")
    assert ended.code == 0, ended.err
    folder, batch = submitted.office.folder / "reports", submitted.batch
    assert ended.json["reports"] == [str(folder / f"{batch}.{suffix}") for suffix in ("csv", "xlsx", "html")]
    page = (folder / f"{batch}.html").read_text(encoding="utf-8")
    assert f"All rows are also in {batch}.csv and {batch}.xlsx." in page
    assert "300 of 301 rows submitted; none needs attention." in page
    assert "300 for 300 devices" in page
    assert "Zoë 東京" in page


def test_a_report_written_again_is_the_same(submitted: Submitted) -> None:
    folder, batch = submitted.office.folder, submitted.batch
    # A later look at the tenant may have found actions further on than the run did; this one looks at nothing.
    assert submitted.office.run("report", batch, *REPORTS).code == 0
    ended = submitted.office.run("report", batch, "--format", "csv,xlsx,json", "--json")
    assert ended.code == 0, ended.err
    csv, xlsx, json_ = paths = [folder / "reports" / f"{batch}.{suffix}" for suffix in ("csv", "xlsx", "json")]
    assert ended.json["reports"] == [str(path) for path in paths]
    assert csv.read_bytes() == (folder / "out.csv").read_bytes()
    assert cells(xlsx) == cells(folder / "out.xlsx")
    assert timeless(json_) == timeless(folder / "out.json")


def cells(path: Path) -> list[tuple[object, ...]]:
    """All sheets but for the one line that is not the batch's: the time of writing."""
    book = openpyxl.load_workbook(path)
    rows = [tuple(cell.value for cell in row) for sheet in book.worksheets for row in sheet.iter_rows()]
    return [row for row in rows if row[:1] != ("report written at",)]


def timeless(path: Path) -> dict[str, object]:
    """The one thing in a JSON report that is not the batch's is the time of writing."""
    content: dict[str, dict[str, object]] = json.loads(path.read_bytes())
    del content["batch"]["written_at"]
    return dict(content)
