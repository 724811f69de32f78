"""Offices with an inbox: people put sheets into it, and most commands are nightly runs.

What is by hand elsewhere goes on beside them. In the end each sheet that was put in lies in one place, with its report
or with the reason why it has none.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from batch_offboard.commands.desk import Desk
from batch_offboard.commands.views import Talk
from batch_offboard.unattended.nightly.inbox import EXPLANATION
from batch_offboard.unattended.nightly.order import REMEMBERED, nightly
from tests.simulation.office import Office
from tests.simulation.reckoning import read_csv
from tests.simulation.sheets import Sheet, sha256_of
from tests.simulation.story import Story, Work

DAY = 86_400.0
LONG_WRITTEN = 120.0  # seconds after which nobody thinks any more that a sheet is still being written


class Nights(Story):
    """One seed's story with an inbox in it."""

    def __init__(self, office: Office) -> None:
        super().__init__(office)
        self._inbox = office.folder / "inbox"
        self._inbox.mkdir()
        self._put: Counter[str] = Counter()  # what the sheets hold, by its hash
        self._coming: list[Sheet] = []

    # -- chaos --

    async def _chaos(self) -> None:
        self._coming, self._unread = self._unread, []
        for _ in range(self._scenario.commands):
            self._people_put_sheets()
            await self._give(*self._command())
            await asyncio.sleep(1.0 + self._draw.choice((5.0, 4000.0, DAY)) * self._draw.random())
        while self._coming:
            self._put_in(self._coming.pop().path)

    def _people_put_sheets(self) -> None:
        """The next sheet or two; now and then one that was there before, under its own name or another."""
        for _ in range(self._draw.choice((0, 1, 2))):
            if self._coming:
                self._put_in(self._coming.pop(0).path)
        if self._put and self._draw.random() < 0.15:
            sheet = self._draw.choice(list(self._office.inspector.sheets.values()))
            self._put_in(sheet.path, self._draw.choice(("", "-new")))

    def _put_in(self, sheet: Path, more: str = "") -> None:
        """Copied whole, some time ago; it takes the place of one that waits under the same name."""
        path = self._inbox / f"{sheet.stem}{more}{sheet.suffix}"
        if path.exists():
            self._put[sha256_of(path)] -= 1
        path.write_bytes(sheet.read_bytes())
        self._put[sha256_of(path)] += 1
        written = self._office.host.now().wall - LONG_WRITTEN - self._put.total()  # no two at the same time
        os.utime(path, (written, written))

    def _command(self) -> tuple[str, Work]:
        if self._draw.random() < self._scenario.nights:
            return "nightly", self._night
        return super()._command()

    def _guest(self) -> tuple[str, Work]:
        return ("nightly", self._night) if self._draw.random() < 0.3 else super()._guest()

    async def _night(self, desk: Desk, talk: Talk) -> object:
        return await nightly(desk, self._inbox, talk)

    # -- calm --

    async def _calm(self) -> None:
        """Nights alone bring every sheet to its place, and every batch to its end that no person has to look at."""
        office, chosen = self._office, self._scenario
        self._nature.end()
        await asyncio.sleep(LONG_WRITTEN)
        for number in range(self._most_rounds()):
            await office.give("nightly", self._night)
            if not self._left_open():
                break
            await asyncio.sleep(DAY)
            if number >= 2 or not chosen.readable:
                await self._settle_by_people()
        else:
            office.inspector.found("I18", "calm nights come to their end", f"left over: {self._left_open()}")
        await self._another_night_changes_nothing()
        self._sheets_are_in_their_place()
        office.stop_if_something_was_found()
        await super()._calm()

    def _left_open(self) -> list[str]:
        """What another night would go on with."""
        office = self._office
        sheets = [path.name for folder in (self._inbox, self._inbox / "working") for path in _files(folder)]
        since = office.host.now().wall - REMEMBERED
        return [*sheets, *office.unfinished_since(since)]

    async def _another_night_changes_nothing(self) -> None:
        office = self._office
        before = self._posts(), sorted(self._inbox.rglob("*"))
        await asyncio.sleep(DAY)
        await office.give("nightly", self._night)
        after = self._posts(), sorted(self._inbox.rglob("*"))
        if before != after:
            office.inspector.found("I12", "a night with nothing to do does nothing", f"{before} became {after}")

    def _posts(self) -> int:
        return sum(each.method == "POST" for each in self._office.net.record.exchanges)

    def _sheets_are_in_their_place(self) -> None:
        """None is lost and none is there twice; each lies beside its report, or beside the reason why it has none."""
        inspector = self._office.inspector
        batches = {name: sha256 for sha256, name in self._office.planned()}
        lying = [*_files(self._inbox / "done"), *_files(self._inbox / "failed")]
        placed = [path for path in lying if path.stem not in batches]  # the others are reports
        found = Counter(map(sha256_of, placed))
        if found != +self._put:
            inspector.found("I3", "every sheet of the inbox has one place", f"{sorted(path.name for path in placed)}")
        for path in placed:
            content = sha256_of(path)
            told = any(
                path.name.startswith(f"{name}-") and self._has_its_report(path, name)
                for name, sha256 in batches.items()
                if sha256 == content
            )
            if not told and not path.with_name(f"{path.name}{EXPLANATION}").exists():
                place = str(path.relative_to(self._inbox))
                inspector.found("I3", "a sheet lies beside its report or the reason", place)

    def _has_its_report(self, sheet: Path, batch: str) -> bool:
        """A true one beside the sheet, unless a person wanted it elsewhere and has to look after it there."""
        inspector = self._office.inspector
        report = next((path for path in self._office.reports_of(batch) if path.suffix == ".csv"), None)
        if report is not None and not report.is_relative_to(self._inbox):
            return True
        if report is None or report.parent != sheet.parent or not report.exists():
            return False
        inspector.report_is_true(read_csv(report), batch, inspector.sheets[sha256_of(sheet)])
        return True


def _files(folder: Path) -> Iterator[Path]:
    """Sheets, and where sheets have their place, reports."""
    return (path for path in sorted(folder.iterdir()) if path.suffix in (".csv", ".xlsx"))
