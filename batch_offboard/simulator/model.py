"""The tenant: its machines and machine actions, and how it answers each call.

Pure: the time is passed in; nothing here waits, sends or reads a clock. Quotas, permissions and faults are applied
before it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from uuid import UUID

from batch_offboard.simulator.actions import Action, Cancellation, Pace, course_of
from batch_offboard.simulator.answers import ApiError
from batch_offboard.simulator.calls import Call
from batch_offboard.simulator.listing import Listable, ListQuery
from batch_offboard.simulator.machines import Machine, complete
from batch_offboard.simulator.odata import FieldKind
from batch_offboard.simulator.platforms import PlatformRule, refusal_code
from batch_offboard.simulator.timestamps import moment_of

_TEXT, _TIME, _NUMBER = FieldKind.TEXT, FieldKind.TIME, FieldKind.NUMBER

MACHINES = Listable(
    fields={
        "computerDnsName": _TEXT,
        "id": _TEXT,
        "version": _TEXT,
        "deviceValue": _TEXT,
        "aadDeviceId": _TEXT,
        "machineTags": FieldKind.TAGS,
        "lastSeen": _TIME,
        "exposureLevel": _TEXT,
        "onboardingStatus": _TEXT,
        "lastIpAddress": _TEXT,
        "healthStatus": _TEXT,
        "osPlatform": _TEXT,
        "riskScore": _TEXT,
        "rbacGroupId": _NUMBER,
    }
)
ACTIONS = Listable(
    fields={
        "id": _TEXT,
        "status": _TEXT,
        "machineId": _TEXT,
        "type": _TEXT,
        "requestor": _TEXT,
        "creationDateTimeUtc": _TIME,
    },
    orders=frozenset({"creationDateTimeUtc"}),
)


class Tenant:
    """One tenant. `calls` and `actions` record what happened, in the order of arrival."""

    def __init__(
        self,
        machines: Iterable[Machine],
        *,
        seed: int = 0,
        rule: PlatformRule = PlatformRule.CLIENTS_AND_2019,
        pace: Pace | None = None,
        list_lag: float = 0.0,
        requestor: str = "offboarding-batch",
    ) -> None:
        """`list_lag`: by how many seconds the list of actions lags. Raises `ValueError` for duplicate machine IDs."""
        self.calls: list[Call] = []
        self.actions: dict[str, Action] = {}
        self._machines = _by_id(machines)
        self._names: dict[str, list[Machine]] | None = None
        self._newest: dict[str, Action] = {}
        self._seed, self._rule, self._pace = seed, rule, pace or Pace()
        self._list_lag, self._requestor = list_lag, requestor
        self._in_order = tuple(self._machines.values())
        self._last_list: tuple[str, Sequence[Machine]] = ("", self._in_order)

    def offboard(self, device_id: str, comment: str, now: float) -> Action:
        """Accept the offboarding of a device; raises `ApiError`."""
        machine = self._machines.get(device_id.lower())
        if machine is None:
            raise ApiError(404, "ResourceNotFound", f"Machine {device_id} was not found")
        self._check(complete(machine), device_id, now)
        return self.start(device_id, comment, now)

    def start(
        self, device_id: str, comment: str, now: float, *, requestor: str | None = None, kind: str = "Offboard"
    ) -> Action:
        """Start an action without checking whether it is permitted, for example one of another user of the tenant."""
        machine = complete(self._machines[device_id.lower()])
        action = self._action(self._fresh_id(device_id, now), machine, comment, now)
        action.requestor = requestor or self._requestor
        action.type = kind
        return self._keep(action)

    def adopt(self, shown: Mapping[str, object]) -> Action:
        """Continue an action of an earlier process, from its JSON. Raises `ValueError` if that is invalid.

        Its course stays the same if the seed and the pace are the same.
        """
        try:
            machine = complete(self._machines[str(shown["machineId"]).lower()])
            created = moment_of(str(shown["creationDateTimeUtc"]))
            action = self._action(str(shown["id"]), machine, str(shown.get("requestorComment") or ""), created)
            if shown.get("cancellationDateTimeUtc"):
                at = moment_of(str(shown["cancellationDateTimeUtc"]))
                action.cancellation = Cancellation(at, self._requestor, str(shown.get("cancellationComment") or ""))
        except KeyError as error:
            raise ValueError(
                f"An earlier action cannot be continued: {error} is missing or not a machine of the fleet."
            ) from error
        return self._keep(action)

    def cancel(self, action_id: str, comment: str, now: float) -> Action:
        """Cancel an action; raises `ApiError` if it is unknown or final."""
        action = self.action(action_id)
        if not action.is_open(now):
            raise ApiError(400, "BadRequest", f"Action {action_id} cannot be cancelled: {action.status(now)}")
        action.cancellation = Cancellation(now, self._requestor, comment)
        return action

    def action(self, action_id: str) -> Action:
        action = self.actions.get(action_id.lower())
        if action is None:
            raise ApiError(404, "ResourceNotFound", f"Machine action {action_id} was not found")
        return action

    def machine(self, id_or_name: str) -> Machine:
        """The machine with this ID or name; if several have the name, the one seen last. Raises `ApiError`."""
        found = self._machines.get(id_or_name.lower())
        if found is None:
            namesakes = self._by_name().get(id_or_name.lower(), [])
            found = max(namesakes, key=lambda machine: str(machine.get("lastSeen") or ""), default=None)
        if found is None:
            raise ApiError(404, "ResourceNotFound", f"Machine {id_or_name} was not found")
        return complete(found)

    def machines_for(self, query: ListQuery) -> Sequence[Machine]:
        """All machines that a query matches, without their default fields.

        The last result is cached, so that the whole tenant is not filtered again for each page of a list.
        """
        if not query.filter:
            return self._in_order
        if self._last_list[0] != query.filter:
            matching = [machine for machine in self._in_order if query.matches(complete(machine))]
            self._last_list = (query.filter, matching)
        return self._last_list[1]

    def actions_for(self, query: ListQuery, now: float) -> Iterator[dict[str, object]]:
        """All actions that a query matches, as the list returns them: `list_lag` seconds late."""
        at = now - self._list_lag
        known: Iterable[Action] = self.actions.values()
        if query.newest_first:
            known = reversed(self.actions.values())
        shown = (action.as_json(at) for action in known if action.created <= at)
        return (action for action in shown if query.matches(action))

    def _check(self, machine: Machine, device_id: str, now: float) -> None:
        if machine["onboardingStatus"] != "Onboarded":
            raise ApiError(400, "BadRequest", f"Machine {device_id} is not onboarded")
        code = refusal_code(machine, self._rule)
        if code is not None:
            raise ApiError(400, code, f"The action is not supported on {machine['osPlatform']}")
        newest = self._newest.get(device_id.lower())
        if newest is not None and newest.is_open(now):
            raise ApiError(400, "ActiveRequestAlreadyExists", "Action is already in progress")

    def _action(self, action_id: str, machine: Machine, comment: str, created: float) -> Action:
        inactive = machine["healthStatus"] == "Inactive"
        name = machine["computerDnsName"]
        return Action(
            id=action_id,
            machine_id=str(machine["id"]),
            computer_name=None if name is None else str(name),
            comment=comment,
            requestor=self._requestor,
            created=created,
            course=course_of(action_id, created, self._seed, self._pace, inactive=inactive),
        )

    def _keep(self, action: Action) -> Action:
        self.actions[action.id.lower()] = action
        if action.type == "Offboard":
            self._newest[action.machine_id.lower()] = action
        return action

    def _fresh_id(self, device_id: str, now: float) -> str:
        """A GUID that also depends on the time, so that a restarted tenant does not reuse an ID."""
        facts = f"{self._seed}/{device_id}/{now!r}/{len(self.actions)}"
        return str(UUID(bytes=blake2b(facts.encode(), digest_size=16).digest(), version=4))

    def _by_name(self) -> dict[str, list[Machine]]:
        if self._names is None:
            self._names = {}
            for machine in self._in_order:
                self._names.setdefault(str(machine.get("computerDnsName") or "").lower(), []).append(machine)
        return self._names


def _by_id(machines: Iterable[Machine]) -> dict[str, Machine]:
    found: dict[str, Machine] = {}
    for machine in machines:
        key = str(machine["id"]).lower()
        if key in found:
            raise ValueError(f"Two machines of the fleet have the ID {key}; remove one.")
        found[key] = machine
    return found
