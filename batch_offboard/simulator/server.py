"""Serves the tenant over HTTP: on loopback only, and only while the context that opened it is active.

This is the only module that waits or uses a connection. A call is processed when it arrives, in one step without an
`await` unless a fault delays it: sign-in, quota, permission, fault, tenant.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from uuid import UUID

from aiohttp import hdrs, web

from batch_offboard.simulator.actions import Action
from batch_offboard.simulator.answers import ApiError, Reply
from batch_offboard.simulator.calls import Call, Group, Operation, Route, bearer, read_comment, route_of
from batch_offboard.simulator.faults import Fault, FaultPlan
from batch_offboard.simulator.listing import Page, next_link, page_of, read_query
from batch_offboard.simulator.machines import Machine, complete
from batch_offboard.simulator.misbehaviour import Wire, send, send_with_fault
from batch_offboard.simulator.model import ACTIONS, MACHINES, Tenant
from batch_offboard.simulator.odata import Item, ODataError
from batch_offboard.simulator.options import SimulatorOptions
from batch_offboard.simulator.platforms import PlatformRule
from batch_offboard.simulator.quotas import Exceeded, QuotaMode, make_quota

_CONTEXT = "https://api.securitycenter.microsoft.com/api/$metadata#"
_VIEWS = "/_simulator/"
_RELEASE = f"{_VIEWS}release"


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A running simulator: its base URL, its tenant with the record of calls, and its faults."""

    url: str
    tenant: Tenant
    faults: FaultPlan


@asynccontextmanager
async def running_simulator(
    machines: Iterable[Machine],
    options: SimulatorOptions,
    now: Callable[[], float],
    *,
    earlier_actions: Iterable[Mapping[str, object]] = (),
) -> AsyncIterator[RunningSimulator]:
    """A simulator that runs until the context exits; `now` returns its time in seconds since the epoch.

    `earlier_actions`: actions of an earlier process, as JSON objects, to continue.
    Raises `ValueError` for an invalid fleet or earlier action, `OSError` if the port is in use.
    """
    tenant = Tenant(
        machines,
        seed=options.seed,
        rule=PlatformRule(options.platform_rule),
        pace=options.pace,
        list_lag=options.list_lag,
        requestor=options.requestor,
    )
    for shown in earlier_actions:
        tenant.adopt(shown)
    service = _Service(tenant, options, now)
    runner = web.ServerRunner(web.Server(service.handle), shutdown_timeout=1.0)
    await runner.setup()
    try:
        yield RunningSimulator(await _listen(runner, options), tenant, service.faults)
    finally:
        service.close()
        await runner.cleanup()


async def _listen(runner: web.ServerRunner, options: SimulatorOptions) -> str:
    # The name may resolve to two addresses, and port 0 would then become two ports.
    host = "127.0.0.1" if options.host == "localhost" else options.host
    site = web.TCPSite(runner, host, options.port)
    await site.start()
    port = runner.addresses[0][1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Service:
    """One call in, one answer out."""

    def __init__(self, tenant: Tenant, options: SimulatorOptions, now: Callable[[], float]) -> None:
        self.closing = asyncio.Event()
        self._tenant, self._options, self._now = tenant, options, now
        self.faults = FaultPlan(options.faults, options.seed)
        self._chance = Random(options.seed)  # noqa: S311  # a rehearsal must be repeatable; nothing here is secret
        self._throttled = 0
        self._released: defaultdict[str | None, asyncio.Event] = defaultdict(asyncio.Event)
        self._quotas = {
            group: make_quota(
                QuotaMode(options.quota_mode),
                options.limits,
                tolerance=options.smooth_tolerance,
                count_refused=options.count_refused,
            )
            for group in Group
        }

    def close(self) -> None:
        """End every wait."""
        self.closing.set()
        for released in self._released.values():
            released.set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        wire = Wire(request, self._now, self.closing)
        if request.path == _RELEASE and request.method == hdrs.METH_POST:
            return await send(wire, self._release(await request.json()))
        if request.path.startswith(_VIEWS):
            return await send(wire, self._view(request.path.removeprefix(_VIEWS)))
        body = await request.read()
        before, after = self._latency()
        if before:
            await asyncio.sleep(before)
        call, route = self._arrival(request)
        reply, fault = await self._judge(wire, call, route, body)
        if after:
            await asyncio.sleep(after)
        return await self._answer(wire, call, reply, fault)

    async def _answer(self, wire: Wire, call: Call, reply: Reply, fault: Fault | None) -> web.StreamResponse:
        if fault is None:
            call.status = reply.status
            return await send(wire, reply)
        response = await send_with_fault(wire, reply, fault, self._target())
        if response is None:
            # Nothing is sent, but aiohttp requires a response.
            return web.Response()
        call.status = response.status
        return response

    def _arrival(self, request: web.BaseRequest) -> tuple[Call, Route | None]:
        route = route_of(request.rel_url.raw_path)
        call = Call(self._now(), request.method, request.path, request.query_string)
        if route is not None:
            call.operation, call.group = route.operation, route.operation.group
            if route.operation in {Operation.OFFBOARD, Operation.MACHINE}:
                call.device_id = route.key
        self._tenant.calls.append(call)
        return call, route

    async def _judge(self, wire: Wire, call: Call, route: Route | None, body: bytes) -> tuple[Reply, Fault | None]:
        if route is None:
            return ApiError(404, "NotFound", "There is no such path.").as_reply(self._target()), None
        try:
            if call.method != route.operation.method:
                return Reply(405, None, {hdrs.ALLOW: route.operation.method}), None
            self._admit(wire.request, route.operation, call.at)
            fault = self.faults.next_fault((route.operation, route.operation.group), call.device_id)
            call.fault = fault.spec if fault else None
            if fault is not None and fault.kind == "late":
                await wire.pause(float(fault.value or 600))
                self._refuse_when_closed()
            if fault is not None and fault.kind == "hold":
                await self._released[call.device_id].wait()
                self._refuse_when_closed()
            if fault is not None and not fault.accepts:
                return Reply(200, None), fault
            return self._perform(wire.request, call, route, body), fault
        except ApiError as error:
            return error.as_reply(self._target()), None

    def _refuse_when_closed(self) -> None:
        if self.closing.is_set():
            raise ApiError(503, "ServiceUnavailable", "The simulator was closed before it processed this call.")

    def _admit(self, request: web.BaseRequest, operation: Operation, at: float) -> None:
        token = bearer(request.headers.get(hdrs.AUTHORIZATION))
        if token is None or self._options.token not in {None, token}:
            raise ApiError(401, "Unauthorized", "Unauthorized request")
        exceeded = self._quotas[operation.group].admit(at)
        if exceeded is not None:
            raise self._throttle(exceeded)
        granted = self._options.permissions
        if granted is not None and granted.isdisjoint(operation.roles):
            needed, held = ", ".join(operation.roles), ", ".join(sorted(granted))
            message = f"Missing application roles. API required roles: {needed}, application roles: {held}."
            raise ApiError(403, "Forbidden", message)

    def _throttle(self, exceeded: Exceeded) -> ApiError:
        codes = ("TooManyRequests", "429")
        code = self._options.throttle_code
        if code == "both":
            code = codes[self._throttled % 2]
        self._throttled += 1
        period = f"{exceeded.period // 3600:02}:{exceeded.period // 60 % 60:02}:{exceeded.period % 60:02}"
        message = f"API calls quota exceeded! maximum allowed {exceeded.limit} per {period}"
        return ApiError(429, code, message, {hdrs.RETRY_AFTER: str(exceeded.retry_after)})

    def _perform(self, request: web.BaseRequest, call: Call, route: Route, body: bytes) -> Reply:
        operation, key = route.operation, route.key
        if operation is Operation.MACHINES or operation is Operation.ACTIONS:
            return self._list(request, operation)
        if operation is Operation.MACHINE:
            machine = self._tenant.machine(key)
            return Reply(200, {"@odata.context": f"{_CONTEXT}Machines/$entity", **machine})
        action = self._act(request, call, operation, key, body)
        call.action_id, call.device_id = action.id, action.machine_id
        status = self._options.success_status if operation is Operation.OFFBOARD else 200
        shown = action.as_json(self._now())
        return Reply(status, {"@odata.context": f"{_CONTEXT}MachineActions/$entity", **shown})

    def _act(self, request: web.BaseRequest, call: Call, operation: Operation, key: str, body: bytes) -> Action:
        if operation is Operation.ACTION:
            return self._tenant.action(key)
        call.comment = read_comment(request.content_type, body)
        act = self._tenant.offboard if operation is Operation.OFFBOARD else self._tenant.cancel
        return act(key, call.comment, self._now())

    def _list(self, request: web.BaseRequest, operation: Operation) -> Reply:
        machines = operation is Operation.MACHINES
        try:
            query = read_query(request.query, MACHINES if machines else ACTIONS)
        except ODataError as error:
            raise ApiError(400, "ODataError", str(error)) from error
        size = self._options.page_size
        if machines:
            page = page_of(self._tenant.machines_for(query), query, size)
            page = Page([complete(dict(machine)) for machine in page.items], page.more)
        else:
            page = page_of(self._tenant.actions_for(query, self._now()), query, size)
        if machines and not page.items:
            raise ApiError(404, "ResourceNotFound", "No recent machines")
        address = str(request.url.origin()) + request.path
        link = next_link(address, query, size) if page.more and query.top is None else None
        return Reply(200, _collection("Machines" if machines else "MachineActions", page.items, link))

    def _view(self, name: str) -> Reply:
        """The record, for tests in another process."""
        if name == "calls":
            return Reply(200, [call.as_json() for call in self._tenant.calls])
        if name == "actions":
            at = self._now()
            return Reply(200, [action.as_json(at) for action in self._tenant.actions.values()])
        return ApiError(404, "NotFound", "Views: calls, actions.").as_reply(self._target())

    def _release(self, devices: list[str]) -> Reply:
        """Carry out the calls for these devices that a `hold` delays, now and in future."""
        for device in devices:
            self._released[device].set()
        return Reply(200, devices)

    def _latency(self) -> tuple[float, float]:
        """Seconds before and after the call is carried out; their sum is uniform in the range."""
        if not self._options.latency[1]:
            return 0.0, 0.0
        whole = self._chance.uniform(*self._options.latency)
        before = whole * self._chance.random() if self._options.arrival == "random" else 0.0
        return before, whole - before

    def _target(self) -> str:
        return str(UUID(int=self._chance.getrandbits(128), version=4))


def _collection(name: str, items: list[Item], link: str | None) -> dict[str, object]:
    found: dict[str, object] = {"@odata.context": _CONTEXT + name, "value": items}
    if link is not None:
        found["@odata.nextLink"] = link
    return found
