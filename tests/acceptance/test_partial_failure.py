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
    planned = office.run("plan", "out.xlsx", "--sheet", "Failed", "--json")
    assert (planned.code, planned.json["rows"], planned.json["offboard"]) == (0, 3, 3)
    ended = office.run("run", "out.csv", "--only", "failed", "--yes", "--report", "second.csv")
    assert ended.code == 0, ended.err
    assert [(row["device_id"], row["outcome"], row["Owner"]) for row in office.report("second.csv")] == [
        (device, "submitted", "Ann") for device in refused
    ]
    assert sorted(tenant.called(accepted)) == sorted(accepted)
    assert sorted(tenant.called(refused)) == sorted([*refused, *refused])


def test_a_failure_after_the_server_took_the_device_is_settled_by_the_closing_look(
    office: Office, tenant: Tenant
) -> None:
    healthy, [unclear] = tenant.take(6), tenant.take_special("failing", 1)
    office.configure(tenant)
    sheet = office.sheet([*healthy[:5], unclear, healthy[5]])
    ended = office.run("run", sheet, "--yes", "--report", "out.csv")
    assert ended.code == 0, ended.err
    rows = {row["device_id"]: row for row in office.report("out.csv")}
    assert {row["outcome"] for row in rows.values()} == {"submitted"}
    assert rows[unclear]["machine_action_id"] == tenant.actions()[unclear]
    assert tenant.called([unclear]) == [unclear]


def test_an_unclear_answer_that_the_tenant_does_not_list_is_in_doubt_and_never_sent_again_unasked(
    office: Office, tenant: Tenant
) -> None:
    healthy, [unclear] = tenant.take(6), tenant.take_special("dropped", 1)
    office.configure(tenant)
    sheet = office.sheet([*healthy[:5], unclear, healthy[5]])
    ended = office.run("run", sheet, "--yes", "--report", "out.csv")
    assert ended.code == 3
    [row] = [row for row in office.report("out.csv") if row["outcome"] != "submitted"]
    assert (row["device_id"], row["outcome"], row["error_code"]) == (unclear, "in_doubt", "NoAnswer")

    resumed = office.run("resume", "--json")
    assert (resumed.code, resumed.json["counts"]["in_doubt"]) == (3, 1)
    again = office.run("run", sheet, "--yes", "--json")
    assert (again.code, again.json["skipped"]) == (1, {"already_offboarded": 6, "already_pending": 1})
    assert tenant.called([unclear]) == [unclear]


def test_a_row_in_doubt_that_a_person_settles_as_not_accepted_is_sent_once_more(office: Office, tenant: Tenant) -> None:
    [unclear] = tenant.take_special("dropped once", 1)
    office.configure(tenant)
    ended = office.run("run", office.sheet([*tenant.take(5), unclear]), "--yes", "--json")
    assert ended.code == 3
    batch = ended.json["batch"]
    settled = office.run("resolve", batch, "7", "not-accepted", "--comment", "nothing in its action centre", "--json")
    assert (settled.code, settled.json["counts"]["pending"]) == (0, 1)
    resumed = office.run("resume", batch, "--json")
    assert (resumed.code, resumed.json["counts"]["submitted"]) == (0, 6)
    assert tenant.called([unclear]) == [unclear, unclear]
    [life] = office.run("explain", batch, "7", "--json").json["rows"]
    assert [(each["accepted"], each["note"]) for each in life["settlements"]] == [
        (False, "nothing in its action centre")
    ]


def test_a_row_in_doubt_that_a_person_settles_as_accepted_ends_well_with_its_action(
    office: Office, tenant: Tenant
) -> None:
    [unclear] = tenant.take_special("dropped", 1)
    office.configure(tenant)
    batch = office.run("run", office.sheet([*tenant.take(5), unclear]), "--yes", "--json").json["batch"]
    assert office.run("resolve", batch, "7", "accepted", "--action-id", "seen-in-the-portal").code == 0
    assert office.run("report", batch, "--report", "out.csv").code == 0
    row = office.report("out.csv")[-1]
    assert (row["outcome"], row["machine_action_id"]) == ("submitted", "seen-in-the-portal")
    assert office.run("resolve", batch, "7", "accepted").code == 2
    assert office.run("show", batch, "--json").json["state"] == "finished"
