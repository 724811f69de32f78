"""Five nights of an office with everything that happens in one, in spring and in autumn, when clocks are changed.

Sheets come at odd moments, one is still being copied, one cannot be read, one holds what another held, one is refused;
the window closes in the middle of the first night, the machine goes off in the second, clocks are changed in the third,
the fourth is missed. Nobody looks after any of it.
"""

from __future__ import annotations

import csv
from collections import Counter
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.unattended.nightly.views import Fate, NightView
from tests.virtual import BERLIN, PowerCutError, device, in_berlin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.unattended.nightly.conftest import MakeOffice, NightOffice

OPENS, CLOSES = time(1, 30), time(3, 15)
PER_MINUTE, PER_HOUR = 2, 60

# What is dropped, by name; every device is in one of them, and in the one that repeats it.
SHEETS = {
    "evening.csv": range(100),
    "in-the-night.csv": range(100, 115),
    "copied.csv": range(115, 125),
    "second.csv": range(125, 200),
    "late.csv": range(200, 220),
    "after-the-change.csv": range(220, 235),
    "by-day.csv": range(235, 260),
}
REFUSED = range(300, 500)
DEVICES = range(260)


class FiveNights:
    """The story, day by day; `first` is the date of the first night, as Berlin has it."""

    def __init__(self, office: NightOffice, first: str) -> None:
        self.office = office
        self.first = datetime.fromisoformat(first)
        self.views: list[NightView] = []

    def moment(self, day: int, clock: str) -> float:
        return in_berlin(f"{(self.first + timedelta(days=day)).date()}T{clock}")

    def drop(self, day: int, clock: str, name: str) -> None:
        self.office.world.at(self.moment(day, clock), lambda: self.office.drop(SHEETS[name], name))

    def copy(self, day: int, clock: str, name: str) -> None:
        """A sheet that grows for six minutes."""
        for step in range(1, 11):
            part = SHEETS[name][:step]
            begun = self.moment(day, clock) + 40 * step
            self.office.world.at(begun, lambda part=part: self.office.drop(part, name))  # type: ignore[misc]  # a range

    def run(self, day: int, clock: str = "01:30:05") -> NightView:
        self.office.world.until(self.moment(day, clock))
        self.views.append(self.office.night())
        return self.views[-1]

    def happen(self) -> None:
        office = self.office
        self.drop(0, "00:30:00", "evening.csv")
        self.drop(0, "02:10:00", "in-the-night.csv")
        self.copy(0, "02:30:00", "copied.csv")
        assert self.run(0).exit_code is ExitCode.UNFINISHED  # the window has closed
        office.world.until(self.moment(0, "12:00:00"))
        office.write(office.inbox / "broken.xlsx", b"PK\x03\x04 and nothing else")

        self.drop(1, "01:00:00", "second.csv")
        office.world.until(self.moment(1, "01:00:01"))
        office.world.after_calls(40, office.power_cut)
        with pytest.raises(PowerCutError):
            self.run(1)
        office.power_on()

        office.world.until(self.moment(1, "15:00:00"))
        office.drop(SHEETS["evening.csv"], "evening again.csv")
        self.drop(2, "01:29:30", "late.csv")
        self.drop(2, "03:05:00", "after-the-change.csv")
        self.run(2)

        office.world.until(self.moment(3, "10:00:00"))  # the fourth night is over, and nothing ran
        office.drop(SHEETS["by-day.csv"], "by-day.csv")
        by_day = self.run(3, "10:02:00")
        assert by_day.closed

        office.world.until(self.moment(3, "20:00:00"))
        office.drop(REFUSED, "too-many.csv")
        assert self.run(4).exit_code is ExitCode.REFUSED


@pytest.fixture(params=["2026-03-27", "2026-10-23"], ids=["spring", "autumn"])
def story(request: pytest.FixtureRequest, make_office: MakeOffice) -> FiveNights:
    first = request.param
    office = make_office(
        500,
        start=in_berlin(f"{first}T00:00:00"),
        tenant={"per_minute": PER_MINUTE, "per_hour": PER_HOUR, "latency": (0.05, 0.5)},
        quota={"per_minute": PER_MINUTE, "per_hour": PER_HOUR},
        guards={"max_devices": 150, "max_devices_per_day": 10_000, "max_fleet_percent": 90},
        window={"from": "01:30", "to": "03:15", "zone": "Europe/Berlin"},
    )
    found = FiveNights(office, first)
    found.happen()
    return found


def test_five_nights_end_with_every_row_in_a_report_and_no_device_sent_twice(story: FiveNights) -> None:
    office = story.office
    nothing_was_sent_outside_the_window(office)
    no_device_was_sent_twice(office)
    no_window_of_the_quota_was_exceeded([call.at for call in office.world.offboard_calls()])
    every_row_is_reported(office)
    every_sheet_has_found_its_place(office)
    assert [view.missed for view in story.views if view.missed] == [str((story.first + timedelta(days=3)).date())]
    fates = Counter((sheet.name, sheet.fate) for view in story.views for sheet in view.sheets)
    assert all(number == 1 for (_, fate), number in fates.items() if fate is not Fate.LEFT)
    assert story.views[-1].halt is None


def nothing_was_sent_outside_the_window(office: NightOffice) -> None:
    """Not even asked. On each of these nights Berlin's clocks show a time between the two, whichever hour they skip."""
    clocks = [datetime.fromtimestamp(call.at, BERLIN).time() for call in office.world.calls]
    assert clocks
    assert all(OPENS <= clock < CLOSES for clock in clocks)


def no_device_was_sent_twice(office: NightOffice) -> None:
    assert sorted(action.machine_id for action in office.world.actions.values()) == sorted(map(device, DEVICES))
    assert sorted(office.called()) == list(DEVICES)


def no_window_of_the_quota_was_exceeded(times: Sequence[float]) -> None:
    for calls, period in ((PER_MINUTE, 60.0), (PER_HOUR, 3600.0)):
        assert all(later - at >= period for at, later in zip(times, times[calls:], strict=False))


def every_row_is_reported(office: NightOffice) -> None:
    batches = {batch.source_name: batch for batch in office.batches()}
    assert set(batches) == {*SHEETS, "too-many.csv"}
    for name, numbers in {**SHEETS, "too-many.csv": REFUSED}.items():
        rows = office.rows(batches[name])
        assert [row["device_id"] for row in rows] == [device(number) for number in numbers]
        assert {row["outcome"] for row in rows} == {"pending" if name == "too-many.csv" else "submitted"}
    assert {batch.state for name, batch in batches.items() if name in SHEETS} == {"finished"}


def every_sheet_has_found_its_place(office: NightOffice) -> None:
    assert office.lying() == office.lying("working") == office.lying("working/reports") == []
    assert Counter(office.lying("done")) == Counter(
        [
            *(f"BATCH-{name}" for name in SHEETS),
            *["BATCH.csv", "BATCH.xlsx"] * len(SHEETS),
            "BATCH-evening again.csv",
            "BATCH-evening again.csv.why.txt",
        ]
    )
    assert sorted(office.lying("failed")) == [
        "BATCH-too-many.csv",
        "BATCH-too-many.csv.why.txt",
        "BATCH.csv",
        "BATCH.xlsx",
        "broken.xlsx",
        "broken.xlsx.why.txt",
    ]
    for path in (office.inbox / "done").glob("*-copied.csv"):  # it was taken when it was whole
        with path.open(encoding="utf-8", newline="") as file:
            assert len(list(csv.DictReader(file))) == len(SHEETS["copied.csv"])
