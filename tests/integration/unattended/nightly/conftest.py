"""An office with an inbox, on virtual time."""

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from batch_offboard.commands.plans import Reading
from batch_offboard.core.batches import Batch
from batch_offboard.journal.reading import list_batches
from batch_offboard.simulator import fleet_of
from batch_offboard.unattended.nightly.order import PLAINLY, nightly
from batch_offboard.unattended.nightly.views import NightView
from tests.virtual import VirtualOffice, VirtualWorld, device, in_berlin, office_place

# An evening in the middle of a week, an hour before the window opens.
EVENING = in_berlin("2026-11-24T21:00:00")
NIGHT_HOURS = {"from": "22:00", "to": "06:00", "zone": "Europe/Berlin"}

Settings = dict[str, Any]


class NightOffice(VirtualOffice):
    """An office where nightly runs happen."""

    def night(self, *, reading: Reading = PLAINLY, **options: Any) -> NightView:
        """One nightly run, begun now."""
        with self.desk(unattended=True, **options) as desk:
            return self.world.run(nightly(desk, self.inbox, self.ears.talk, reading, self.ears.asked.append))

    def wait(self, seconds: float) -> None:
        self.world.until(self.world.now().wall + seconds)

    def settled(self, *sheets: tuple[Iterable[int], str]) -> None:
        """Sheets of these devices that were dropped a minute apart, the last one long enough ago."""
        for devices, name in sheets:
            self.drop(devices, name)
            self.wait(61)

    def why(self, pattern: str) -> str:
        """The only explanation of this name."""
        (path,) = self.inbox.glob(pattern)
        return path.read_text(encoding="utf-8")

    def lying(self, folder: str = "") -> list[str]:
        """The names of the files in a folder of the inbox; batch IDs are shown as BATCH."""
        names = [path.name for path in (self.inbox / folder).iterdir() if path.is_file()]
        ids = [batch.batch_id for batch in self.batches()]
        for name in ids:
            names = [each.replace(name, "BATCH") for each in names]
        return sorted(names)

    def batches(self) -> list[Batch]:
        """Every batch of the journal, the oldest first."""
        journal = self.journal()
        try:
            return list_batches(journal)[::-1]
        finally:
            journal.close()

    def rows(self, batch: Batch) -> list[dict[str, str]]:
        """The rows of a batch's CSV report, wherever it lies."""
        path = next(Path(each) for each in batch.reports if each.endswith(".csv"))
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))


MakeOffice = Callable[..., NightOffice]


@pytest.fixture
def make_office(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeOffice]:
    """An office at a moment, whose tenant has that many devices; `tenant` are options of the simulator."""

    def make(
        devices: int = 40, *, start: float = EVENING, tenant: Settings | None = None, **settings: Any
    ) -> NightOffice:
        fleet = fleet_of([(device(number), None) for number in range(devices)], 0, start)
        options = {"per_minute": None, "per_hour": None, "latency": (0.05, 0.05)} | (tenant or {})
        return NightOffice(place / "office", VirtualWorld(start, fleet, **options), **settings)

    with office_place(monkeypatch) as place:
        yield make
