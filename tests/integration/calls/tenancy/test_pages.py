"""A list is read to its end, for all kinds of pages and links, and the token is sent to no other host."""

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from batch_offboard.calls.tenancy import ReadError, StrangeListError
from batch_offboard.defender.protocol import paging
from tests.integration.calls.tenancy.conftest import Listening, page
from tests.integration.world import ORIGIN, device

if TYPE_CHECKING:
    from tests.integration.world import World

pytestmark = pytest.mark.looptime


def action(number: int, **fields: Any) -> dict[str, Any]:
    """An offboard action as in a page."""
    return {"id": f"action-{number}", "type": "Offboard", "status": "Pending", "machineId": device(number)} | fields


@pytest.mark.fault(87, "Every page is read.")
@pytest.mark.parametrize(
    ("devices", "queries"),
    [
        (0, [""]),
        (9, ["", "$skip=9"]),
        (10, ["", "$skip=10"]),
        (11, ["", "$skip=10", "$skip=11"]),
        (25, ["", "$skip=10", "$skip=20", "$skip=25"]),
    ],
)
async def test_every_machine_is_read_once_by_one_call_more_than_there_are_pages(
    world: "World", devices: int, queries: list[str]
) -> None:
    async with (
        world.tenant(devices, page_size=10) as simulator,
        world.tenancy(simulator.url) as tenancy,
        tenancy.reader() as reader,
    ):
        found = await reader.machines()
    assert [machine.device_id for machine in found] == [device(number) for number in range(devices)]
    assert [(call.path, call.query) for call in simulator.tenant.calls] == [("/api/machines", each) for each in queries]
    world.check([], simulator.tenant)


async def test_the_actions_of_a_time_or_a_device_are_read_on_every_page_and_no_other_kind(world: "World") -> None:
    async with world.tenant(30, page_size=7) as simulator:
        tenant = simulator.tenant
        for number in range(30):
            tenant.start(device(number), f"number {number}", ORIGIN - 100 + number)
            tenant.start(device(number), "scan", ORIGIN, kind="RunAntiVirusScan")
        async with world.tenancy(simulator.url) as tenancy, tenancy.reader() as reader:
            ever = await reader.actions()
            since = await reader.actions(since=ORIGIN - 80.5)
            one = await reader.actions(device_id=device(3))
    assert [[each.comment for each in actions] for actions, _ in (ever, since, one)] == [
        [f"number {number}" for number in range(30)],
        [f"number {number}" for number in range(19, 30)],  # the filter has whole seconds
        ["number 3"],
    ]
    assert [whole for _, whole in (ever, since, one)] == [True, True, True]
    assert len(simulator.tenant.calls) == 6 + 3 + 2


async def test_one_action_is_read_by_its_id_and_one_that_is_not_there_is_none(world: "World") -> None:
    async with world.tenant(1) as simulator:
        made = simulator.tenant.start(device(0), "CHG0042", ORIGIN)
        async with world.tenancy(simulator.url) as tenancy, tenancy.reader() as reader:
            found, missing = await reader.action(made.id), await reader.action("no/such?action")
    assert found is not None
    assert (found.id, found.machine_id, missing) == (made.id, device(0), None)


@pytest.mark.fault(87, "Another host is refused, and the token is not sent there.")
@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:{other}/api/machines?$skip=10",
        "http://localhost:{here}/",
        "https://127.0.0.1:{here}/",
        "http://user:secret@127.0.0.1:{here}/",
        "//api.attacker.example/api/machines",
        "http://[::1",
        "ftp://127.0.0.1:{here}/",
    ],
)
async def test_a_next_page_anywhere_else_is_refused_and_nothing_is_sent_there(
    world: "World", listening: Listening, link: str
) -> None:
    async with listening(lambda _request, _before: page()) as other:

        def answer(request: web.BaseRequest, _before: int) -> web.Response:
            ports = {"here": request.url.port, "other": other.url.rpartition(":")[2]}
            return page({"id": device(0)}, link=link.format(**ports))

        async with listening(answer) as here, world.tenancy(here.url) as tenancy, tenancy.reader() as reader:
            with pytest.raises(StrangeListError, match="another host"):
                await reader.machines()
    assert (here.asked, other.asked) == (["/api/machines"], [])


async def test_a_link_without_a_host_is_of_this_host(world: "World", listening: Listening) -> None:
    def answer(request: web.BaseRequest, _before: int) -> web.Response:
        pages = {"": page({"id": device(0)}, link="machines?$skip=1"), "$skip=1": page({"id": device(1)})}
        return pages.get(request.query_string, page())

    async with listening(answer) as here, world.tenancy(here.url) as tenancy, tenancy.reader() as reader:
        assert len(await reader.machines()) == 2
    assert here.asked == ["/api/machines", "/api/machines?$skip=1", "/api/machines?$skip=2"]


async def test_a_list_whose_page_leads_to_itself_ends_and_is_known_as_no_whole_one(world: "World") -> None:
    async with world.tenant(20, "actions/loop-link@2", page_size=5) as simulator:
        for number in range(20):
            simulator.tenant.start(device(number), "", ORIGIN)
        async with world.tenancy(simulator.url) as tenancy, tenancy.reader() as reader:
            found, whole = await reader.actions()
    assert (len(found), whole) == (10, False)
    assert len(simulator.tenant.calls) == 2


@pytest.mark.parametrize("fault", ["machines/loop-link@1", "machines/loop-link@2"])
async def test_half_a_list_of_machines_is_none_since_a_name_could_seem_unique(world: "World", fault: str) -> None:
    async with (
        world.tenant(12, fault, page_size=5) as simulator,
        world.tenancy(simulator.url) as tenancy,
        tenancy.reader() as reader,
    ):
        with pytest.raises(ReadError, match="repeats itself"):
            await reader.machines()
        assert not tenancy.unreadable


async def test_pages_that_repeat_under_new_links_end_the_list(world: "World", listening: Listening) -> None:
    def answer(_request: web.BaseRequest, before: int) -> web.Response:
        return page(action(1), action(2), link=f"/api/machineactions?$skip={before + 1}")

    async with listening(answer) as here, world.tenancy(here.url) as tenancy, tenancy.reader() as reader:
        found, whole = await reader.actions()
    assert ([each.id for each in found], whole) == (["action-1", "action-2"], False)
    assert len(here.asked) == 2


async def test_a_list_that_never_ends_is_left_after_so_many_pages(
    world: "World", listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MOST_PAGES", 5)

    def answer(_request: web.BaseRequest, before: int) -> web.Response:
        return page(action(before), link=f"/api/machineactions?$skip={before + 1}")

    async with listening(answer) as here, world.tenancy(here.url) as tenancy, tenancy.reader() as reader:
        found, whole = await reader.actions()
    assert (len(found), whole, len(here.asked)) == (5, False, 5)


@pytest.mark.parametrize("size", [10_000, 5_000, 2])
async def test_a_page_without_a_link_is_followed_by_number(world: "World", listening: Listening, size: int) -> None:
    number_of = size + 3

    def answer(request: web.BaseRequest, _before: int) -> web.Response:
        skip = int(request.query.get("$skip", "0"))
        return page(*(action(number) for number in range(skip, min(skip + size, number_of))))

    async with listening(answer) as here, world.tenancy(here.url) as tenancy, tenancy.reader() as reader:
        found, whole = await reader.actions(since=ORIGIN)
    assert (len(found), whole) == (number_of, True)
    first, second, *_, last = here.asked
    assert "creationDateTimeUtc" in first
    assert (second, last) == (f"{first}&$skip={size}", f"{first}&$skip={number_of}")


async def test_a_service_that_cannot_count_pages_gives_its_first_one_only(world: "World", listening: Listening) -> None:
    everything = [action(number) for number in range(5_000)]
    async with (
        listening(lambda _request, _before: page(*everything)) as here,
        world.tenancy(here.url) as tenancy,
        tenancy.reader() as reader,
    ):
        found, whole = await reader.actions()
    assert (len(found), whole, len(here.asked)) == (5_000, False, 2)


async def test_a_link_that_has_lost_the_filter_brings_no_other_actions_in(world: "World", listening: Listening) -> None:
    def answer(_request: web.BaseRequest, before: int) -> web.Response:
        if not before:
            return page(action(1), link="/api/machineactions?$skip=1")
        last = page(action(2), action(3, type="Isolate"), {"status": "Pending"}, {"id": 4}, {"id": " "})
        return last if before == 1 else page()

    async with listening(answer) as here, world.tenancy(here.url) as tenancy, tenancy.reader() as reader:
        found, whole = await reader.actions()
    assert ([each.id for each in found], whole) == (["action-1", "action-2"], True)
