"""The program is killed at a given moment of one call: what is durable then decides what the next run does.

A death is played by copying the journal at that moment and going on with the copy: nothing that the dying run did
afterwards is believed.
"""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.http_writer import StreamWriter

from batch_offboard.base.errors import JournalError
from batch_offboard.core.settling import HORIZON
from batch_offboard.defender.client import ApiClient
from batch_offboard.journal import settlements
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.store import Journal
from batch_offboard.reports.rows import Outcome
from tests.integration.world import device

if TYPE_CHECKING:
    from batch_offboard.core.batches import Batch
    from batch_offboard.simulator import Tenant
    from tests.integration.world import World

pytestmark = pytest.mark.looptime

DEVICES = 6
ROW, VICTIM = 5, device(3)  # the fourth: calls are still made one by one, and earlier actions prove that the list works


class DiedError(Exception):
    """The killed run's surroundings; the next run has its own."""


def died(world: "World") -> DiedError:
    shutil.copy(world.journal.path, world.journal.path.with_name("at-death.db"))
    return DiedError()


async def work_until_death(world: "World", batch: "Batch", url: str) -> None:
    with pytest.raises((DiedError, JournalError)):  # the latter because it retries a commit that was already made
        await world.work(batch, url, look=True)
    revive(world)


def revive(world: "World") -> None:
    world.journal.close()
    shutil.move(world.journal.path.with_name("at-death.db"), world.journal.path)
    world.journal = Journal(world.journal.path)


@contextmanager
def dying_at_commit(world: "World", kind: type[Start | End], *, after: bool = False) -> Iterator[None]:
    """Die when the victim's intent or outcome is written, or immediately afterwards."""
    commit = Journal.commit

    def one(journal: Journal, starts: Sequence[Start], ends: Sequence[End]) -> None:
        ours = any(isinstance(line, kind) and line.row == ROW for line in (*starts, *ends))
        if ours and not after:
            raise died(world)
        commit(journal, starts, ends)
        if ours:
            raise died(world)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Journal, "commit", one)
        yield


@contextmanager
def dying_at_the_wire(world: "World", *, sent: float) -> Iterator[None]:
    """Die when this share of the victim's request is on the wire."""
    write = StreamWriter._writelines

    def some(writer: StreamWriter, chunks: Any) -> None:
        data = b"".join(chunks)
        if not (data.startswith(b"POST ") and VICTIM.encode() in data):
            write(writer, [data])  # another call, or an answer of the tenant, which is in the same process
            return
        if sent:
            write(writer, [data[: int(len(data) * sent)]])
        raise died(world)

    send = ApiClient.send

    async def last(client: ApiClient, request: Any, slot: Any) -> Any:
        answer = await send(client, request, slot)
        if VICTIM in request.url:  # the client treated the error as a broken connection
            raise DiedError
        return answer

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(StreamWriter, "_writelines", some)
        patched.setattr(ApiClient, "send", last)
        yield


def sent_to_victim(tenant: "Tenant") -> int:
    return sum(call.operation == "offboard" and call.device_id == VICTIM for call in tenant.calls)


async def goes_on_at_once(world: "World", batch: "Batch", url: str, tenant: "Tenant", *, sends: int) -> None:
    """The next run need not wait: afterwards every device was sent once and its action is known."""
    before = sent_to_victim(tenant)
    assert await world.work(batch, url, look=True) is None
    assert sent_to_victim(tenant) - before == sends
    assert_ended_well(world, batch, tenant)


async def waits_for_the_horizon(world: "World", batch: "Batch", url: str, tenant: "Tenant") -> None:
    """The next run has a doubt; the list ends it after the horizon and not before."""
    assert await world.work(batch, url, look=True) is None
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES - 1, Outcome.IN_DOUBT: 1}
    assert sent_to_victim(tenant) == 0
    await asyncio.sleep(HORIZON)
    await goes_on_at_once(world, batch, url, tenant, sends=1)


def assert_ended_well(world: "World", batch: "Batch", tenant: "Tenant") -> None:
    assert world.outcomes(batch) == {Outcome.SUBMITTED: DEVICES}
    assert sent_to_victim(tenant) == 1
    assert len(tenant.actions) == DEVICES
    world.check([batch], tenant)


@pytest.mark.fault(1, "Pending; sent once by the next run.")
async def test_before_the_intent_is_durable_nothing_was_sent_and_the_device_is_pending(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        with dying_at_commit(world, Start):
            await work_until_death(world, batch, simulator.url)
        assert world.report(batch)[ROW - 2].outcome is Outcome.PENDING
        await goes_on_at_once(world, batch, simulator.url, simulator.tenant, sends=1)


@pytest.mark.fault(2, "In doubt; sent once, after the horizon.")
async def test_behind_a_durable_intent_the_device_is_in_doubt_though_nothing_was_sent(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        with dying_at_commit(world, Start, after=True):
            await work_until_death(world, batch, simulator.url)
        await waits_for_the_horizon(world, batch, simulator.url, simulator.tenant)


@pytest.mark.fault(3, "In doubt; sent once, after the horizon.")
@pytest.mark.parametrize("sent", [0.0, 0.3, 0.97])
async def test_with_a_part_of_the_request_on_the_wire_the_device_is_in_doubt(world: "World", sent: float) -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        with dying_at_the_wire(world, sent=sent):
            await work_until_death(world, batch, simulator.url)
        await waits_for_the_horizon(world, batch, simulator.url, simulator.tenant)


@pytest.mark.fault(4, "Found in the tenant's list; nothing is sent again.")
async def test_a_request_that_was_sent_is_found_by_its_token_and_not_sent_again(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = world.add(range(DEVICES))
    send = ApiClient.send

    async def dying(client: ApiClient, request: Any, slot: Any) -> Any:
        if VICTIM not in request.url:
            return await send(client, request, slot)
        answer = asyncio.create_task(send(client, request, slot))
        while not sent_to_victim(simulator.tenant):  # noqa: ASYNC110  # the tenant tells nobody
            await asyncio.sleep(0.001)
        answer.cancel()
        raise died(world)

    async with world.tenant(DEVICES, latency=(0.5, 0.5)) as simulator:
        with monkeypatch.context() as patched:
            patched.setattr(ApiClient, "send", dying)
            await work_until_death(world, batch, simulator.url)
        await asyncio.sleep(1)
        await goes_on_at_once(world, batch, simulator.url, simulator.tenant, sends=0)


@pytest.mark.fault(5, "Found in the tenant's list; nothing is sent again.")
async def test_an_answer_that_was_read_and_not_kept_is_found_in_the_list(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        with dying_at_commit(world, End):
            await work_until_death(world, batch, simulator.url)
        assert world.report(batch)[ROW - 2].outcome is Outcome.IN_DOUBT
        await goes_on_at_once(world, batch, simulator.url, simulator.tenant, sends=0)


@pytest.mark.fault(6, "Reported from the journal; nothing is sent.")
async def test_an_outcome_that_is_durable_needs_no_list_and_no_call(world: "World") -> None:
    batch = world.add(range(DEVICES))
    async with world.tenant(DEVICES) as simulator:
        with dying_at_commit(world, End, after=True):
            await work_until_death(world, batch, simulator.url)
        assert world.report(batch)[ROW - 2].outcome is Outcome.SUBMITTED
        await goes_on_at_once(world, batch, simulator.url, simulator.tenant, sends=0)


@pytest.mark.fault(10, "Read again with the same result.")
async def test_a_list_that_was_read_and_not_kept_is_read_again_with_the_same_result(
    world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = world.add(range(DEVICES))

    def dying(*_arguments: object) -> int:
        raise died(world)

    async with world.tenant(DEVICES, f"500-after:{VICTIM}") as simulator:
        await world.work(batch, simulator.url, look=False)
        with monkeypatch.context() as patched:
            patched.setattr(settlements, "accept_found", dying)
            await work_until_death(world, batch, simulator.url)
        assert world.report(batch)[ROW - 2].outcome is Outcome.IN_DOUBT
        await goes_on_at_once(world, batch, simulator.url, simulator.tenant, sends=0)
