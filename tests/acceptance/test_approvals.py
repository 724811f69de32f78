"""Two people: one submits a plan, the other approves or denies it, and only then anything is sent.

The people are two values of BATCH_OFFBOARD_PERSON; the account behind them is the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.acceptance.conftest import Ended, Office, Tenant

ANN, BOB, CY = ({"BATCH_OFFBOARD_PERSON": name} for name in ("Ann", "Bob", "Cy"))


@pytest.fixture
def devices(office: Office, tenant: Tenant) -> list[str]:
    """The devices of the sheet, in an office whose plans need one approval."""
    office.configure(tenant, guards={"approvals": 1})
    return tenant.take(3)


def planned(office: Office, devices: list[str], *options: str) -> str:
    """The ID of a plan that Ann has submitted."""
    ended = office.run("plan", office.sheet(devices), "--json", *options, **ANN)
    assert ended.code == 0, ended.err
    return str(ended.json["batch"])


def approved(office: Office, batch: str) -> None:
    ended = office.run("approve", batch, "--yes", **BOB)
    assert ended.code == 0, ended.err


def records(office: Office, *kinds: str) -> list[dict[str, object]]:
    """What the audit record says, of these kinds."""
    ended = office.run("audit", "export")
    assert ended.code == 0, ended.err
    found = [json.loads(line) for line in ended.out.splitlines()]
    return [each["content"] for each in found if each.get("kind") in kinds]


def test_what_another_person_approved_is_sent_and_everything_says_who_approved_it(
    office: Office, tenant: Tenant, devices: list[str]
) -> None:
    batch = planned(office, devices)
    approved(office, batch)
    ended = office.run("run", batch, "--yes", "--json", "--report", "out.json", "--report", "out.html", **ANN)
    assert ended.code == 0, ended.err
    assert sorted(tenant.called(devices)) == sorted(devices)
    who = ended.json["approved_by"]
    assert [each.split("@")[0].split(" (as ")[0] for each in who] == ["Bob"]
    assert f"approved by {who[0]}" in office.run("show", batch).out
    report = json.loads((office.folder / "out.json").read_text(encoding="utf-8"))
    assert who[0] in json.dumps(report)
    assert who[0] in (office.folder / "out.html").read_text(encoding="utf-8")
    assert [each["who"] for each in records(office, "approved")] == who
    assert [each["approved"] for each in records(office, "cleared")] == [who]


def test_a_run_that_nobody_approved_sends_nothing_and_says_who_is_waited_for(
    office: Office, tenant: Tenant, devices: list[str]
) -> None:
    batch = planned(office, devices)
    ended = office.run("run", batch, "--yes", **ANN)
    assert ended.code == 4
    assert ended.last_sentence.startswith(
        f"batch-offboard: Batch {batch} waits for 1 approval by somebody other than Ann (as "
    )
    assert f"They type `batch-offboard approve {batch}`" in ended.last_sentence
    assert tenant.called(devices) == []
    assert len(records(office, "refused")) == 1
    facts = office.run("run", batch, "--yes", "--json", **ANN)
    assert (facts.code, facts.json["batch"], facts.json["approvals"]["missing"]) == (4, batch, 1)


def test_nobody_approves_what_they_submitted(office: Office, tenant: Tenant, devices: list[str]) -> None:
    batch = planned(office, devices)
    ended = office.run("approve", batch, "--yes", **ANN)
    assert ended.code == 4
    assert "nobody approves what they submit themselves" in ended.sentence
    assert office.run("run", batch, "--yes", **ANN).code == 4
    assert tenant.called(devices) == []


def test_nobody_runs_what_they_alone_approved(office: Office, tenant: Tenant, devices: list[str]) -> None:
    batch = planned(office, devices)
    approved(office, batch)
    ended = office.run("run", batch, "--yes", **BOB)
    assert ended.code == 4
    assert "nobody approves what they submit themselves" in ended.last_sentence
    assert tenant.called(devices) == []


def test_a_cell_that_changes_after_the_approval_voids_it_and_it_is_said(
    office: Office, tenant: Tenant, devices: list[str]
) -> None:
    batch = planned(office, devices)
    approved(office, batch)
    office.sheet([*devices[:2], *tenant.take(1)])
    ended = office.run("run", batch, "--yes", **ANN)
    assert ended.code == 4
    assert "the sheet has changed since. The approval of Bob (as " in ended.err
    assert "waits for 1 approval" in ended.err
    assert tenant.called(devices) == []


@pytest.mark.parametrize("guards", [{"max_devices": 400}, {"abort_failure_percent": 50}, {"protected": "list.txt"}])
def test_a_guard_that_changes_after_the_approval_voids_it(
    office: Office, tenant: Tenant, devices: list[str], guards: dict[str, object]
) -> None:
    batch = planned(office, devices)
    approved(office, batch)
    (office.folder / "list.txt").write_text("dc-*\n", encoding="utf-8")
    office.configure(tenant, guards={"approvals": 1, **guards})
    ended = office.run("run", batch, "--yes", **ANN)
    assert ended.code == 4
    assert "the guards or the protected list have changed since. The approval of Bob (as " in ended.err
    assert tenant.called(devices) == []


def test_a_denied_plan_is_not_sent_and_the_reason_is_said(office: Office, tenant: Tenant, devices: list[str]) -> None:
    batch = planned(office, devices)
    approved(office, batch)
    assert office.run("deny", batch, "row 3 is still in use", **CY).code == 0
    ended = office.run("run", batch, "--yes", **ANN)
    assert ended.code == 4
    assert f"denied batch {batch}: row 3 is still in use." in ended.last_sentence
    assert "denied by Cy (as " in office.run("show", batch).out
    assert [each["reason"] for each in records(office, "denied")] == ["row 3 is still in use"]
    assert tenant.called(devices) == []


def test_what_was_not_set_aside_in_the_plan_cannot_be_set_aside_by_its_run(
    office: Office, tenant: Tenant, devices: list[str]
) -> None:
    batch = planned(office, devices)
    approved(office, batch)
    ended = office.run("run", batch, "--yes", "--max-devices", "900", **ANN)
    assert ended.code == 4
    assert "This command would set aside guards with --max-devices 900" in ended.last_sentence
    stated = planned(office, devices, "--max-devices", "900")
    approved(office, stated)
    assert office.run("run", stated, "--yes", "--max-devices", "900", **ANN).code == 0
    assert sorted(tenant.called(devices)) == sorted(devices)


def test_a_plan_tells_programs_and_people_how_its_approvals_stand(office: Office, devices: list[str]) -> None:
    facts: Ended = office.run("plan", office.sheet(devices), "--json", **ANN)
    batch, approvals = facts.json["batch"], facts.json["approvals"]
    assert (approvals["needed"], approvals["missing"], approvals["counted"]) == (1, 1, [])
    shown = office.run("run", batch, "--dry-run", **ANN).out
    assert "waits for 1 approval by somebody other than Ann (as " in shown
    assert f"next: they type batch-offboard approve {batch}" in shown
    said = office.run("approve", batch, "--yes", "--json", **BOB).json
    assert (said["granted"], said["approvals"]["missing"], said["plan_sha256"]) == (True, 0, facts.json["plan_sha256"])
    assert f"next: batch-offboard run {batch}" in office.run("run", batch, "--dry-run", **ANN).out


def test_without_the_guard_nothing_needs_an_approval(office: Office, tenant: Tenant) -> None:
    office.configure(tenant)
    devices = tenant.take(1)
    batch = planned(office, devices)
    ended = office.run("approve", batch, "--yes", **BOB)
    assert ended.code == 2
    assert "needs no approval" in ended.sentence
    assert office.run("run", batch, "--yes", **ANN).code == 0


def test_a_rehearsal_needs_an_approval_only_if_its_configuration_is_named(office: Office, devices: list[str]) -> None:
    sheet = office.sheet(devices)
    assert office.run("run", sheet, "--simulate", "--speed", "1000", "--report", "a.csv", **ANN).code == 0
    ended = office.run("run", sheet, "--simulate", "--config", "config.yaml", "--speed", "1000", **ANN)
    assert ended.code == 4
    assert "waits for 1 approval" in ended.last_sentence


def test_the_approver_sees_what_the_plan_sets_aside(office: Office, devices: list[str]) -> None:
    batch = planned(office, devices, "--max-devices", "900")
    ended = office.run("approve", batch, "--yes", **BOB)
    assert "overrides --max-devices 900: instead of guards.max_devices 500" in ended.err
    assert f"Next: batch-offboard run {batch} --max-devices 900" in ended.out


@pytest.mark.skipif(sys.platform == "win32", reason="there is no terminal to be had for a test there")
@pytest.mark.parametrize(("typed", "code"), [(b"3\n", 0), (b"2\n", 4), (b"\n", 4)])
def test_an_approver_types_the_number_of_devices(office: Office, devices: list[str], typed: bytes, code: int) -> None:
    batch = planned(office, devices)
    keyboard, terminal = os.openpty()
    try:
        os.write(keyboard, typed)
        ended = subprocess.run(
            [sys.executable, "-m", "batch_offboard", "approve", batch],
            cwd=office.folder,
            env=office.environ | BOB,
            stdin=terminal,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert ended.returncode == code, ended.stderr
    assert b"Type the number of devices to approve: " in ended.stderr
    assert len(records(office, "approved")) == (code == 0)


def test_without_a_terminal_nobody_approves_by_accident(office: Office, devices: list[str]) -> None:
    ended = office.run("approve", planned(office, devices), **BOB)
    assert ended.code == 4
    assert "There is no terminal to confirm the approval of 3 devices on; nothing was approved." in ended.last_sentence
