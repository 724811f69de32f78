"""A sheet against a mixed tenant: every row's decision, computed independently from the tenant's data."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batch_offboard.base.errors import InputError
from batch_offboard.commands import proposing
from batch_offboard.commands.plans import Reading
from batch_offboard.core.jobs import CallOutcome, Verdict
from batch_offboard.core.platforms import Platforms
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.reading import cautions
from batch_offboard.simulator import generate_fleet
from tests.integration.virtual_desk import rows_of
from tests.integration.world import ORIGIN, MovedClock

if TYPE_CHECKING:
    from batch_offboard.simulator import Tenant
    from tests.integration.virtual_desk import VirtualDesk
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

DAY = 86_400.0
DEVICES, SEED = 2000, 11

Machine = dict[str, Any]

# Microsoft's table, written independently: what the API accepts by default, and what two settings add.
DOCUMENTED = {"Windows10", "Windows10WVD", "Windows11", "WindowsServer2019", "WindowsServer2022", "WindowsServer2025"}
TOO_OLD = {"1507", "1511", "1607"}
ADDED = {
    Platforms.STANDARD: set[str](),
    Platforms.UNIFIED_AGENT: {"WindowsServer2016"},  # 2012 R2, too, but the fleet's have an older agent
    Platforms.MACOS_LINUX: {"WindowsServer2016", "macOS", "Linux"},
}


def fleet_of_tenant(devices: int) -> list[Machine]:
    """So many machines of all kinds; always the same ones."""
    return [dict(machine) for machine in generate_fleet(devices, SEED, ORIGIN)]


def is_taken(machine: Machine, platforms: Platforms) -> bool:
    name, version = machine["osPlatform"], machine["version"]
    return name in ADDED[platforms] or (name in DOCUMENTED and version not in TOO_OLD)


def expected_of(machine: Machine, tenant: "Tenant", platforms: Platforms) -> str:
    """The decision on this machine by the tenant's data alone."""
    if machine["mergedIntoMachineId"]:
        return "merged"
    if machine["onboardingStatus"] != "Onboarded":
        return "not_onboarded"
    if not is_taken(machine, platforms):
        return "unsupported_os"
    theirs = [action for action in tenant.actions.values() if action.machine_id == machine["id"]]
    return (
        "already_pending" if any(action.type == "Offboard" and action.is_open(ORIGIN + 1) for action in theirs) else ""
    )


def act_for_others(tenant: "Tenant", fleet: Sequence[Machine]) -> None:
    """Other users' actions: open ones, ones that succeeded long ago, and one of another kind."""
    for machine in fleet[::9]:
        tenant.start(machine["id"], "leaver", ORIGIN - 1, requestor="ann@contoso.example")
    for machine in fleet[4::9]:
        tenant.start(machine["id"], "leaver", ORIGIN - 40 * DAY, requestor="ann@contoso.example")
    for machine in fleet[2::9]:
        tenant.start(machine["id"], "scan", ORIGIN - 1, requestor="ann@contoso.example", kind="RunAntiVirusScan")


def accepted_before(world: "World", fleet: Sequence[Machine]) -> None:
    """An earlier batch: the first of these was accepted, the second is in doubt, the third was refused."""
    earlier = world.add([machine["id"] for machine in fleet], "earlier")
    ends = [CallOutcome(Verdict.SUBMITTED, 201, "action-of-old", "Pending"), CallOutcome(Verdict.IN_DOUBT)]
    for row, outcome in enumerate([*ends, CallOutcome(Verdict.FAILED, 404, code="NotFound")], 2):
        at = MovedClock().now()
        world.journal.commit([Start(earlier.key, earlier.scope_key, row, 1, at)], [])
        world.journal.commit([], [End(earlier.key, earlier.scope_key, row, 1, at, outcome)])


async def decisions(world: "World", desk: "VirtualDesk", sheet: Path) -> tuple[str, list[str]]:
    """The batch, and each row's reason or nothing, in the sheet's order."""
    view = await proposing.plan(desk, sheet, Reading())
    return view.batch.batch_id, [row.error_code for row in world.report(view.batch)]


@pytest.mark.parametrize("platforms", list(Platforms))
async def test_every_device_of_a_mixed_tenant_is_decided_by_what_the_tenant_says_of_it(
    world: "World", desk_at: "Callable[..., VirtualDesk]", tmp_path: Path, platforms: Platforms
) -> None:
    fleet = fleet_of_tenant(DEVICES)
    async with world.tenant(fleet, page_size=700) as simulator:
        act_for_others(simulator.tenant, fleet)
        desk = desk_at(simulator.url, platforms=platforms)
        sheet = rows_of(tmp_path / "all.csv", [[machine["id"].upper(), ""] for machine in fleet])
        _, found = await decisions(world, desk, sheet)
        expected = [expected_of(machine, simulator.tenant, platforms) for machine in fleet]
    wrong = [
        (machine["osPlatform"], machine["version"], was, should)
        for machine, was, should in zip(fleet, found, expected, strict=True)
        if was != should
    ]
    assert wrong == []
    assert set(expected) == {"", "merged", "not_onboarded", "unsupported_os", "already_pending"}
    assert {call.method for call in simulator.tenant.calls} == {"GET"}
    assert len(simulator.tenant.calls) == (3 + 1) + (1 + 1)
    world.check([], simulator.tenant)


def namesakes(fleet: Sequence[Machine]) -> tuple[list[Machine], list[list[Machine]]]:
    """Machines with a unique name, and groups that share one."""
    by_name: dict[str, list[Machine]] = defaultdict(list)
    for machine in fleet:
        by_name[machine["computerDnsName"].partition(".")[0]].append(machine)
    alone = [group[0] for group in by_name.values() if len(group) == 1]
    return alone, [group for group in by_name.values() if len(group) > 1]


async def test_a_sheet_with_every_reason_in_it_is_decided_right(
    world: "World", desk_at: "Callable[..., VirtualDesk]", tmp_path: Path
) -> None:
    fleet = fleet_of_tenant(DEVICES)
    async with world.tenant(fleet) as simulator:
        tenant = simulator.tenant
        alone, groups = namesakes(fleet)
        good = [each for each in alone if expected_of(each, tenant, Platforms.STANDARD) == ""]
        accepted_before(world, good[:3])
        tenant.start(good[3]["id"], "leaver", ORIGIN - 1)
        old = [each for each in alone if expected_of(each, tenant, Platforms.STANDARD) == "unsupported_os"]
        away = [each for each in alone if expected_of(each, tenant, Platforms.STANDARD) == "not_onboarded"]
        [merged, into] = next(group for group in groups if group[1]["mergedIntoMachineId"])
        twins = next(group for group in groups if not any(each["mergedIntoMachineId"] for each in group))
        name = [each["computerDnsName"] for each in good]
        label = [each.partition(".")[0] for each in name]
        unknown = hashlib.sha1(b"nobody", usedforsecurity=False).hexdigest()
        rows = {
            (good[0]["id"], ""): "already_offboarded",
            (good[1]["id"], ""): "already_pending",
            (good[2]["id"], ""): "",
            (good[3]["id"], name[3]): "already_pending",
            (good[4]["id"].upper(), name[4].upper()): "",
            (good[5]["id"], label[5]): "",
            (good[6]["id"], label[6] + ".another.example"): "name_mismatch",
            (good[7]["id"], name[8]): "name_mismatch",
            ("", name[9]): "",
            ("", label[10].upper()): "",
            ("", label[11] + ".another.example"): "not_found",
            ("", "no-such-computer"): "not_found",
            ("", twins[0]["computerDnsName"]): "ambiguous_name",
            ("", merged["computerDnsName"].partition(".")[0]): "ambiguous_name",
            (unknown, ""): "not_found",
            (unknown[:39], ""): "invalid_id",
            ("0b0f6f0e-52a1-4f0c-9a63-3a5d6a1c7e90", name[12]): "invalid_id",
            ("1.23E+39", ""): "invalid_id",
            (old[0]["id"], old[0]["computerDnsName"]): "unsupported_os",
            ("", old[1]["computerDnsName"]): "unsupported_os",
            (away[0]["id"], ""): "not_onboarded",
            ("", away[1]["computerDnsName"]): "not_onboarded",
            (into["id"], ""): "merged",
            (good[4]["id"], ""): "duplicate",
            ("", name[5]): "duplicate",
            (good[9]["id"], ""): "duplicate",
            (good[13]["id"], label[13]): "name_mismatch",
            (good[13]["id"], label[14]): "name_mismatch",
        }
        desk = desk_at(simulator.url)
        batch, found = await decisions(world, desk, rows_of(tmp_path / "all.csv", list(rows)))
    assert dict(zip(rows, found, strict=True)) == rows
    report = world.report(world.batch(batch))
    assert [report[7 + 1].device_id, report[7 + 2].device_id] == [good[9]["id"], good[10]["id"]]
    assert all(each["id"] in report[12].error_message for each in twins)
    assert name[7] in report[7].error_message
    assert {call.method for call in simulator.tenant.calls} == {"GET"}


@pytest.mark.parametrize("header", ["Computer", "Host"])
async def test_a_header_that_is_a_device_of_the_tenant_refuses_a_list_of_names(
    world: "World", desk_at: "Callable[..., VirtualDesk]", tmp_path: Path, header: str
) -> None:
    fleet = fleet_of_tenant(20)
    fleet[0]["computerDnsName"] = "computer.contoso.example"
    names = [[machine["computerDnsName"]] for machine in fleet[1:5]]
    async with world.tenant(fleet) as simulator:
        desk = desk_at(simulator.url)
        sheet = rows_of(tmp_path / "names.csv", names, [header])
        if header == "Host":
            await decisions(world, desk, sheet)
        else:
            with pytest.raises(InputError, match=r"The header 'Computer' of .* is the name of a device"):
                await decisions(world, desk, sheet)


async def test_what_is_worth_knowing_of_the_devices_is_counted(
    world: "World", desk_at: "Callable[..., VirtualDesk]", tmp_path: Path
) -> None:
    fleet = fleet_of_tenant(DEVICES)
    async with world.tenant(fleet) as simulator:
        act_for_others(simulator.tenant, fleet)
        sheet = rows_of(tmp_path / "all.csv", [[machine["id"], ""] for machine in fleet])
        batch, found = await decisions(world, desk_at(simulator.url), sheet)
        sent = [machine for machine, reason in zip(fleet, found, strict=True) if not reason]
        done = {
            action.machine_id
            for action in simulator.tenant.actions.values()
            if action.type == "Offboard" and action.status(ORIGIN) == "Succeeded"
        }
    recent = [machine for machine in sent if machine["lastSeen"] >= "2026-11-17T06:40:18"]  # a week before the look-up
    counted = {
        "seen_recently": len(recent),
        "inactive": sum(machine["healthStatus"] == "Inactive" for machine in sent),
        "defender_for_cloud": sum(machine["vmMetadata"] is not None for machine in sent),
        "offboarded_before": sum(machine["id"] in done for machine in sent),
    }
    findings, key = world.batch(batch).findings, world.batch(batch).key
    assert {caution: each.devices for caution, each in cautions(world.journal, key).items()} == counted
    assert min(counted.values()) > 0
    assert findings["tenant"]["devices"] == DEVICES
    onboarded = [each for each in fleet if each["onboardingStatus"] == "Onboarded" and not each["mergedIntoMachineId"]]
    assert findings["tenant"]["onboarded"] == len(onboarded)


@pytest.mark.parametrize("rows", [50, 50_000])
async def test_a_sheet_costs_the_same_calls_whatever_its_size(
    world: "World", desk_at: "Callable[..., VirtualDesk]", tmp_path: Path, rows: int
) -> None:
    fleet = fleet_of_tenant(300)
    async with world.tenant(fleet, page_size=100) as simulator:
        act_for_others(simulator.tenant, fleet)
        others = [[hashlib.sha1(b"%d" % row, usedforsecurity=False).hexdigest(), ""] for row in range(rows)]
        sheet = rows_of(tmp_path / "all.csv", [[machine["id"], ""] for machine in fleet[:40]] + others[40:])
        desk = desk_at(simulator.url)
        view = await proposing.plan(desk, sheet, Reading())
    assert view.counts.rows == rows
    assert [call.operation for call in simulator.tenant.calls] == ["machines"] * 4 + ["actions"] * 2
