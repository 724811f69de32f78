"""The audit record as its readers meet it: whole after whatever happened, and telling who broke it where."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.acceptance.conftest import Ended, Json, Office, Tenant


def journal_of(office: Office) -> Path:
    return next(path for path in office.folder.parent.rglob("journal.db"))


def exported(office: Office, *arguments: str) -> list[Json]:
    ended = office.run("audit", "export", *arguments)
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


@pytest.fixture(scope="module")
def finished(open_office: Callable[[], Office], tenant: Tenant) -> tuple[Office, list[str], Ended]:
    """An office in which one batch was run to its end, with a report in JSON."""
    office, devices = open_office(), tenant.take(3)
    office.configure(tenant)
    return office, devices, office.run("run", office.sheet(devices), "--yes", "--report", "out.json")


def test_a_run_is_recorded_from_the_plan_to_the_end(finished: tuple[Office, list[str], Ended]) -> None:
    office, devices, ended = finished
    assert ended.code == 0, ended.err
    records = exported(office)
    kinds = [record["kind"] for record in records]
    assert kinds[:3] == ["planned", "cleared", "started"]
    assert kinds[-1] == "ended"
    calls = [record["content"] for record in records if record["kind"] in ("intent", "outcome")]
    assert sorted(call["device_id"] for call in calls) == sorted(devices * 2)
    assert records[-1]["content"]["jobs"] == {"submitted": 3}


def test_the_record_is_intact_and_contains_the_anchor_of_the_report(finished: tuple[Office, list[str], Ended]) -> None:
    office, _, _ = finished
    anchor = json.loads((office.folder / "out.json").read_text(encoding="utf-8"))["batch"]["audit"]
    ended = office.run("audit", "verify", "--anchor", anchor)
    assert ended.code == 0
    assert ended.out.startswith("The audit record is intact: ")
    assert f"It contains {anchor}." in ended.out
    assert office.run("audit", "verify", "--json", "--anchor", anchor).json["anchor"] == anchor
    other = office.run("audit", "verify", "--anchor", f"1{anchor}")
    assert other.code == 4
    assert "the end was cut off" in other.out


def test_what_is_no_anchor_is_refused(finished: tuple[Office, list[str], Ended]) -> None:
    office, _, _ = finished
    ended = office.run("audit", "verify", "--anchor", "12")
    assert (ended.code, ended.out) == (2, "")
    assert "--anchor" in ended.sentence


def test_a_refusal_is_recorded_with_its_reason(office: Office, tenant: Tenant) -> None:
    devices = tenant.take(4)
    office.configure(tenant)
    office.sheet(devices)
    refused = office.run("run", "devices.csv", "--yes", "--quiet", "--max-devices", "3")
    unconfirmed = office.run("run", "devices.csv", "--quiet")
    assert (refused.code, unconfirmed.code) == (4, 4)
    contents = [record["content"] for record in exported(office) if record["kind"] == "refused"]
    assert [content["reason"] for content in contents] == [
        refused.sentence.removeprefix("batch-offboard: "),
        unconfirmed.sentence.removeprefix("batch-offboard: "),
    ]
    assert [content["overrides"] for content in contents] == [
        ["--max-devices 3: instead of guards.max_devices 500 and guards.max_devices_per_day 500"],
        [],
    ]
    assert tenant.called(devices) == []


def test_a_run_that_was_killed_and_resumed_leaves_a_whole_record(office: Office, tenant: Tenant) -> None:
    devices = tenant.take(40)
    office.configure(tenant)
    batch = office.plan(office.sheet(devices))
    with office.start("run", batch, "--yes", "--report", "out.csv") as program:
        program.until(lambda: len(tenant.called(devices)) >= 8, "eight calls had arrived")
        program.kill()
        program.ended()
    assert office.run("audit", "verify").code == 0
    assert office.run("resume", batch, "--report", "out.csv").code in (0, 3)  # 3: a call was cut off on its way out
    assert office.run("audit", "verify").code == 0
    records = [record for record in exported(office, "--batch", batch) if record["kind"] in ("started", "ended")]
    assert [record["content"]["command"] for record in records] == ["run", "resume", "resume"]


def test_a_changed_record_is_named_and_costs_the_exit_code_of_a_guard(office: Office, tenant: Tenant) -> None:
    office.configure(tenant)
    assert office.run("run", office.sheet(tenant.take(2)), "--yes", "--report", "out.csv").code == 0
    with closing(sqlite3.connect(journal_of(office))) as connection, connection:
        connection.execute("DROP TRIGGER audit_changes_no_record")
        connection.execute("UPDATE audit SET content = replace(content, 'submitted', 'failed') WHERE number = 5")
    ended = office.run("audit", "verify")
    assert ended.code == 4
    assert "Record 5 was changed" in ended.out
    told = office.run("audit", "verify", "--json")
    assert (told.code, told.json["intact"], told.json["broken"]) == (4, False, 5)


def test_an_export_into_a_file_is_private_and_says_where_it_is(finished: tuple[Office, list[str], Ended]) -> None:
    office, devices, _ = finished
    ended = office.run("audit", "export", "--output", "record.csv")
    assert ended.code == 0
    assert ended.out.strip() == str(office.folder / "record.csv")
    rows = office.report("record.csv")
    assert {row["device_id"] for row in rows} == {"", *devices}
    if os.name == "posix":
        assert stat.S_IMODE((office.folder / "record.csv").stat().st_mode) == 0o600


def test_an_export_takes_a_stretch_of_time(finished: tuple[Office, list[str], Ended]) -> None:
    office, _, _ = finished
    assert exported(office, "--until", "2020-01-01") == []
    assert exported(office, "--since", "2020-01-01") == exported(office)
    wrong = office.run("audit", "export", "--since", "yesterday")
    assert (wrong.code, wrong.out) == (2, "")
    assert "2026-11-25T06:30" in wrong.sentence


def test_a_rehearsal_has_a_record_of_its_own(office: Office) -> None:
    sheet = office.sheet(["a" * 39 + "b", "c" * 39 + "d"])
    assert office.run("run", sheet, "--simulate", "--speed", "100", "--report", "out.csv").code == 0
    assert office.run("audit", "verify").code == 2  # there is no real journal
    ended = office.run("audit", "verify", "--simulate")
    assert ended.code == 0
    assert "The audit record is intact" in ended.out
