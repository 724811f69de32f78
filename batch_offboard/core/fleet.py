"""The tenant's devices and offboard actions from one look-up, indexed for the decisions on single devices.

Pure: they are passed in. Asking a fleet makes no call, so a sheet of 50,000 rows costs no more calls than one of 50.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from batch_offboard.core.devices import normal_name, same_name
from batch_offboard.core.facts import Caution, DeviceFacts
from batch_offboard.core.platforms import Platforms
from batch_offboard.core.tenant import Machine, MachineAction

RECENT = 7 * 86_400.0  # seconds; a device that reports daily is called inactive after seven days (machine)

# A device that reports gets its action at once, and isolation is retried for three days (respond-machine-alerts): an
# action that a reporting device has not executed after a week never will be.
LONG_OPEN = 7 * 86_400.0  # seconds


class Fleet:
    """The result of a look-up. `at` is its time in seconds since the epoch; `no_actions` says why the machine actions
    could not be read, in which case `actions` is empty."""

    def __init__(
        self,
        machines: Iterable[Machine],
        actions: Iterable[MachineAction],
        at: float,
        platforms: Platforms = Platforms.STANDARD,
        *,
        no_actions: str = "",
    ) -> None:
        self.at, self.platforms, self.no_actions = at, platforms, no_actions
        self._machines = {machine.device_id: machine for machine in machines}
        self._by_label: dict[str, list[Machine]] | None = None
        self._open: dict[str, MachineAction] = {}
        self._succeeded: set[str] = set()
        for action in actions:
            if not action.is_final:
                other = self._open.get(action.machine_id)
                if other is None or (action.created or 0.0) >= (other.created or 0.0):
                    self._open[action.machine_id] = action
            elif not action.is_unsuccessful:
                self._succeeded.add(action.machine_id)

    @property
    def size(self) -> int:
        return len(self._machines)

    @property
    def onboarded(self) -> int:
        """How many devices can be offboarded."""
        return sum(1 for machine in self._machines.values() if is_onboarded(machine) and not machine.merged_into)

    def as_json(self) -> dict[str, Any]:
        """What a batch stores about its look-up, besides the decisions."""
        return {"devices": self.size, "onboarded": self.onboarded}

    def find(self, device_id: str) -> Machine | None:
        return self._machines.get(device_id)

    def named(self, name: str) -> Sequence[Machine]:
        """Every record that matches this computer name; a name without a domain matches any domain."""
        if self._by_label is None:
            self._by_label = defaultdict(list)
            for machine in self._machines.values():
                self._by_label[_label(machine.name)].append(machine)
        return [machine for machine in self._by_label.get(_label(name), ()) if same_name(name, machine.name)]

    def open_action(self, device_id: str) -> MachineAction | None:
        """The newest offboard action of this device that is not final, created by any caller."""
        return self._open.get(device_id)

    def facts(self, machine: Machine) -> DeviceFacts:
        """What a row stores about this machine."""
        cautions = self.cautions(machine)
        return DeviceFacts(machine.platform, machine.group, machine.tags, machine.last_seen, cautions)

    def overdue_action(self, machine: Machine) -> MachineAction | None:
        """The open action that this machine should have executed long ago, as it has reported since; or None."""
        action = self._open.get(machine.device_id)
        if action is None or action.created is None or machine.last_seen is None:
            return None
        return action if machine.last_seen > action.created + LONG_OPEN else None

    def cautions(self, machine: Machine) -> tuple[Caution, ...]:
        recently = machine.last_seen is not None and self.at - machine.last_seen <= RECENT
        holds = {
            Caution.SEEN_RECENTLY: recently,
            Caution.INACTIVE: machine.health.lower() == "inactive",
            Caution.DEFENDER_FOR_CLOUD: machine.cloud_managed,
            Caution.OFFBOARDED_BEFORE: machine.device_id in self._succeeded,
        }
        return tuple(caution for caution, known in holds.items() if known)


def is_onboarded(machine: Machine) -> bool:
    """machine, property `onboardingStatus`; a record without one counts as onboarded."""
    return machine.onboarding.lower() in ("onboarded", "")


def _label(name: str) -> str:
    return normal_name(name).partition(".")[0]
