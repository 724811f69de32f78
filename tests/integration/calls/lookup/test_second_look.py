"""The look-up before sending: devices that changed since the plan, and a tenant that is unavailable."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.commands import proposing, run
from batch_offboard.commands.plans import Reading
from batch_offboard.config.places import lock_folder
from batch_offboard.core.brakes import Halt
from batch_offboard.core.jobs import JobState
from batch_offboard.journal.locks import only_process, reading_lock
from batch_offboard.reports.rows import Outcome
from batch_offboard.simulator import Pace, fleet_of
from tests import commands
from tests.integration.virtual_desk import rows_of
from tests.integration.world import ORIGIN, SCOPE, device

if TYPE_CHECKING:
    from batch_offboard.simulator import Tenant
    from tests.integration.virtual_desk import VirtualDesk
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

DEVICES = 7


def gone(tenant: "Tenant") -> None:
    machine = tenant._machines.pop(device(6))
    tenant._in_order = tuple(each for each in tenant._in_order if each is not machine)


def offboarded(tenant: "Tenant") -> None:
    tenant.start(device(6), "leaver", ORIGIN + asyncio.get_running_loop().time(), requestor="ann@contoso.example")


def merged(tenant: "Tenant") -> None:
    tenant._machines[device(6)]["mergedIntoMachineId"] = device(0)


def left(tenant: "Tenant") -> None:
    tenant._machines[device(6)]["onboardingStatus"] = "CanBeOnboarded"


CHANGES = [
    (gone, "not_found", "no longer in the tenant"),
    (offboarded, "already_pending", "ann@contoso.example"),
    (merged, "merged", device(0)),
    (left, "not_onboarded", "CanBeOnboarded"),
]


@pytest.mark.parametrize(("change", "reason", "words"), CHANGES)
async def test_a_plan_that_has_waited_is_looked_up_again_and_what_has_changed_is_skipped(
    world: "World", change: "Callable[[Tenant], None]", reason: str, words: str
) -> None:
    batch = world.add(range(DEVICES), looked_up_at=ORIGIN)
    await asyncio.sleep(901)
    async with world.tenant(DEVICES) as simulator:
        change(simulator.tenant)
        assert await world.work(batch, simulator.url, look=True) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES - 1, Outcome.SKIPPED: 1}
    last = world.report(batch)[-1]
    assert (last.error_code, words in last.error_message) == (reason, True)
    assert device(6) not in [call.device_id for call in simulator.tenant.calls]
    assert world.batch(batch.batch_id).looked_up_at == pytest.approx(ORIGIN + 901, abs=3)
    assert "1 device is skipped because the tenant has changed since the plan was made." in world.ears.said_so_far
    world.check([batch], simulator.tenant)


@pytest.mark.parametrize(("change", "reason", "words"), CHANGES)
async def test_a_plan_that_was_looked_up_just_now_is_believed(
    world: "World", change: "Callable[[Tenant], None]", reason: str, words: str
) -> None:
    batch = world.add(range(DEVICES), looked_up_at=ORIGIN)
    await asyncio.sleep(898)
    async with world.tenant(DEVICES) as simulator:
        change(simulator.tenant)
        await world.work(batch, simulator.url, look=True)
    assert "machines" not in {call.operation for call in simulator.tenant.calls}
    assert device(6) in [call.device_id for call in simulator.tenant.calls]
    world.check([batch], simulator.tenant)


async def test_a_tenant_that_lists_no_devices_any_more_is_sent_nothing_and_speaks_against_nobody(
    world: "World",
) -> None:
    batch = world.add(range(DEVICES), looked_up_at=ORIGIN)
    await asyncio.sleep(901)
    async with world.tenant(0) as simulator:
        halt = await world.work(batch, simulator.url, look=True)
    assert halt is not None
    assert (halt.exit_code, halt.held) == (ExitCode.USAGE, False)
    assert "lists no devices at all" in halt.reason
    assert world.outcomes(batch) == {Outcome.PENDING: DEVICES}
    assert {call.group for call in simulator.tenant.calls} == {"read"}


@pytest.mark.parametrize("looked_up_at", [ORIGIN + 3600, None])
async def test_a_look_up_of_another_time_or_of_none_is_made_again(world: "World", looked_up_at: float | None) -> None:
    batch = world.add(range(DEVICES), looked_up_at=looked_up_at)
    async with world.tenant(DEVICES) as simulator:
        await world.work(batch, simulator.url, look=True)
    first = [call.operation for call in simulator.tenant.calls[:5]]
    assert first == ["actions", "machines", "machines", "actions", "offboard"]


async def test_a_batch_that_wants_no_look_up_gets_none(world: "World") -> None:
    batch = world.add(range(DEVICES), looked_up_at=None, lookup_wanted=False)
    async with world.tenant(DEVICES - 1) as simulator:
        await world.work(batch, simulator.url, look=True)
    assert "machines" not in {call.operation for call in simulator.tenant.calls}
    assert world.outcomes(batch) == {Outcome.SUBMITTED: 6, Outcome.FAILED: 1}


async def test_nothing_is_sent_before_the_look_up_has_ended(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, "machines/500@1-3", latency=(1.0, 2.0)) as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
    operations = [call.operation for call in simulator.tenant.calls]
    assert operations.index("offboard") > max(at for at, each in enumerate(operations) if each == "machines")
    world.check([batch], simulator.tenant)


@pytest.mark.parametrize(
    ("fault", "exit_code", "words"),
    [
        ("machines/500", ExitCode.UNFINISHED, "could not be read"),
        ("actions/html", ExitCode.UNFINISHED, "could not be read"),
        ("machines/401", ExitCode.SIGN_IN, "access token"),
        ("machines/foreign-link", ExitCode.REFUSED, "another host"),
    ],
)
async def test_a_tenant_that_cannot_be_looked_up_stops_the_run_before_the_first_call(
    world: "World", fault: str, exit_code: ExitCode, words: str
) -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, fault) as simulator:
        halt = await world.work(batch, simulator.url, look=True)
    assert halt is not None
    assert (halt.exit_code, words in halt.reason) == (exit_code, True), halt
    assert world.outcomes(batch) == {Outcome.PENDING: DEVICES}
    assert {call.method for call in simulator.tenant.calls} == {"GET"}
    assert world.batch(batch.batch_id).state.word == "stopped"
    world.check([batch], simulator.tenant)


async def test_a_network_that_is_away_leaves_a_plan_and_a_run_that_waits_for_it(
    world: "World", desk_at: "Callable[..., VirtualDesk]", tmp_path: Path
) -> None:
    sheet = rows_of(tmp_path / "all.csv", [[device(number), ""] for number in range(DEVICES)])
    async with world.tenant(0) as closed:
        url = closed.url
    away = desk_at(url)
    view = await proposing.plan(away, sheet, Reading())
    assert (view.counts.rows, view.batch.looked_up_at) == (DEVICES, None)
    assert "cannot be reached" in view.batch.findings["not_looked_up"]

    report = tmp_path / "out.csv"
    ended = await commands.run_batch(away, view.batch.batch_id, [report], away.talk)
    assert ended.exit_code is ExitCode.UNFINISHED
    assert ended.halt is not None
    assert "cannot be reached" in ended.halt.reason
    assert report.read_text(encoding="utf-8-sig").count(",pending,") == DEVICES

    async with world.tenant(DEVICES) as simulator:
        there = desk_at(simulator.url)
        resumed = await run.resume(there, None, [report], there.talk)
        assert resumed.exit_code is ExitCode.OK
    assert report.read_text(encoding="utf-8-sig").count(",submitted,") == DEVICES
    assert [call.operation for call in simulator.tenant.calls][:4] == ["actions", "machines", "machines", "actions"]
    world.check([view.batch], simulator.tenant)


async def test_a_tenant_that_may_not_be_read_is_planned_by_ids_and_a_name_alone_is_refused(
    world: "World", desk_at: "Callable[..., VirtualDesk]", tmp_path: Path
) -> None:
    sheet = rows_of(tmp_path / "all.csv", [[device(0), ""], ["", "lt-1"]])
    async with world.tenant(2, permissions=frozenset({"Machine.Offboard"})) as simulator:
        desk = desk_at(simulator.url)
        ended = await commands.run_sheet(desk, sheet, Reading(), [tmp_path / "out.csv"], desk.talk)
    assert ended.exit_code is ExitCode.ROWS_FAILED
    assert "Machine.Read.All" in world.batch(ended.batch.batch_id).findings["not_looked_up"]
    assert [(row.outcome, row.error_code) for row in world.report(ended.batch)] == [
        (Outcome.SUBMITTED, ""),
        (Outcome.SKIPPED, "invalid_id"),
    ]
    assert [call.method for call in simulator.tenant.calls] == ["GET", "POST"]


async def test_machines_are_used_where_only_their_actions_may_not_be_read(
    world: "World", desk_at: "Callable[..., VirtualDesk]", tmp_path: Path
) -> None:
    sheet = rows_of(tmp_path / "all.csv", [[device(0), ""], ["", "lt-1"], [device(77), ""]])
    tenant = fleet_of([(device(0), None), (device(1), "lt-1")], 0, ORIGIN)
    async with world.tenant(tenant, "actions/403=Forbidden") as simulator:
        desk = desk_at(simulator.url)
        ended = await commands.run_sheet(desk, sheet, Reading(), [tmp_path / "out.csv"], desk.talk)
    assert [(row.outcome, row.error_code) for row in world.report(ended.batch)] == [
        (Outcome.SUBMITTED, ""),
        (Outcome.SUBMITTED, ""),
        (Outcome.SKIPPED, "not_found"),
    ]
    findings = world.batch(ended.batch.batch_id).findings
    assert not findings.get("not_looked_up")
    assert "the tenant's machine actions" in findings["actions_not_read"]
    assert [call.operation for call in simulator.tenant.calls] == ["machines"] * 2 + ["actions"] + ["offboard"] * 2


async def test_a_plan_looked_up_again_uses_machines_whose_actions_may_not_be_read(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES - 1, "actions/403=Forbidden") as simulator:
        assert await world.work(batch, simulator.url, look=True) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES - 1, Outcome.SKIPPED: 1}
    said = [text for text in world.ears.said_so_far if "machine actions" in text]
    assert len(said) == 1
    assert said[0].startswith(
        "The machine actions were not read: the API does not permit reading the tenant's machine actions"
    )
    assert "although devices can be read, which needs the same permission" in said[0]
    assert "grant" not in said[0]


async def test_without_a_look_up_the_tenant_is_not_read_before_it_is_sent_to(
    world: "World", desk_at: "Callable[..., VirtualDesk]", tmp_path: Path
) -> None:
    sheet = rows_of(tmp_path / "all.csv", [[device(number), ""] for number in range(DEVICES)])
    async with world.tenant(DEVICES) as simulator:
        desk = desk_at(simulator.url, lookup=False)
        ended = await commands.run_sheet(desk, sheet, Reading(), [tmp_path / "out.csv"], desk.talk)
    assert ended.exit_code is ExitCode.OK
    assert [call.operation for call in simulator.tenant.calls] == ["offboard"] * DEVICES + ["actions"] * 2


async def test_ctrl_c_ends_the_look_before_sending_at_once(
    world: "World", interrupted: "Callable[..., Awaitable[Halt | None]]"
) -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, "machines/hang") as simulator:
        halt = await interrupted(world.work(batch, simulator.url, look=True), 10.0)
    assert halt is not None
    assert halt.exit_code is ExitCode.UNFINISHED
    assert asyncio.get_running_loop().time() < 11
    assert world.outcomes(batch) == {Outcome.PENDING: DEVICES}
    world.check([batch], simulator.tenant)


async def test_who_is_in_a_hurry_gets_no_closing_look(
    world: "World", interrupted: "Callable[..., Awaitable[Halt | None]]"
) -> None:
    batch = world.add(range(DEVICES), looked_up_at=ORIGIN)
    async with world.tenant(DEVICES, "500-after@6", f"429=60:{device(DEVICES - 1)}@1") as simulator:
        await interrupted(world.work(batch, simulator.url, look=True), 30.0)
    assert [call.operation for call in simulator.tenant.calls if call.method == "GET"] == ["actions"]
    assert world.outcomes(batch)[Outcome.IN_DOUBT] == 1
    world.check([batch], simulator.tenant)


async def test_a_plan_learns_what_became_of_earlier_actions(
    world: "World", desk_at: "Callable[..., VirtualDesk]", tmp_path: Path
) -> None:
    sheet = rows_of(tmp_path / "all.csv", [[device(number), ""] for number in range(DEVICES)])
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES, pace=Pace(failed=1.0)) as simulator:
        await world.work(batch, simulator.url)
        await asyncio.sleep(600)
        desk = desk_at(simulator.url)
        view = await proposing.plan(desk, sheet, Reading())
    assert {row.action_status for row in world.report(batch)} == {"Failed"}
    assert view.counts.of(JobState.PENDING) == DEVICES


async def test_a_plan_is_made_although_another_reads_the_tenant_for_long(
    world: "World", desk_at: "Callable[..., VirtualDesk]", tmp_path: Path
) -> None:
    sheet = rows_of(tmp_path / "all.csv", [[device(number), ""] for number in range(DEVICES)])
    async with world.tenant(DEVICES) as simulator:
        desk = desk_at(simulator.url)
        with only_process([reading_lock(lock_folder(), SCOPE)], "reading it", 1_795_508_131.0):
            view = await proposing.plan(desk, sheet, Reading())
    assert view.counts.of(JobState.PENDING) == DEVICES
    assert "reading it, since 2026-11-24 09:15:31+01:00" in view.batch.findings["not_looked_up"]
    assert simulator.tenant.calls == []
