"""Devices are refused, answers are unclear: what was accepted stays so, and what failed can be sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.acceptance.conftest import Office, Tenant

NO_ABORT = {"abort_failure_percent": 100}


def run_with_refusals(office: Office, tenant: Tenant) -> tuple[list[str], list[str]]:
    """A run in which three of eleven devices are refused, after the first five; the accepted and the refused."""
    accepted, refused = tenant.take(8), tenant.take_special("refused once", 3)
    office.configure(tenant, guards=NO_ABORT)
    sheet = office.sheet([*accepted[:6], *refused, *accepted[6:]])
    ended = office.run("run", sheet, "--yes", "--report", "out.csv", "--report", "out.xlsx")
    assert ended.code == 1, ended.err
    return accepted, refused


def test_refused_devices_fail_with_code_and_advice_and_retry_sends_exactly_these(
    office: Office, tenant: Tenant
) -> None:
    accepted, refused = run_with_refusals(office, tenant)
    failed = [row for row in office.report("out.csv") if row["outcome"] == "failed"]
    assert [row["device_id"] for row in failed] == refused
    assert {(row["http_status"], row["error_code"]) for row in failed} == {("404", "ResourceNotFound")}
    assert all("device's page in the portal" in row["advice"] for row in failed)
    assert sorted(tenant.called([*accepted, *refused])) == sorted([*accepted, *refused])

    [batch] = office.run("list", "--json").json
    retried = office.run("retry", batch["batch"], "--yes", "--json")
    assert retried.code == 0, retried.err
    assert retried.json["counts"]["submitted"] == 11
    assert sorted(tenant.called(accepted)) == sorted(accepted)
    assert sorted(tenant.called(refused)) == sorted([*refused, *refused])
    given = tenant.actions()
    rows = office.report("out.csv")
    assert {row["device_id"]: row["machine_action_id"] for row in rows} == {
        device: given[device] for device in [*accepted, *refused]
    }


def test_the_failed_rows_of_a_report_are_a_sheet_of_their_own(office: Office, tenant: Tenant) -> None:
    accepted, refused = run_with_refusals(office, tenant)
    planned = office.run("plan", "out.xlsx", "--only", "failed", "--json")
    assert (planned.code, planned.json["rows"], planned.json["offboard"]) == (0, 3, 3)
    ended = office.run("run", "out.csv", "--only", "failed", "--yes", "--report", "second.csv")
    assert ended.code == 0, ended.err
    assert [(row["device_id"], row["outcome"], row["Owner"]) for row in office.report("second.csv")] == [
        (device, "submitted", "Ann") for device in refused
    ]
    assert sorted(tenant.called(accepted)) == sorted(accepted)
    assert sorted(tenant.called(refused)) == sorted([*refused, *refused])


def test_an_unclear_answer_is_in_doubt_and_never_sent_again_unasked(office: Office, tenant: Tenant) -> None:
    healthy, [unclear] = tenant.take(6), tenant.take_special("failing", 1)
    office.configure(tenant)
    sheet = office.sheet([*healthy[:5], unclear, healthy[5]])
    ended = office.run("run", sheet, "--yes", "--report", "out.csv")
    assert ended.code == 3
    [row] = [row for row in office.report("out.csv") if row["outcome"] != "submitted"]
    assert (row["device_id"], row["outcome"], row["http_status"]) == (unclear, "in_doubt", "500")

    resumed = office.run("resume", "--json")
    assert (resumed.code, resumed.json["counts"]["in_doubt"]) == (3, 1)
    again = office.run("run", sheet, "--yes", "--json")
    assert (again.code, again.json["skipped"]) == (1, {"already_offboarded": 6, "already_pending": 1})
    assert tenant.called([unclear]) == [unclear]
