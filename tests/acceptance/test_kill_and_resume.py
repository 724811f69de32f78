"""`kill -9` at any moment, `resume`, and again, until the batch is finished: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.acceptance.conftest import Ended, Office, Program, Table, Tenant

KILLS = int(os.environ.get("OFFBOARD_TEST_KILLS", "8"))  # more of them for a long run, say 500
LONG_RUN = "OFFBOARD_TEST_KILLS" in os.environ

REPORT = ("--report", "out.csv")


def await_kill(program: Program, tenant: Tenant, draw: Random) -> None:
    """Wait for the moment: so many calls later, or at any time after the start, before the first call too."""
    if draw.random() < 0.4:
        program.ends_within(draw.uniform(0.05, 0.8))
        return
    enough = len(tenant.calls()) + draw.randrange(12)
    program.until(lambda: len(tenant.calls()) >= enough or not program.running, f"call {enough}")


def work_and_die(office: Office, sheet: str, tenant: Tenant, draw: Random) -> int:
    """Kill one process after another that works on the sheet's batch; returns how many were alive to be killed."""
    with office.start("run", sheet, "--yes", *REPORT) as program:
        program.until(lambda: bool(tenant.calls()), "the first call")
    died = 1
    for _ in range(KILLS - 1):
        with office.start("resume", *REPORT) as program:
            await_kill(program, tenant, draw)
            died += program.running
    return died


def resume_to_the_end(office: Office) -> Ended:
    ended = office.run("resume", *REPORT)
    assert "pending" not in {row["outcome"] for row in office.report("out.csv")}, ended.err
    return ended


def assert_nothing_lost_or_sent_twice(tenant: Tenant, devices: Sequence[str], report: Table) -> None:
    called, given = tenant.called(devices), tenant.actions()
    assert len(called) == len(set(called)), "a device was sent twice"
    assert [row["device_id"] for row in report] == list(devices)
    assert [int(row["row"]) for row in report] == list(range(2, len(devices) + 2))
    for row in report:
        device, outcome = row["device_id"], row["outcome"]
        assert outcome in {"submitted", "in_doubt", "pending"}
        if outcome == "submitted":
            assert row["machine_action_id"] == given[device]
        if outcome == "pending":
            assert device not in called
        if device in given and outcome != "submitted":
            assert outcome == "in_doubt", "an accepted action is neither in the report nor in doubt"


def fullest(times: Sequence[float], period: float) -> int:
    """The most calls in any stretch of so many seconds."""
    ordered = sorted(times)
    return max((sum(start <= time < start + period for time in ordered) for start in ordered), default=0)


@pytest.mark.fault(
    12,
    "Every row is reported, no device is sent twice, no action lacks its row.",
)
@pytest.mark.fault(22, "A kill like any other.")
@pytest.mark.parametrize("seed", [1])
def test_a_run_that_is_killed_again_and_again_loses_nothing_and_sends_nothing_twice(
    office: Office,
    open_tenant: Callable[..., Tenant],
    invented_devices: Callable[[int, int], list[str]],
    record_property: Callable[[str, object], None],
    seed: int,
) -> None:
    devices = invented_devices(20 * KILLS, 100 + seed)
    tenant = open_tenant(devices, "--latency", "0.02-0.2", "--per-minute", "10000", "--per-hour", "10000")
    office.configure(tenant, guards={"max_devices": len(devices), "max_fleet_percent": 100})
    died = work_and_die(office, office.sheet(devices), tenant, Random(seed))  # noqa: S311  # repeatable
    record_property("killed", died)
    ended = resume_to_the_end(office)
    report = office.report("out.csv")
    assert died >= KILLS // 2, "the processes ended before they could be killed; give them more devices"
    assert_nothing_lost_or_sent_twice(tenant, devices, report)
    doubtful = sum(row["outcome"] == "in_doubt" for row in report)
    assert ended.code == (3 if doubtful else 0)
    assert doubtful <= 8 * died
    assert {call["status"] for call in tenant.calls()} <= {201, None}
    assert office.run("audit", "verify").code == 0


@pytest.mark.fault(12, "No window is overfull.")
@pytest.mark.parametrize(("quota", "window"), [((15, 1000), "minute"), ((1000, 15), "hour")])
def test_no_window_is_ever_overfull_however_often_the_program_is_killed(
    office: Office,
    open_tenant: Callable[..., Tenant],
    invented_devices: Callable[[int, int], list[str]],
    quota: tuple[int, int],
    window: str,
) -> None:
    per_minute, per_hour = quota
    devices = invented_devices(30, 200)
    allowed = ("--per-minute", str(per_minute), "--per-hour", str(per_hour))
    tenant = open_tenant(devices, "--latency", "0.02-0.2", *allowed)
    office.configure(tenant, quota={"per_minute": per_minute, "per_hour": per_hour, "burst": 15})
    with office.start("run", office.sheet(devices), "--yes", *REPORT) as program:
        program.until(lambda: len(tenant.calls()) >= 9, "some calls")
    with office.start("resume") as program:
        program.until(lambda: len(tenant.calls()) == 15, "the last calls that there are")
    with office.start("resume") as program:
        program.until(lambda: " waiting for " in program.said(), "what it waits for")
        assert f"waiting for a slot of the {window} quota" in program.said()
        assert "15 left" in program.said()
    times = [call["at"] for call in tenant.calls()]
    assert fullest(times, 60) <= per_minute
    assert fullest(times, 3600) <= per_hour
    assert 429 not in {call["status"] for call in tenant.calls()}
    if LONG_RUN and window == "minute":
        resume_to_the_end(office)
        assert fullest([call["at"] for call in tenant.calls()], 60) <= per_minute


@pytest.mark.fault(8, "The plan is there with all its rows, or not at all.")
def test_a_plan_that_is_killed_is_saved_wholly_or_not_at_all(
    office: Office, tenant: Tenant, invented_devices: Callable[[int, int], list[str]]
) -> None:
    devices = invented_devices(20_000, 300)
    office.configure(tenant)
    sheet, draw = office.sheet(devices), Random(4)  # noqa: S311  # repeatable moments
    for _ in range(2):
        with office.start("plan", sheet) as program:
            program.ends_within(draw.uniform(0.6, 1.8))
    found = office.run("list", "--json").json
    assert [batch["rows"] for batch in found] == [20_000] * len(found)
    assert tenant.called(devices) == []
