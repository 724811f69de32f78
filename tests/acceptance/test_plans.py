"""A plan is made, looked at, and run later: as it was made, for whom it was made, and only while it holds."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Office, Tenant

ANOTHER_TENANT = "33333333-3333-4333-8333-333333333333"


def test_a_plan_sends_nothing_and_can_be_run_by_its_id(office: Office, tenant: Tenant) -> None:
    devices = tenant.take(6)
    office.configure(tenant)
    batch = office.plan(office.sheet(devices))
    assert tenant.called(devices) == []
    ended = office.run("run", batch, "--yes", "--json")
    assert (ended.code, ended.json["batch"]) == (0, batch), ended.err
    assert sorted(tenant.called(devices)) == sorted(devices)


def test_a_plan_whose_sheet_has_changed_is_made_again(office: Office, tenant: Tenant) -> None:
    devices = tenant.take(7)
    office.configure(tenant)
    batch = office.plan(office.sheet(devices[:5]))
    office.sheet(devices[5:])
    ended = office.run("run", batch, "--yes", "--json")
    assert ended.code == 0, ended.err
    assert "devices.csv is planned again: the sheet has changed since." in ended.err
    assert ended.json["batch"] != batch
    assert tenant.called(devices) == devices[5:]


def test_a_plan_of_an_old_sheet_says_so(office: Office) -> None:
    sheet = office.sheet(["c" * 39 + "d"])
    os.utime(office.folder / sheet, (time.time(), time.time() - 45.5 * 86_400))
    planned = office.run("plan", sheet, "--simulate", "--json")
    assert (planned.code, planned.json["notes"][-1][:42]) == (0, "The sheet was last changed 45 days ago; is")


def test_a_plan_names_every_line_that_it_does_not_take(office: Office) -> None:
    lines = ["廃棄端末一覧,", "PC名,デバイスID", f"lt-1,{'c' * 39}d", "合計,1台"]
    (office.folder / "list.csv").write_bytes("\r\n".join(lines).encode("iso2022_jp"))
    planned = office.run("plan", "list.csv", "--id-column", "デバイスID", "--simulate", "--json")
    assert (planned.code, planned.json["rows"]) == (0, 1), planned.err
    assert planned.json["notes"][2:4] == [
        "Ignored above the header in row 2: row 1 '廃棄端末一覧'.",
        "Ignored below the list: row 4 '合計', '1台', a total.",
    ]


@pytest.mark.fault(121, "Another tenant is refused.")
def test_a_plan_of_another_tenant_is_refused(office: Office, tenant: Tenant) -> None:
    devices = tenant.take(1)
    office.configure(tenant)
    batch = office.plan(office.sheet(devices))
    office.configure(tenant, tenant_id=ANOTHER_TENANT)
    ended = office.run("run", batch, "--yes", "--quiet")
    assert ended.code == 2
    assert ANOTHER_TENANT in ended.sentence
    assert tenant.called(devices) == []


def test_what_programs_read_is_utf_8_whatever_the_code_page(office: Office, tenant: Tenant) -> None:
    office.configure(tenant)
    name = office.sheet(tenant.take(1), "Geräte 報告 😀.csv")
    code_page = {"PYTHONIOENCODING": "cp437"}

    assert office.run("plan", name, "--json", **code_page).json["source"]["name"] == name
    assert name in office.run("list", "--json", **code_page).out
