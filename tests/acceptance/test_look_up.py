"""`plan` asks the tenant which devices may be offboarded, by itself or beside others who ask, and sends nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.conftest import Office, Tenant

WINDOWS_11 = {"osPlatform": "Windows11", "version": "24H2", "osBuild": 26100}


def test_a_plan_tells_of_every_device_what_the_tenant_says_and_sends_nothing(
    office: Office, open_tenant: Callable[..., Tenant], invented_devices: Callable[[int, int], list[str]]
) -> None:
    known, [old, away, merged, twin, other, gone] = invented_devices(8, 500), invented_devices(6, 501)
    fleet = [
        {"id": old, "computerDnsName": "old.contoso.example", "osPlatform": "Windows7", "version": "7"},
        {"id": away, "computerDnsName": "away.contoso.example", **WINDOWS_11, "onboardingStatus": "CanBeOnboarded"},
        {"id": merged, "computerDnsName": "merged.contoso.example", **WINDOWS_11, "mergedIntoMachineId": twin},
        {"id": twin, "computerDnsName": "twin.contoso.example", **WINDOWS_11, "healthStatus": "Inactive"},
        {"id": other, "computerDnsName": "twin.fabrikam.example", **WINDOWS_11},
    ]
    (office.folder / "fleet.json").write_text(json.dumps(fleet), encoding="utf-8")
    tenant = open_tenant(known, "--fleet", str(office.folder / "fleet.json"))
    office.configure(tenant)
    rows = [
        (known[0], ""),
        (known[1], f"pc-{known[1][:8]}"),
        ("", f"pc-{known[2][:8]}"),
        (known[3], "another-name"),
        (old, ""),
        (away, ""),
        (merged, ""),
        (twin, ""),
        ("", "twin"),
        (gone, ""),
        (known[0], ""),
        ("1.23E+39", ""),
    ]
    sheet = "\n".join(["Device ID,Device Name", *(",".join(row) for row in rows)])
    (office.folder / "devices.csv").write_text(sheet + "\n", encoding="utf-8")
    ended = office.run("plan", "devices.csv", "--json")
    assert ended.code == 1, ended.err
    assert ended.json["offboard"] == 4
    assert ended.json["skipped"] == {
        "name_mismatch": 1,
        "unsupported_os": 1,
        "not_onboarded": 1,
        "merged": 1,
        "ambiguous_name": 1,
        "not_found": 1,
        "duplicate": 1,
        "invalid_id": 1,
    }
    assert ended.json["tenant"] == {"devices": 13, "onboarded": 11, "in_sheet": 8}
    assert ended.json["cautions"]["inactive"] == {"devices": 1, "rows": [9]}
    [unclear] = ended.json["examples"]["ambiguous_name"]
    assert twin in unclear["detail"]
    assert other in unclear["detail"]
    assert tenant.calls() == []

    ran = office.run("run", ended.json["batch"], "--yes", "--report", "out.csv")
    assert ran.code == 1, ran.err
    assert sorted(tenant.called([*known, old, away, merged, twin, other])) == sorted([*known[:3], twin])


def test_two_plans_at_once_read_one_after_the_other_and_are_both_made(
    office: Office, open_tenant: Callable[..., Tenant], invented_devices: Callable[[int, int], list[str]]
) -> None:
    devices = invented_devices(6, 510)
    tenant = open_tenant(devices, "--fault", "machines/late=1.5")
    office.configure(tenant)
    sheets = [office.sheet(devices[:3], "one.csv"), office.sheet(devices[3:], "two.csv")]
    with office.start("plan", sheets[0], "--json") as one, office.start("plan", sheets[1], "--json") as two:
        ended = [one.ended(), two.ended()]
    assert [(each.code, each.json["offboard"]) for each in ended] == [(0, 3), (0, 3)]
    each_until_a_page_is_empty = ["machines", "machines", "actions"]
    assert [call["operation"] for call in tenant.reads()] == each_until_a_page_is_empty * 2


def test_a_plan_that_is_killed_while_it_reads_leaves_the_next_one_nothing_but_its_call(
    office: Office, open_tenant: Callable[..., Tenant], invented_devices: Callable[[int, int], list[str]]
) -> None:
    devices = invented_devices(3, 520)
    tenant = open_tenant(devices, "--fault", "machines/hang@1")
    office.configure(tenant)
    sheet = office.sheet(devices)
    with office.start("plan", sheet) as killed:
        killed.until(lambda: len(tenant.reads()) == 1, "its first question")
        killed.kill()
    ended = office.run("plan", sheet, "--json")
    assert (ended.code, ended.json["offboard"]) == (0, 3), ended.err
    of_the_second = ["machines", "machines", "actions"]
    assert [call["operation"] for call in tenant.reads()] == ["machines", *of_the_second]
