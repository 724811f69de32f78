"""Each fault of the embedded tenant, and how client and rules classify it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from batch_offboard.core.jobs import Alarm, CallOutcome, Verdict
from batch_offboard.simulator import RunningSimulator, SimulatorOptions, fleet_of, running_simulator

if TYPE_CHECKING:
    from tests.integration.defender.client.conftest import Caller

pytestmark = pytest.mark.looptime

DEVICE = "a" * 40
NOW = 1_795_500_000.0


@asynccontextmanager
async def faulty(*faults: str) -> AsyncIterator[RunningSimulator]:
    options = SimulatorOptions(latency=(0.05, 0.2), faults=faults)
    loop = asyncio.get_running_loop()
    async with running_simulator(fleet_of([(DEVICE, None)], 0, NOW), options, lambda: NOW + loop.time()) as simulator:
        yield simulator


async def met(call: "Caller", fault: str) -> CallOutcome:
    """One call with the fault; exactly one request must have been received."""
    async with faulty(fault) as simulator:
        outcome = await call(simulator.url)
        assert len(simulator.tenant.calls) == 1, "not one request for one call"
    return outcome


@pytest.mark.fault(80, "Read where it is clear, else in doubt.", case="garbage=deep")
@pytest.mark.fault(81, "Cut at a mebibyte after decompression, in doubt.", case="huge=gzip")
@pytest.mark.parametrize(
    ("fault", "verdict", "code"),
    [
        ("reset", Verdict.IN_DOUBT, "NoAnswer"),
        ("reset-after", Verdict.IN_DOUBT, "NoAnswer"),
        ("no-reply-close", Verdict.IN_DOUBT, "NoAnswer"),
        ("hang", Verdict.IN_DOUBT, "NoAnswer"),
        ("hang-after", Verdict.IN_DOUBT, "NoAnswer"),
        ("late=600", Verdict.IN_DOUBT, "NoAnswer"),
        ("late=30", Verdict.SUBMITTED, ""),
        ("slow", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("cut", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("cut=wire", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("huge", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("huge=gzip", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("long-header", Verdict.IN_DOUBT, "NoAnswer"),
        ("garbage=bytes", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("garbage=utf16", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("garbage=bom", Verdict.SUBMITTED, ""),
        ("garbage=deep", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("garbage=nan", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("garbage=number", Verdict.IN_DOUBT, "NoActionId"),
        ("garbage=duplicate", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("garbage=list", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("garbage=empty", Verdict.IN_DOUBT, "UnreadableAnswer"),
        ("no-id", Verdict.IN_DOUBT, "NoActionId"),
        ("empty-id", Verdict.IN_DOUBT, "NoActionId"),
        ("200", Verdict.SUBMITTED, ""),
        ("202", Verdict.IN_DOUBT, "HTTP202"),
        ("204", Verdict.IN_DOUBT, "HTTP204"),
        ("500", Verdict.IN_DOUBT, "InternalServerError"),
        ("500-after", Verdict.IN_DOUBT, "InternalServerError"),
        ("503", Verdict.IN_DOUBT, "ServiceUnavailable"),
        ("404", Verdict.FAILED, "ResourceNotFound"),
        ("400=OsPlatformNotSupported", Verdict.FAILED, "OsPlatformNotSupported"),
        ("400=ActiveRequestAlreadyExists", Verdict.ALREADY_OPEN, "ActiveRequestAlreadyExists"),
        ("409", Verdict.ALREADY_OPEN, "Conflict"),
        ("401", Verdict.UNAUTHORIZED, "Unauthorized"),
    ],
)
async def test_a_fault_is_taken_for_what_it_is(call: "Caller", fault: str, verdict: Verdict, code: str) -> None:
    outcome = await met(call, fault)
    assert (outcome.verdict, outcome.code) == (verdict, code), outcome


@pytest.mark.fault(57, "Failed, and the run stops at the first.", case="403")
@pytest.mark.fault(62, "The run stops at the first: a bug in the program.", case="400=InvalidRequestBody")
@pytest.mark.parametrize(
    ("fault", "verdict", "alarm"),
    [
        ("html", Verdict.IN_DOUBT, Alarm.NOT_THE_API),
        ("redirect", Verdict.IN_DOUBT, Alarm.NOT_THE_API),
        ("other-machine", Verdict.IN_DOUBT, Alarm.WRONG_ANSWER),
        ("403", Verdict.FAILED, Alarm.PERMISSION),
        ("403=DisabledFeature", Verdict.FAILED, Alarm.PERMISSION),
        ("400=InvalidRequestBody", Verdict.FAILED, Alarm.OUR_MISTAKE),
        ("400=MissingRequiredParameter", Verdict.FAILED, Alarm.OUR_MISTAKE),
    ],
)
async def test_a_fault_of_more_than_one_device_raises_an_alarm(
    call: "Caller", fault: str, verdict: Verdict, alarm: Alarm
) -> None:
    outcome = await met(call, fault)
    assert (outcome.verdict, outcome.alarm) == (verdict, alarm), outcome


@pytest.mark.fault(65, "The date is obeyed.", case="429=date+45")
@pytest.mark.fault(66, "A minute.", case="429=abc")
@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        ("429=30", 30), ("429=none", 60), ("429=0", 60), ("429=-5", 60), ("429=abc", 60), ("429=30,60", 60),
        ("429=date+45", 45), ("429=date-45", 60), ("429=999999", 3600), ("429=1.5", 60),
    ],
)  # fmt: skip
async def test_the_wait_of_a_429_is_read_from_the_wire(call: "Caller", fault: str, wait: float) -> None:
    async with faulty(fault) as simulator, call.client(simulator.url) as client:
        outcome = await call.send(client, simulator.url)
    assert outcome.verdict is Verdict.THROTTLED
    assert outcome.retry_after == pytest.approx(wait, abs=1.5)


@pytest.mark.fault(95, "The deadline, in doubt.")
@pytest.mark.parametrize("fault", ["hang", "late=600", "slow=5"])
async def test_no_call_lasts_longer_than_its_deadline(call: "Caller", fault: str) -> None:
    async with faulty(fault) as simulator:
        await call(simulator.url, timeout=90.0)
        assert asyncio.get_running_loop().time() <= 91
