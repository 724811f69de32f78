"""Devices that were offboarded and came back: the tenant's current data decides, and nothing is sent twice."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.cli.screens.texts import plan_text
from batch_offboard.commands import proposing, views
from batch_offboard.commands.plans import Reading
from batch_offboard.core.jobs import JobState
from batch_offboard.journal.lives import life_of
from batch_offboard.reports.rows import Outcome
from batch_offboard.simulator import Pace
from batch_offboard.simulator.timestamps import stamp
from tests import commands
from tests.integration.virtual_desk import rows_of
from tests.integration.world import ORIGIN, device

if TYPE_CHECKING:
    from batch_offboard.commands.views import PlanView, RunView
    from batch_offboard.simulator import RunningSimulator, Tenant
    from tests.integration.virtual_desk import VirtualDesk
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

DAY = 86_400.0
DEVICES = 6
BACK = 2  # of the devices came back

DeskAt = Callable[..., "VirtualDesk"]


def seen_now(tenant: "Tenant", *numbers: int) -> None:
    """A policy has onboarded these devices again, and they have just reported."""
    for number in numbers:
        tenant._machines[device(number)]["lastSeen"] = stamp(ORIGIN + asyncio.get_running_loop().time())


async def weeks_after_a_run(world: "World", simulator: "RunningSimulator") -> None:
    assert await world.work(world.add(range(DEVICES), "earlier"), simulator.url, look=True) is None
    await asyncio.sleep(20 * DAY)
    simulator.tenant.calls.clear()


def sheet_of(folder: Path) -> Path:
    return rows_of(folder / "leavers.csv", [[device(number), ""] for number in range(DEVICES)])


async def planned(desk: "VirtualDesk") -> "PlanView":
    return await proposing.plan(desk, sheet_of(desk.options.cwd), Reading())


async def run_of(desk: "VirtualDesk", view: "PlanView") -> "RunView":
    return await commands.run_batch(desk, view.batch.batch_id, [], desk.talk)


def sent(tenant: "Tenant") -> list[str | None]:
    return [call.device_id for call in tenant.calls if call.operation == "offboard"]


async def test_devices_that_came_back_are_offboarded_again_and_the_others_are_left_alone(
    world: "World", desk_at: DeskAt
) -> None:
    async with world.tenant(DEVICES) as simulator:
        await weeks_after_a_run(world, simulator)
        seen_now(simulator.tenant, 1, 4)
        desk = desk_at(simulator.url)
        view = await planned(desk)
        ended = await run_of(desk, view)
    assert sent(simulator.tenant) == [device(1), device(4)]
    assert ended.exit_code is ExitCode.OK
    report = world.report(view.batch)
    assert [row.outcome for row in report].count(Outcome.SUBMITTED) == BACK
    assert {row.error_code for row in report} == {"", "already_offboarded"}
    note = "Offboarded on 2026-11-24 (batch earlier, row 3), back since 2026-12-14 at the latest; sent again."
    assert report[1].error_message == note
    life = life_of(world.journal, view.batch.key, 3)
    assert life is not None
    assert life.note == note
    text = plan_text(view)
    assert f"{BACK:>9}  of these were sent before and are sent again (rows 3, 6)" in text
    assert f"row 3: {note}" in text


async def test_what_another_batch_sends_after_the_plan_is_not_sent_again(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(DEVICES, pace=Pace(pick_up=(0, 0), work=(1, 1))) as simulator:
        await weeks_after_a_run(world, simulator)
        seen_now(simulator.tenant, 1, 4)
        desk = desk_at(simulator.url)
        one, two = await planned(desk), await planned(desk)
        assert [view.counts.of(JobState.PENDING) for view in (one, two)] == [BACK, BACK]
        assert (await run_of(desk, two)).exit_code is ExitCode.OK
        assert (await run_of(desk, one)).exit_code is ExitCode.OK
    assert sent(simulator.tenant) == [device(1), device(4)]
    assert [row.error_code for row in world.report(one.batch)] == ["already_offboarded"] * DEVICES


async def test_a_device_that_came_back_twice_is_offboarded_three_times(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(DEVICES) as simulator:
        await weeks_after_a_run(world, simulator)
        for _ in range(2):
            seen_now(simulator.tenant, 1)
            desk = desk_at(simulator.url)
            for expected in (1, 0):  # when it was sent, it is not sent again before it comes back
                view = await planned(desk)
                assert view.counts.of(JobState.PENDING) == expected
                await run_of(desk, view)
                await asyncio.sleep(5 * DAY)
    assert sent(simulator.tenant) == [device(1)] * 2


@pytest.mark.parametrize("how", ["not asked", "not allowed"])
async def test_where_the_tenant_cannot_be_asked_the_rows_need_attention_until_somebody_says_to_send_them(
    world: "World", desk_at: DeskAt, how: str
) -> None:
    permissions = frozenset({"Machine.Offboard"}) if how == "not allowed" else None
    async with world.tenant(DEVICES, permissions=permissions) as simulator:
        await weeks_after_a_run(world, simulator)
        desk = desk_at(simulator.url, lookup=how == "not allowed")
        view = await planned(desk)
        assert view.counts.skipped == {"offboarded_before": DEVICES}
        assert views.exit_code_of_plan(view) is ExitCode.ROWS_FAILED
        assert sent(simulator.tenant) == []

        desk.options = replace(desk.options, offboard_again=True)
        view = await planned(desk)
        desk.options = replace(desk.options, offboard_again=False)  # the plan keeps it
        ended = await run_of(desk, view)
    assert ended.exit_code is ExitCode.OK
    assert sent(simulator.tenant) == [device(number) for number in range(DEVICES)]
    batch = world.batch(view.batch.batch_id)
    assert "--offboard-again: devices that were offboarded before were taken as well" in batch.findings["overrides"]


async def test_a_plan_that_is_made_again_keeps_what_was_said_of_it(world: "World", desk_at: DeskAt) -> None:
    async with world.tenant(DEVICES) as simulator:
        await weeks_after_a_run(world, simulator)
        desk = desk_at(simulator.url, lookup=False)
        desk.options = replace(desk.options, offboard_again=True)
        view = await planned(desk)
        await asyncio.sleep(2 * DAY)
        desk.options = replace(desk.options, offboard_again=False)
        ended = await run_of(desk, view)
    assert ended.batch.batch_id != view.batch.batch_id
    assert len(sent(simulator.tenant)) == DEVICES
