"""An office for tests of the guards: whole runs in-process, and the tenant's record of what arrived."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from batch_offboard.simulator.fleet import fleet_of
from tests.virtual import VirtualOffice, VirtualWorld, device, in_berlin, office_place

MORNING = in_berlin("2026-11-24T09:00:00")

MakeOffice = Callable[..., VirtualOffice]


@pytest.fixture
def make_office(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeOffice]:
    """An office whose tenant has these devices, by number; `marks` change fields of some of them."""

    def make(
        devices: Iterable[int] = range(40), *, marks: dict[int, dict[str, object]] | None = None, **settings: Any
    ) -> VirtualOffice:
        fleet = fleet_of([(device(number), f"lt-{number:04}.contoso.example") for number in devices], 0, MORNING)
        by_id = {device(number): fields for number, fields in (marks or {}).items()}
        machines = [machine | by_id.get(str(machine["id"]), {}) for machine in fleet]
        world = VirtualWorld(MORNING, machines, per_minute=None, per_hour=None, latency=(0.01, 0.01))
        return VirtualOffice(place / "office", world, **settings)

    with office_place(monkeypatch) as place:
        yield make
